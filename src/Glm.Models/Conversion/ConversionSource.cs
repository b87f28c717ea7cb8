using System.Globalization;
using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>The source of a conversion: a directory of any architecture, a checkpoint of several ranks, or a GGUF file. Tensors are read one at a time.</summary>
internal sealed class ConversionSource
{
    private const string FrequenciesName = "transformer.layers.{0}.attention.rotary_emb.inv_freq";
    private const int RotaryBase = 10000;

    private readonly StoredParameters _parameters;
    private readonly SatCheckpoint? _checkpoint;
    private readonly Workers _workers;
    private readonly Dictionary<string, int[]> _shapes;

    private ConversionSource(string path, ModelConfig config, StoredParameters parameters, SatCheckpoint? checkpoint, Workers workers)
    {
        Path = path;
        Config = config;
        _parameters = parameters;
        _checkpoint = checkpoint;
        _workers = workers;
        _shapes = config.Parameters().ToDictionary(p => p.Name, p => p.Shape);
        var stored = _shapes.Select(p => parameters.TypeOf(p.Key, p.Value)).ToList();
        Segments = stored.Max(parameter => parameter.Segments);
        HasBlocks = stored.Any(parameter => parameter.Type.IsBlock());
    }

    /// <summary>Opens what lies at a path.</summary>
    /// <exception cref="GlmException">There is no model, or it is damaged.</exception>
    public static ConversionSource Open(string path, Workers workers)
    {
        if (Directory.Exists(path))
        {
            var config = ModelDirectory.LoadConfig(path);
            return new ConversionSource(path, config, ModelDirectory.Stored(path, config), SatCheckpoint.IsCheckpoint(path) ? SatCheckpoint.Open(path) : null, workers);
        }
        if (!File.Exists(path)) throw new GlmException($"{path}: expected the directory or GGUF file of a model, found none");
        var file = GgufFile.Open(path);
        var shape = GgufModel.ReadConfig(file);
        return new ConversionSource(path, shape, GgufModel.Stored(file, shape), null, workers);
    }

    /// <summary>The directory or file.</summary>
    public string Path { get; }

    /// <summary>The shape of the model.</summary>
    public ModelConfig Config { get; }

    /// <summary>Segments of the inputs of matrices that are quantised by row; 0 without such matrices.</summary>
    public int Segments { get; }

    /// <summary>Whether matrices are stored in blocks.</summary>
    public bool HasBlocks { get; }

    /// <summary>Whether matrices are quantised.</summary>
    public bool IsQuantized => Segments > 0 || HasBlocks;

    /// <summary>Tensor-parallel ranks of the files.</summary>
    public int Ranks => _checkpoint?.Ranks.Count ?? 1;

    /// <summary>The number of training steps that the checkpoint names.</summary>
    public string? Iteration => _checkpoint?.Iteration;

    /// <summary>The whole parameters in the order of the architecture.</summary>
    /// <param name="expand">Whether matrices that are quantised by row become the float16 matrices that they stand for.</param>
    public IReadOnlyList<SourceTensor> Parameters(bool expand) => [.. Config.Parameters().Select(p => Parameter(p.Name, p.Shape, expand))];

    /// <summary>The tensors of a rank of a checkpoint in the original's layout. Files with as many ranks give theirs as they are, whatever they hold.</summary>
    /// <exception cref="GlmException">The tensors cannot be shared so.</exception>
    public IReadOnlyList<SourceTensor> OfRank(int rank, int ranks, bool expand)
    {
        if (_checkpoint is null) return [.. WithFrequencies(expand).Select(whole => PartOf(whole, rank, ranks))];
        var store = _checkpoint.Ranks[0];
        return [.. store.Names.Where(name => !(expand && IsScales(name))).Select(name => OfRanks(name, store.FindInfo(name)!, rank, ranks, expand))];
    }

    /// <summary>Names, sizes and times of the files: what tells this source from another one.</summary>
    public IEnumerable<string> Fingerprint()
    {
        string full = System.IO.Path.GetFullPath(Path);
        IEnumerable<string> files = File.Exists(full) ? [full] : Directory.EnumerateFiles(full, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal);
        return files.Select(file => new FileInfo(file)).Select(file => string.Create(CultureInfo.InvariantCulture, $"{file.FullName} {file.Length} {file.LastWriteTimeUtc.Ticks}"));
    }

    private SourceTensor Parameter(string name, int[] shape, bool expand)
    {
        var (type, segments) = _parameters.TypeOf(name, shape);
        if (segments == 0) return new SourceTensor(name, type, shape, () => _parameters.Load(name, shape));
        if (expand) return new SourceTensor(name, DType.Float16, shape, () => Expanded(_parameters.Load(name, shape)));
        string scales = StoredParameters.ScaleName(name);
        int[] scalesShape = segments == 1 ? [shape[0]] : [segments, shape[0]];
        return new SourceTensor(name, type, shape, () => _parameters.Load(name, shape))
        {
            Scales = new SourceTensor(scales, DType.Float16, scalesShape, () => _parameters.Load(name, shape).Scales!.Reshape(scalesShape)) { IsParameter = false },
        };
    }

    private IEnumerable<SourceTensor> WithFrequencies(bool expand)
    {
        // The original's converter expects the frequencies in every layer, and they tell the number of heads where there is no configuration.
        int half = Config.Shape.Heads.HeadSize / 2;
        float[] frequencies = [.. Enumerable.Range(0, half).Select(j => (float)(1 / Math.Pow(RotaryBase, (double)j / half)))];
        return Parameters(expand).Concat(Enumerable.Range(0, Config.Shape.Layers).Select(layer => new SourceTensor(
            string.Format(CultureInfo.InvariantCulture, FrequenciesName, layer), DType.Float16, [half], () => Tensor.From(frequencies, half).To(DType.Float16)) { IsParameter = false }));
    }

    private static SourceTensor PartOf(SourceTensor whole, int rank, int ranks)
    {
        int[] shape = Sharding.RuleOf(whole.Name) == ShardingRule.Segments ? [whole.Shape[^1]] : Sharding.PartShape(whole.Name, whole.Shape, ranks);
        return whole with
        {
            Shape = shape,
            Load = () => Sharding.Part(whole.Name, whole.Load(), rank, ranks),
            Scales = whole.Scales is { } scales ? PartOf(scales, rank, ranks) : null,
        };
    }

    /// <summary>A tensor of a rank out of those of the source's ranks: several are joined, or one is cut (spec 7.3).</summary>
    private SourceTensor OfRanks(string name, TensorInfo info, int rank, int ranks, bool expand)
    {
        var stored = info.Type ?? throw new GlmException($"{_checkpoint!.Ranks[0].Path}: {name}: expected a type that can be read, found {info.StoredAs}");
        var files = _checkpoint!.Ranks;
        string scales = StoredParameters.ScaleName(name);
        bool isParameter = _shapes.TryGetValue(name, out int[]? whole), expanded = expand && isParameter && files[0].FindInfo(scales) is not null;
        int[] local = expanded ? Sharding.PartShape(name, whole, Ranks) : info.Shape;
        Tensor Read(TensorStore store) => expanded ? Expanded(StoredParameters.Quantized(store.Path, name, store[name], store[scales], local)) : store[name];
        int parts = Math.Max(1, Ranks / ranks), cuts = Math.Max(1, ranks / Ranks);
        return new SourceTensor(name, expanded ? DType.Float16 : stored, Sharding.PartShape(name, Sharding.JoinedShape(name, local, parts), cuts),
            () => Sharding.Part(name, Sharding.Join(name, [.. files.Skip(rank * parts / cuts).Take(parts).Select(Read)]), rank % cuts, cuts)) { IsParameter = isParameter };
    }

    private bool IsScales(string name) => name.EndsWith(StoredParameters.ScaleSuffix, StringComparison.Ordinal) && _shapes.ContainsKey(name[..^StoredParameters.ScaleSuffix.Length]);

    private Tensor Expanded(Tensor weight)
    {
        var dense = Quantization.Dequantize(weight, _workers);
        weight.ReleasePages();
        return dense;
    }
}
