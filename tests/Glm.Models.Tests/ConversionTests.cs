using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>Conversions of every format and architecture to every other, and refusals of what has no meaning (docs/formats.md).</summary>
public sealed class ConversionTests : IDisposable
{
    private static readonly string[] Architectures = ["glm-130b", "glm-130b-sat", "chatglm-6b", "chatglm2", "glm4-native", "gguf", "glm", "opt", "bloom"];

    private static readonly ChatGlm2Config ChatGlm2Shape = new()
    {
        NumLayers = 2, HiddenSize = 64, FfnHiddenSize = 96, KvChannels = 16, NumAttentionHeads = 4, MultiQueryAttention = true, MultiQueryGroupNum = 2, PaddedVocabSize = 160, SeqLength = 64,
        AddQkvBias = true, RopeRatio = 4, RopeRatioMode = RopeRatioMode.Positions,
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("glm-convert").FullName;
    private readonly Workers _workers = new(2);

    private string Source => Path.Combine(_folder, "source");

    private string Target => Path.Combine(_folder, "target");

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Every cell of the table: the result is the same model, tensor for tensor, or there is a reason.</summary>
    public static TheoryData<string, ConversionFormat> Cells()
    {
        var cells = new TheoryData<string, ConversionFormat>();
        foreach (string architecture in Architectures)
            foreach (var format in Enum.GetValues<ConversionFormat>()) cells.Add(architecture, format);
        return cells;
    }

    [Theory]
    [MemberData(nameof(Cells))]
    public void A_conversion_gives_the_same_model_or_a_reason(string architecture, ConversionFormat format)
    {
        string source = Save(architecture);
        bool has = format switch
        {
            ConversionFormat.Sat => architecture.StartsWith("glm-130b", StringComparison.Ordinal),
            ConversionFormat.Gguf => architecture is "chatglm2" or "glm4-native" or "gguf",
            _ => true,
        };
        if (!has)
        {
            Assert.Contains($"format {format.ToString().ToLowerInvariant()}: expected", Refused(source, new() { Format = format }));
            Assert.False(Path.Exists(Target) || Path.Exists(Target + ".part"));
            return;
        }
        var result = Convert(source, new() { Format = format });
        Assert.Equal((1, 0), (result.Files, result.ResumedFiles));
        RequireSame(LoadAny(source), LoadAny(Target), (name, tensor) => tensor);
        Assert.Equal([Target], Directory.GetFileSystemEntries(_folder, "target*"));
    }

    /// <summary>Precisions where a format holds them: each matrix is what quantising or rounding it directly gives.</summary>
    [Theory]
    [InlineData("glm-130b", ConversionFormat.Native, DType.Int8)]
    [InlineData("glm-130b", ConversionFormat.Sat, DType.Int4)]
    [InlineData("glm-130b-sat", ConversionFormat.Native, DType.Int4)]
    [InlineData("chatglm-6b", ConversionFormat.Safetensors, DType.Int8)]
    [InlineData("chatglm-6b", ConversionFormat.Torch, DType.Int4)]
    [InlineData("chatglm2", ConversionFormat.Torch, DType.Int8)]
    [InlineData("chatglm2", ConversionFormat.Safetensors, DType.Int4)]
    [InlineData("glm4-native", ConversionFormat.Native, DType.Int8)]
    [InlineData("chatglm2", ConversionFormat.Gguf, DType.Q8_0)]
    [InlineData("chatglm2", ConversionFormat.Gguf, DType.Q4_0)]
    [InlineData("glm4-native", ConversionFormat.Gguf, DType.Q8_0)]
    [InlineData("gguf", ConversionFormat.Gguf, DType.Q4_0)]
    [InlineData("gguf", ConversionFormat.Native, DType.Int8)]
    public void Matrices_are_quantised(string architecture, ConversionFormat format, DType type)
    {
        string source = Save(architecture);
        Convert(source, new() { Format = format, Quantize = type });
        bool blocks = type.IsBlock();
        var model = LoadAny(source);
        RequireSame(model, LoadAny(Target), (name, tensor) =>
            tensor.Shape.Length == 1 ? tensor
            : blocks ? tensor.To(type == DType.Q4_0 && name == ChatGlm2.OutputName ? DType.Q8_0 : type)
            : model.Config.IsQuantizable(name) ? Quantization.Quantize(name, tensor, type, _workers)
            : tensor.To(format == ConversionFormat.Native ? DType.BFloat16 : DType.Float16));
        Assert.Contains("requantize", Refused(Target, new() { Format = format, Quantize = type }, Path.Combine(_folder, "again")));
    }

    [Theory]
    [InlineData(ConversionFormat.Native, DType.Float16)]
    [InlineData(ConversionFormat.Safetensors, DType.BFloat16)]
    [InlineData(ConversionFormat.Torch, DType.Float16)]
    [InlineData(ConversionFormat.Gguf, DType.Float16)]
    [InlineData(ConversionFormat.Gguf, DType.BFloat16)]
    public void Numbers_are_rounded(ConversionFormat format, DType type)
    {
        string source = Save("chatglm2");
        Convert(source, new() { Format = format, Type = type });
        bool all = format is ConversionFormat.Safetensors or ConversionFormat.Torch;
        RequireSame(LoadAny(source), LoadAny(Target), (_, tensor) => tensor.Shape.Length > 1 ? tensor.To(type) : all ? tensor.To(type).To(DType.Float32) : tensor);
    }

    /// <summary>Blocks of GGUF are kept where the result holds them, and become numbers where it does not.</summary>
    [Theory]
    [InlineData(2u, ConversionFormat.Native, null, DType.BFloat16)]
    [InlineData(8u, ConversionFormat.Native, DType.Float16, DType.Float16)]
    [InlineData(6u, ConversionFormat.Safetensors, null, DType.BFloat16)]
    [InlineData(3u, ConversionFormat.Torch, null, DType.BFloat16)]
    [InlineData(1u, ConversionFormat.Native, null, DType.Float16)]
    [InlineData(2u, ConversionFormat.Gguf, null, DType.Q4_0)]
    [InlineData(8u, ConversionFormat.Gguf, DType.Float16, DType.Float16)]
    public void Blocks_are_kept_or_decoded(uint code, ConversionFormat format, DType? wanted, DType found)
    {
        string source = Path.Combine(_folder, "a.gguf");
        File.WriteAllBytes(source, new TinyGguf { MatrixType = code }.ToArray());
        Convert(source, new() { Format = format, Type = wanted });
        RequireSame(LoadAny(source), LoadAny(Target), (_, tensor) => tensor.Shape.Length == 1 || tensor.Type == found ? tensor : tensor.To(DType.Float32).To(found));
        if (format == ConversionFormat.Gguf) Assert.Equal(GgufModel.Load(source).Config, GgufModel.Load(Target).Config);
    }

    [Fact]
    public void A_quantised_model_is_expanded_when_that_is_asked_for()
    {
        string source = Save("chatglm2"), small = Path.Combine(_folder, "small"), file = Path.Combine(_folder, "again.gguf");
        Convert(source, new() { Quantize = DType.Int8 }, small);
        var model = LoadAny(small);
        Tensor Dense(Tensor tensor) => tensor.Scales is null ? tensor : Quantization.Dequantize(tensor, _workers);
        Convert(small, new() { Requantize = true });
        RequireSame(model, LoadAny(Target), (_, tensor) => Dense(tensor));
        Convert(small, new() { Requantize = true, Quantize = DType.Int4 });
        RequireSame(model, LoadAny(Target), (name, tensor) => tensor.Scales is null ? tensor : Quantization.Quantize(name, Dense(tensor), DType.Int4, _workers));
        Convert(small, new());
        RequireSame(model, LoadAny(Target), (_, tensor) => tensor);
        // GGUF has nothing like them: they become the numbers that they stand for.
        Convert(small, new() { Format = ConversionFormat.Gguf }, file);
        RequireSame(model, LoadAny(file), (_, tensor) => Dense(tensor));
        Convert(file, new() { Format = ConversionFormat.Gguf, Quantize = DType.Q8_0 }, Path.Combine(_folder, "blocks.gguf"));
        Convert(Path.Combine(_folder, "blocks.gguf"), new() { Quantize = DType.Int8, Requantize = true });
        Assert.Equal(8, ModelDirectory.Inventory(Target)[DType.Int8].Tensors);
    }

    [Theory]
    [InlineData("chatglm2", ConversionFormat.Safetensors, DType.Q4_0, null, "quantize q4_0: expected format gguf")]
    [InlineData("chatglm2", ConversionFormat.Gguf, DType.Int8, null, "quantize int8: expected another format than gguf")]
    [InlineData("chatglm2", ConversionFormat.Gguf, null, 2, "tensor-parallel: expected format sat")]
    [InlineData("glm-130b", ConversionFormat.Native, null, 2, "tensor-parallel: expected format sat")]
    [InlineData("glm-130b", ConversionFormat.Sat, null, 3, "that 3 divides")]
    [InlineData("glm-130b-sat2", ConversionFormat.Sat, null, 3, "a multiple or a divisor of the 2 ranks of the source, found 3")]
    public void What_has_no_meaning_is_refused(string architecture, ConversionFormat format, DType? quantize, int? ranks, string reason)
    {
        Assert.Contains(reason, Refused(Save(architecture), new() { Format = format, Quantize = quantize, TensorParallel = ranks }));
        Assert.False(Path.Exists(Target) || Path.Exists(Target + ".part"));
    }

    [Fact]
    public void Ranks_that_were_quantised_one_by_one_keep_their_scales_unless_they_are_quantised_anew()
    {
        string source = Save("glm-130b"), two = Path.Combine(_folder, "two"), whole = Path.Combine(_folder, "whole");
        Convert(source, new() { Format = ConversionFormat.Sat, TensorParallel = 2, Quantize = DType.Int8 }, two);
        foreach (int ranks in new[] { 1, 4 })
            Assert.Contains("tensor-parallel: expected 2, since every rank of a quantised model has scales of its own", Refused(two, new() { Format = ConversionFormat.Sat, TensorParallel = ranks }));
        Assert.Contains("one scale for each row, found those of 2 ranks", Refused(two, new() { Format = ConversionFormat.Safetensors }));
        // Our directory holds the scales of both ranks, and they come back out of it.
        Convert(two, new(), whole);
        RequireSame(LoadAny(two), LoadAny(whole), (_, tensor) => tensor);
        Convert(whole, new() { Format = ConversionFormat.Sat });
        RequireRanks(SatCheckpoint.Open(two), SatCheckpoint.Open(Target));
        Convert(two, new() { Format = ConversionFormat.Sat, TensorParallel = 1, Quantize = DType.Int4, Requantize = true });
        RequireSame(LoadAny(two), LoadAny(Target), (name, tensor) => tensor.Scales is null ? tensor : Quantization.Quantize(name, Quantization.Dequantize(tensor, _workers), DType.Int4, _workers));
    }

    [Fact]
    public void A_large_result_is_sharded_with_an_index()
    {
        string source = Save("chatglm2");
        foreach (var format in new[] { ConversionFormat.Native, ConversionFormat.Safetensors, ConversionFormat.Torch })
        {
            var result = Convert(source, new() { Format = format, FileBytes = 60_000 });
            Assert.InRange(result.Files, 3, 20);
            bool torch = format == ConversionFormat.Torch;
            string[] files = [.. Directory.GetFiles(Target, torch ? "pytorch_model-*.bin" : "model-*.safetensors")];
            Assert.Equal(result.Files, files.Length);
            Assert.True(File.Exists(Path.Combine(Target, torch ? "pytorch_model.bin.index.json" : "model.safetensors.index.json")));
            RequireSame(LoadAny(source), LoadAny(Target), (_, tensor) => tensor);
        }
    }

    /// <summary>Interrupted after any number of bytes: nothing is whole, finished files stay, and the same conversion goes on with them.</summary>
    [Theory]
    [InlineData(ConversionFormat.Safetensors)]
    [InlineData(ConversionFormat.Torch)]
    [InlineData(ConversionFormat.Sat)]
    [InlineData(ConversionFormat.Gguf)]
    public void An_interrupted_conversion_leaves_nothing_whole_and_goes_on(ConversionFormat format)
    {
        string source = Save(format == ConversionFormat.Gguf ? "chatglm2" : "glm-130b");
        var options = new ConversionOptions { Format = format, TensorParallel = format == ConversionFormat.Sat ? 4 : null, FileBytes = 60_000 };
        int most = 0;
        for (double share = 0.05; share < 0.7; share += 0.2)
        {
            using var interrupt = new CancellationTokenSource();
            var stop = new Reported(state => { if (state.DoneBytes > share * state.TotalBytes) interrupt.Cancel(); });
            Assert.ThrowsAny<OperationCanceledException>(() => ModelConversion.Run(source, Target, options, _workers, stop, interrupt.Token));
            Assert.False(Path.Exists(Target));
            Assert.ThrowsAny<GlmException>(() => LoadAny(Target + ".part"));
            int whole = Directory.Exists(Target + ".part") ? Directory.GetFiles(Target + ".part", "*.*", SearchOption.AllDirectories).Count(file => Path.GetFileName(file) != ".conversion") : 0;
            Assert.True(whole >= most);
            most = whole;
            if (format == ConversionFormat.Gguf) Assert.Equal([source], Directory.GetFileSystemEntries(_folder));
        }
        if (most > 0) File.WriteAllText(Path.Combine(Target + ".part", ".model.bin.1.tmp"), "what a killed process left");
        var result = Convert(source, options);
        Assert.Equal(most, result.ResumedFiles);
        Assert.Equal(format == ConversionFormat.Gguf, most == 0);
        RequireSame(LoadAny(source), LoadAny(Target), (_, tensor) => tensor);
        Assert.Equal([source, Target], Directory.GetFileSystemEntries(_folder).Order());
        if (format != ConversionFormat.Gguf) Assert.Empty(Directory.GetFiles(Target, ".*"));
    }

    [Fact]
    public void What_another_conversion_left_is_thrown_away_and_other_files_are_not()
    {
        string source = Save("glm-130b");
        var options = new ConversionOptions { Format = ConversionFormat.Sat, TensorParallel = 4 };
        void Interrupt(ConversionOptions how)
        {
            using var interrupt = new CancellationTokenSource();
            var stop = new Reported(state => { if (state.DoneBytes > 0.6 * state.TotalBytes) interrupt.Cancel(); });
            Assert.ThrowsAny<OperationCanceledException>(() => ModelConversion.Run(source, Target, how, _workers, stop, interrupt.Token));
            Assert.NotEmpty(Directory.GetFiles(Target + ".part", "*.pt", SearchOption.AllDirectories));
        }
        Interrupt(options);
        Assert.Equal(0, Convert(source, options with { Type = DType.Float16 }).ResumedFiles);
        Interrupt(options);
        File.SetLastWriteTimeUtc(Path.Combine(source, ModelDirectory.WeightsFile), DateTime.UnixEpoch);
        Assert.Equal(0, Convert(source, options).ResumedFiles);
        Interrupt(options);
        Assert.Equal(2, Convert(source, options).ResumedFiles);

        Directory.CreateDirectory(Target + ".part");
        File.WriteAllText(Path.Combine(Target + ".part", "thesis.txt"), "dear");
        Assert.Contains("found other files", Refused(source, options));
        Directory.Delete(Target + ".part", recursive: true);
        File.WriteAllText(Path.Combine(Target, "thesis.txt"), "dear");
        Assert.Contains("found thesis.txt in it", Refused(source, options));
        File.WriteAllText(Path.Combine(_folder, "letter"), "dear");
        Assert.Contains("expected a directory or nothing", Refused(source, options, Path.Combine(_folder, "letter")));
        Assert.Contains("expected another place than that of the source", Refused(source, new(), source + Path.DirectorySeparatorChar + "."));
        Assert.Contains("letter", Refused(Save("chatglm2"), new() { Format = ConversionFormat.Gguf }, Path.Combine(_folder, "letter")));
        Assert.Equal("dear", File.ReadAllText(Path.Combine(_folder, "letter")));
    }

    [Fact]
    public void A_hubs_configuration_keeps_what_other_software_reads()
    {
        string source = Save("chatglm2"), file = Path.Combine(source, ModelDirectory.ConfigFile);
        File.WriteAllText(file, File.ReadAllText(file).Replace("{", "{ \"auto_map\": { \"AutoModel\": \"modeling\" },", StringComparison.Ordinal));
        Convert(source, new() { Format = ConversionFormat.Safetensors, Quantize = DType.Int4 });
        using var json = System.Text.Json.JsonDocument.Parse(File.ReadAllText(Path.Combine(Target, ModelDirectory.ConfigFile)));
        Assert.Equal("modeling", json.RootElement.GetProperty("auto_map").GetProperty("AutoModel").GetString());
        Assert.Equal(4, json.RootElement.GetProperty("quantization_bit").GetInt32());
        Assert.Equal("float16", json.RootElement.GetProperty("torch_dtype").GetString());
    }

    /// <summary>Weights that cannot be written are named, and nothing is left.</summary>
    [Fact]
    public void Weights_that_are_not_finite_are_named()
    {
        string source = Save("glm-130b");
        var weights = SafetensorsFile.Open(Path.Combine(source, ModelDirectory.WeightsFile));
        const string dense = "transformer.layers.1.attention.dense.weight";
        var tensors = weights.Names.Select(name => (name, weights[name])).ToDictionary();
        float[] values = tensors[dense].ToArray();
        values[5] = float.NaN;
        tensors[dense] = Tensor.From(values, tensors[dense].Shape);
        SafetensorsWriter.Write(Path.Combine(source, ModelDirectory.WeightsFile), [.. tensors.Select(t => (t.Key, t.Value))]);
        Assert.Contains(dense, Refused(source, new() { Quantize = DType.Int8 }));
        Assert.Equal([source], Directory.GetFileSystemEntries(_folder));
    }

    private ConversionResult Convert(string source, ConversionOptions options, string? target = null) => ModelConversion.Run(source, target ?? Target, options, _workers);

    private string Refused(string source, ConversionOptions options, string? target = null) => Assert.Throws<GlmException>(() => Convert(source, options, target)).Message;

    /// <summary>A tiny model of an architecture; gives its path.</summary>
    private string Save(string architecture)
    {
        if (Directory.Exists(Source)) Directory.Delete(Source, recursive: true);
        Directory.CreateDirectory(Source);
        switch (architecture)
        {
            case "gguf":
                string file = Source + ".gguf";
                File.WriteAllBytes(file, new TinyGguf().ToArray());
                Directory.Delete(Source);
                return file;
            case "glm-130b":
                ModelDirectory.Save(Source, ReferenceModel.Load());
                break;
            case "glm-130b-sat" or "glm-130b-sat2":
                ModelDirectory.Save(Path.Combine(_folder, "dense"), ReferenceModel.Load());
                Convert(Path.Combine(_folder, "dense"), new() { Format = ConversionFormat.Sat, TensorParallel = architecture == "glm-130b-sat" ? 1 : 2 }, Source);
                Directory.Delete(Path.Combine(_folder, "dense"), recursive: true);
                break;
            case "chatglm-6b":
                SaveRandom(new ChatGlm6BConfig { NumLayers = 2, HiddenSize = 32, InnerHiddenSize = 64, NumAttentionHeads = 2, VocabSize = 96, MaxSequenceLength = 32 });
                break;
            case "chatglm2":
                SaveRandom(ChatGlm2Shape);
                break;
            case "glm4-native":
                SaveRandom(ChatGlm2Shape);
                RenameAsTransformersDoes();
                break;
            default:
                new OracleCase(architecture == "glm" ? "glm-gmask" : architecture).Save(Source);
                break;
        }
        return Source;
    }

    private void SaveRandom(ModelConfig config)
    {
        var random = new Random(3);
        ModelDirectory.Save(Source, config, config.Parameters().Select(p =>
            (p.Name, Tensor.From([.. Enumerable.Range(0, p.Shape.Aggregate((a, b) => a * b)).Select(_ => random.NextSingle() - 0.5f)], p.Shape))));
    }

    /// <summary>The directory as copies of GLM-4 are that follow the transformers library: other fields, other names, queries, keys and values apart.</summary>
    private void RenameAsTransformersDoes()
    {
        var config = ChatGlm2Shape;
        string file = Path.Combine(Source, ModelDirectory.WeightsFile);
        var weights = SafetensorsFile.Open(file);
        var renamed = new List<(string, Tensor)>();
        foreach (string name in weights.Names)
        {
            string[] names = config.StoredNames(name).First(parts => parts[0].StartsWith("model.", StringComparison.Ordinal) || parts[0].StartsWith("lm_head", StringComparison.Ordinal));
            int start = 0, queries = config.HiddenSize, keys = config.KeyValueHeads * config.KvChannels;
            int[] rows = names.Length == 1 ? [weights[name].Shape[0]] : [queries, keys, keys];
            foreach (var (part, count) in names.Zip(rows))
            {
                renamed.Add((part, weights[name].Slice(start, count)));
                start += count;
            }
        }
        SafetensorsWriter.Write(file, renamed);
        File.WriteAllText(Path.Combine(Source, ModelDirectory.ConfigFile), """
            {"model_type": "glm", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 160,
             "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 5000000.0, "partial_rotary_factor": 0.5, "attention_bias": true}
            """);
    }

    private static LanguageModel LoadAny(string path) => File.Exists(path) ? GgufModel.Load(path) : ModelDirectory.Load(path);

    private static void RequireSame(LanguageModel source, LanguageModel target, Func<string, Tensor, Tensor> expected)
    {
        Assert.Equal(source.Config.Shape, target.Config.Shape);
        Assert.Equal(source.Parameters.Select(p => p.Name), target.Parameters.Select(p => p.Name));
        foreach (var ((name, before), (_, after)) in source.Parameters.Zip(target.Parameters)) OriginalCheckpoints.RequireEqual(name, expected(name, before), after);
    }

    private static void RequireRanks(SatCheckpoint expected, SatCheckpoint found)
    {
        Assert.Equal(expected.Ranks.Count, found.Ranks.Count);
        foreach (var (before, after) in expected.Ranks.Zip(found.Ranks))
        {
            Assert.Equal(before.Names.Order(), after.Names.Order());
            foreach (string name in before.Names) OriginalCheckpoints.RequireEqual($"{after.Path}: {name}", before[name], after[name]);
        }
    }

    private sealed class Reported(Action<ConversionProgress> hear) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value) => hear(value);
    }
}
