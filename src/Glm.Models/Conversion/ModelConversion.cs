using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// Converts a model from any format to any other that makes sense for its architecture (docs/formats.md), tensor by tensor, so that memory holds one of them and
/// not the model. Directories are put together in <c>TARGET.part</c> and files under another name; the result appears when it is whole.
/// </summary>
public sealed class ModelConversion
{
    private const string Version = "conversion 1", Release = "release", IndexExtension = ".index.json", TokenizerModelName = "tokenizer.model";

    private readonly ConversionSource _source;
    private readonly ConversionOptions _options;
    private readonly ConversionRules _rules;
    private readonly TensorConversion _tensors;
    private readonly string _target;
    private readonly IProgress<ConversionProgress>? _progress;
    private readonly CancellationToken _cancel;
    private long _done, _total;

    private ModelConversion(string source, string target, ConversionOptions options, Workers workers, IProgress<ConversionProgress>? progress, CancellationToken cancel)
    {
        _source = ConversionSource.Open(source, workers);
        _target = target;
        _options = options;
        _rules = new ConversionRules(_source, options);
        _tensors = new TensorConversion(workers, Advance);
        _progress = progress;
        _cancel = cancel;
    }

    /// <summary>Converts a model.</summary>
    /// <param name="source">The directory or GGUF file.</param>
    /// <param name="target">The directory to write, for GGUF the file. A model there is replaced, anything else is left alone.</param>
    /// <param name="options">How.</param>
    /// <param name="workers">Threads to quantise with.</param>
    /// <param name="progress">Told the bytes that are written.</param>
    /// <param name="cancel">Stops the conversion; whole files of a result of several stay, for the same conversion to go on.</param>
    /// <exception cref="GlmException">The source is damaged, the conversion has no meaning, or the target cannot be written.</exception>
    public static ConversionResult Run(
        string source, string target, ConversionOptions options, Workers workers, IProgress<ConversionProgress>? progress = null, CancellationToken cancel = default)
    {
        var conversion = new ModelConversion(source, target, options, workers, progress, cancel);
        conversion._rules.Check();
        if (Path.GetFullPath(source) == Path.GetFullPath(target)) throw new GlmException($"{target}: expected another place than that of the source, found the same");
        return options.Format == ConversionFormat.Gguf ? conversion.WriteGguf() : conversion.WriteDirectory();
    }

    private ConversionResult WriteGguf()
    {
        if (Directory.Exists(_target)) throw new GlmException($"{_target}: expected the name of a GGUF file, found a directory");
        if (File.Exists(_target)) GgufFile.Open(_target);
        var config = (ChatGlm2Config)_source.Config;
        var names = GgufModel.Names(config);
        TensorEntry[] entries = [.. _source.Parameters(_rules.Expands).SelectMany(tensor => _tensors.Entries(tensor, _rules.TypeOf(tensor), names[tensor.Name]))];
        _total = entries.Sum(entry => entry.Bytes);
        GgufWriter.Write(_target, [.. GgufDescription.Of(config, _source.Path, entries, _options.Vocabulary)], entries, _cancel);
        return Result(files: 1, resumed: 0, []);
    }

    private ConversionResult WriteDirectory()
    {
        ModelDirectory.RefuseOtherContent(_target, _options.Companions);
        var files = _options.Format == ConversionFormat.Sat ? Ranks() : Shards();
        _total = files.Sum(file => file.Bytes);
        using var stage = new ConversionStage(_target, Identity());
        int resumed = 0;
        foreach (var file in files)
        {
            if (stage.Has(file.Name))
            {
                resumed++;
                Advance(file.Bytes);
                continue;
            }
            if (_options.Format is ConversionFormat.Native or ConversionFormat.Safetensors)
                SafetensorsWriter.Write(stage[file.Name], file.Entries, new Dictionary<string, string> { ["format"] = "pt" }, cancel: _cancel);
            else TorchWriter.Write(stage[file.Name], file.Entries, _options.Format == ConversionFormat.Sat ? SatCheckpoint.Root : null, _cancel);
        }
        string[] companions = Directory.Exists(_source.Path) ? [.. _options.Companions.Where(name => File.Exists(Path.Combine(_source.Path, name)))] : [];
        foreach (string name in companions) AtomicFile.Write(stage[name], stream => { using var from = File.OpenRead(Path.Combine(_source.Path, name)); from.CopyTo(stream); });
        if (_options.TokenizerModel is { } vocabulary)
        {
            companions = [TokenizerModelName];
            AtomicFile.Write(stage[TokenizerModelName], stream => stream.Write(vocabulary));
        }
        foreach (var (name, text) in Descriptions(files)) AtomicFile.Write(stage[name], stream => stream.Write(Encoding.UTF8.GetBytes(text)));
        _cancel.ThrowIfCancellationRequested();
        stage.Place();
        return Result(files.Count, resumed, companions);
    }

    private List<OutputFile> Ranks()
    {
        string iteration = _source.Iteration ?? Release;
        return [.. Enumerable.Range(0, _rules.Ranks).Select(rank => new OutputFile($"{iteration}/{SatCheckpoint.FileOf(rank)}", Entries(_source.OfRank(rank, _rules.Ranks, _rules.Expands))))];
    }

    /// <summary>The files of a directory as hubs have it: one, or as many as keep within their size.</summary>
    private List<OutputFile> Shards()
    {
        var (stem, extension) = Stem();
        var parts = new List<List<TensorEntry>> { new() };
        long bytes = 0;
        foreach (var entry in Entries(_source.Parameters(_rules.Expands)))
        {
            if (bytes > 0 && bytes + entry.Bytes > _options.FileBytes)
            {
                parts.Add([]);
                bytes = 0;
            }
            parts[^1].Add(entry);
            bytes += entry.Bytes;
        }
        if (parts.Count == 1) return [new OutputFile(stem + extension, parts[0])];
        return [.. parts.Select((part, i) => new OutputFile($"{stem}-{i + 1:D5}-of-{parts.Count:D5}{extension}", part))];
    }

    private (string Stem, string Extension) Stem() => _options.Format == ConversionFormat.Torch ? ("pytorch_model", ".bin") : ("model", ".safetensors");

    private TensorEntry[] Entries(IEnumerable<SourceTensor> tensors) => [.. tensors.SelectMany(tensor => _tensors.Entries(tensor, _rules.TypeOf(tensor)))];

    /// <summary>The small files that make a directory a model; they are written last.</summary>
    private IEnumerable<(string Name, string Text)> Descriptions(List<OutputFile> files)
    {
        if (_options.Format == ConversionFormat.Sat)
        {
            if (_source.Iteration is null || File.Exists(Path.Combine(_source.Path, ModelDirectory.ConfigFile))) yield return (ModelDirectory.ConfigFile, _source.Config.ToJson() + "\n");
            yield return (SatCheckpoint.LatestFile, _source.Iteration ?? Release);
            yield break;
        }
        if (files.Count > 1)
        {
            var (stem, extension) = Stem();
            var places = files.SelectMany(file => file.Entries.Select(entry => KeyValuePair.Create<string, JsonNode?>(entry.Name, file.Name)));
            var index = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = _total }, ["weight_map"] = new JsonObject(places) };
            yield return ($"{stem}{extension}{IndexExtension}", index.ToJsonString());
        }
        DType? quantized = files.SelectMany(file => file.Entries).Select(entry => (DType?)entry.Type).FirstOrDefault(type => type is DType.Int8 or DType.Int4);
        DType? rest = _options.Type ?? (quantized is null ? null : DType.Float16);
        yield return (ModelDirectory.ConfigFile, (_options.Format == ConversionFormat.Native ? _source.Config.ToJson() : HubConfig.Text(_source.Path, _source.Config, quantized, rest)) + "\n");
    }

    /// <summary>What tells this conversion from others; only the same one goes on where this one was interrupted.</summary>
    private IEnumerable<string> Identity() =>
        _source.Fingerprint().Prepend(string.Create(CultureInfo.InvariantCulture, $"{Version} {_options.Format} {_rules.Ranks} {_options.Quantize} {_options.Type} {_options.Requantize} {_options.FileBytes}"));

    private void Advance(long bytes)
    {
        _done += bytes;
        _progress?.Report(new ConversionProgress(_done, _total));
    }

    private ConversionResult Result(int files, int resumed, IReadOnlyList<string> companions) =>
        new(_target, _source.Config.Architecture, files, resumed, _total, companions);

    private sealed record OutputFile(string Name, IReadOnlyList<TensorEntry> Entries)
    {
        public long Bytes { get; } = Entries.Sum(entry => entry.Bytes);
    }
}
