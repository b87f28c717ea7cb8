using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models.Tests;

/// <summary>LoRA and P-Tuning v2 in the files that others save them in, against oracles in float64.</summary>
public sealed class AdapterTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly string _folder = Directory.CreateTempSubdirectory("glm-adapter").FullName;
    private readonly Workers _workers = new(2);

    public static TheoryData<string> Cases => OracleCase.Adapters;

    private string AdapterFolder => Path.Combine(_folder, "adapter");

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_whole_sequence(string name)
    {
        var (oracle, model) = Load(name);
        foreach (bool merge in new[] { true, false }) Require(oracle, Whole(Adapter.Apply(AdapterFolder, model, _workers, merge), oracle));
        // The model itself stays as it is, and is another one.
        float[] plain = Whole(model, oracle).Slice(oracle.Rows[^1], 1).ToArray();
        Assert.True(plain.Zip(oracle.Logits[^1], (a, b) => Math.Abs(a - b)).Max() > 20 * Tolerance);
    }

    /// <summary>The context in one pass and the rest token by token; a fork and a sequence that begins anew see the virtual tokens as well.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Cached_decoding(string name)
    {
        var (oracle, loaded) = Load(name);
        var model = Adapter.Apply(AdapterFolder, loaded, _workers);
        var context = new Context(_workers);
        var cache = new KvCache(model.NumLayers, model.Heads);
        if (model.VirtualTokens is { } tokens) cache.BeginWith(context, tokens);
        int length = oracle.Ids.Length;
        var logits = Tensor.Allocate(DType.Float32, length, model.VocabSize);
        for (int pass = 0; pass < 2; pass++)
        {
            var sequence = cache.Add();
            for (int start = 0, end; start < length; start = end)
            {
                end = start == 0 ? oracle.Division + 1 : start + 1;
                if (start == length - 2)
                {
                    var fork = sequence.Fork();
                    sequence.Release();
                    sequence = fork;
                }
                Assert.Equal(start, sequence.Length);
                context.Reset();
                var part = sequence.Append(0, end - start, oracle.Division);
                var hidden = model.Forward(context, context.Integers(oracle.Ids.AsSpan(start, end - start)), Positions(context, oracle, start, end),
                    (qkv, layer) => context.CachedAttention(qkv, model.Heads, cache.Pages(layer), [part]));
                logits.Slice(start, end - start).CopyFrom(model.Logits(context, hidden));
            }
            Require(oracle, logits);
            sequence.Release();
            logits.Clear();
        }
    }

    /// <summary>Virtual tokens of a GLM-130B, saved and loaded: decoding over the cache, which begins with them, says what a whole pass says.</summary>
    [Fact]
    public void Virtual_tokens_of_glm_130b()
    {
        const int hidden = 24, count = 5;
        var config = new Glm130BConfig { NumLayers = 2, HiddenSize = hidden, InnerHiddenSize = 16, NumAttentionHeads = 3, VocabSize = 20, MaxSequenceLength = 32 };
        var random = new Random(2);
        Tensor Values(params int[] shape) => Tensor.From([.. Enumerable.Range(0, shape.Aggregate((a, b) => a * b)).Select(_ => random.NextSingle() - 0.5f)], shape);
        var tensors = config.Parameters().ToDictionary(p => p.Name, p => Values(p.Shape));
        var plain = config.Create(name => tensors[name]);
        Adapter.SaveVirtualTokens(AdapterFolder, plain, VirtualTokens.FromProjections([Values(count, 3 * hidden), Values(count, 3 * hidden)]));
        var model = Adapter.Apply(AdapterFolder, plain, _workers);
        int[] ids = [3, 1, 4, 1, 5, 9, 2, 6];
        const int division = 4;
        var context = new Context(_workers);
        float[] whole = Run(model), without = Run(plain);
        Assert.True(whole.Zip(without, (a, b) => Math.Abs(a - b)).Max() > 0.1);
        var cache = new KvCache(model.NumLayers, model.Heads);
        cache.BeginWith(context, model.VirtualTokens!);
        var sequence = cache.Add();
        var logits = new List<float>();
        for (int start = 0, end = division + 1; start < ids.Length; start = end++)
        {
            context.Reset();
            var part = sequence.Append(0, end - start, division);
            var step = model.Forward(context, context.Integers(ids.AsSpan(start, end - start)), context.Integers([.. Enumerable.Range(start, end - start)]),
                (qkv, layer) => context.CachedAttention(qkv, model.Heads, cache.Pages(layer), [part]));
            logits.AddRange(model.Logits(context, step).ToArray());
        }
        Close.Require("logits", whole, [.. logits], Tolerance);

        float[] Run(LanguageModel of)
        {
            context.Reset();
            var output = of.Forward(context, context.Integers(ids), context.Integers([.. Enumerable.Range(0, ids.Length)]), of.Within(context, [new(0, ids.Length, division)]));
            return of.Logits(context, output).ToArray();
        }
    }

    /// <summary>Segments of one pass do not see each other, and all of them see the virtual tokens.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Two_sequences_in_one_pass(string name)
    {
        var (oracle, loaded) = Load(name);
        var model = Adapter.Apply(AdapterFolder, loaded, _workers);
        int length = oracle.Ids.Length;
        int[] Twice(int[] values) => [.. values, .. values];
        var context = new Context(_workers);
        Tensor[] axes = [.. oracle.Positions.Select(axis => context.Integers(Twice(axis)))];
        var hidden = model.Forward(context, context.Integers(Twice(oracle.Ids)), new Positions(axes[0], axes.Length == 2 ? axes[1] : null),
            model.Within(context, [new(0, length, oracle.Division), new(length, length, oracle.Division)]));
        var logits = model.Logits(context, hidden);
        Require(oracle, logits.Slice(0, length));
        Require(oracle, logits.Slice(length, length));
    }

    /// <summary>Beside integers the adapter adds what it adds to the numbers that these stand for.</summary>
    [Theory]
    [InlineData(8, false)]
    [InlineData(8, true)]
    [InlineData(4, true)]
    public void Beside_quantised_matrices(int bits, bool packed)
    {
        var (oracle, loaded) = Load("adapters/lora-chatglm2");
        var quantised = Quantization.Quantize(loaded, bits, _workers);
        // A product with the identity gives the numbers of a matrix.
        var context = new Context(_workers);
        var plain = loaded.Config.Create(name =>
        {
            var tensor = quantised.Parameters.First(p => p.Name == name).Tensor;
            if (!tensor.IsQuantized) return tensor;
            float[] identity = new float[tensor.Columns * tensor.Columns], values = new float[tensor.Count];
            for (int i = 0; i < tensor.Columns; i++) identity[i * (tensor.Columns + 1)] = 1;
            float[] turned = context.Linear(Tensor.From(identity, tensor.Columns, tensor.Columns), tensor).ToArray();
            for (int row = 0; row < tensor.Rows; row++)
                for (int column = 0; column < tensor.Columns; column++) values[row * tensor.Columns + column] = turned[column * tensor.Rows + row];
            return Tensor.From(values, tensor.Shape);
        });
        float[] expected = Whole(Adapter.Apply(AdapterFolder, plain, _workers), oracle).ToArray();
        float[] found = Whole(Adapter.Apply(AdapterFolder, packed ? quantised.Packed(_workers) : quantised, _workers), oracle).ToArray();
        Close.Require("logits", expected, found, 2e-3); // packed integers round their inputs to 16 bits
    }

    [Theory]
    [InlineData("lora_A", 5, 7, "lora_A.weight: expected floating-point numbers [3, 32], found Float32 [5, 7]")]
    [InlineData("lora_B", 96, 4, "lora_B.weight: expected floating-point numbers [96, 3], found Float32 [96, 4]")]
    [InlineData("lora_A", 0, 0, "layers.0.self_attention.query_key_value.lora_A.weight, found none")]
    public void Wrong_tensors_are_named(string half, int rows, int columns, string reason)
    {
        var (_, model) = Load("adapters/lora-chatglm2");
        string file = Path.Combine(AdapterFolder, "adapter_model.bin"), other = Path.Combine(AdapterFolder, "adapter_model.safetensors");
        var store = TensorStore.Open(file);
        IEnumerable<TensorEntry> Entries()
        {
            foreach (string name in store.Names)
            {
                bool changed = name.Contains($"layers.0.self_attention.query_key_value.{half}", StringComparison.Ordinal);
                if (!changed) yield return new TensorEntry(name, DType.Float32, store[name].Shape.ToArray(), () => store[name]);
                else if (rows > 0) yield return new TensorEntry(name, DType.Float32, [rows, columns], () => Tensor.Zeros(DType.Float32, rows, columns));
            }
        }
        SafetensorsWriter.Write(other, [.. Entries()], new Dictionary<string, string>());
        string message = Assert.Throws<GlmException>(() => Adapter.Apply(AdapterFolder, model, _workers)).Message;
        Assert.Contains(other, message);
        Assert.Contains(reason, message);
    }

    [Theory]
    [InlineData("base_model.model.transformer.encoder.layers.7.mlp.dense_4h_to_h.lora_A.weight", "layers.7.mlp.dense_4h_to_h: expected a matrix")]
    [InlineData("base_model.model.transformer.embedding.word_embeddings.lora_A.weight", "word_embeddings: expected a matrix")]
    [InlineData("base_model.model.transformer.encoder.layers.0.mlp.dense_4h_to_h.weight", "found another name")]
    public void Targets_that_the_model_does_not_have_are_named(string name, string reason)
    {
        var (_, model) = Load("adapters/lora-chatglm2");
        string file = Path.Combine(AdapterFolder, "adapter_model.safetensors");
        SafetensorsWriter.Write(file, [new TensorEntry(name, DType.Float32, [3, 32], () => Tensor.Zeros(DType.Float32, 3, 32))], new Dictionary<string, string>());
        string message = Assert.Throws<GlmException>(() => Adapter.Apply(AdapterFolder, model, _workers)).Message;
        Assert.Contains(file, message);
        Assert.Contains(reason, message);
    }

    [Theory]
    [InlineData("\"peft_type\": \"LORA\"", "\"peft_type\": \"IA3\"", "peft_type: expected LORA, found IA3")]
    [InlineData("\"bias\":\"none\"", "\"bias\":\"all\"", "bias: expected none, found all")]
    [InlineData("\"r\":3", "\"r\":0", "r: expected 1 to 65536, found 0")]
    [InlineData("\"r\":3", "\"rank\":3", "not a")]
    [InlineData("\"modules_to_save\":null", "\"modules_to_save\":[\"lm_head\"]", "modules_to_save: expected none, found lm_head")]
    [InlineData("\"bias\"", "\"use_dora\":true,\"bias\"", "use_dora")]
    public void Other_configurations_are_refused(string old, string changed, string reason)
    {
        var (_, model) = Load("adapters/lora-chatglm2");
        string file = Path.Combine(AdapterFolder, "adapter_config.json"), text = File.ReadAllText(file).Replace("\": ", "\":", StringComparison.Ordinal);
        string replaced = text.Replace(old.Replace("\": ", "\":", StringComparison.Ordinal), changed, StringComparison.Ordinal);
        Assert.NotEqual(text, replaced);
        File.WriteAllText(file, replaced);
        string message = Assert.Throws<GlmException>(() => Adapter.Apply(AdapterFolder, model, _workers)).Message;
        Assert.Contains(file, message);
        Assert.Contains(reason, message);
    }

    [Fact]
    public void Prefixes_of_other_models_and_missing_files_are_refused()
    {
        var (_, model) = Load("adapters/prefix-chatglm2");
        string Reason(LanguageModel model) => Assert.Throws<GlmException>(() => Adapter.Apply(AdapterFolder, model, _workers)).Message;
        new OracleCase("opt").Save(_folder);
        Assert.Contains("found the architecture opt", Reason(ModelDirectory.Load(_folder)));
        File.Delete(Path.Combine(AdapterFolder, "pytorch_model.bin"));
        new OracleCase("adapters/prefix-chatglm-6b").SaveAdapter(AdapterFolder);
        Assert.Contains("prefix_encoder.embedding.weight: expected floating-point numbers [1 to 16384, 96], found Float32 [5, 128]", Reason(model));
        File.Delete(Path.Combine(AdapterFolder, "pytorch_model.bin"));
        Assert.Contains(AdapterFolder, Reason(model));
        Directory.Delete(AdapterFolder);
        Assert.Contains("expected the directory of an adapter", Reason(model));
    }

    private (OracleCase Oracle, LanguageModel Model) Load(string name)
    {
        var oracle = new OracleCase(name);
        oracle.Save(_folder);
        oracle.SaveAdapter(AdapterFolder);
        return (oracle, ModelDirectory.Load(_folder));
    }

    private Tensor Whole(LanguageModel model, OracleCase oracle)
    {
        int length = oracle.Ids.Length;
        var context = new Context(_workers);
        return model.Logits(context, model.Forward(context, context.Integers(oracle.Ids), Positions(context, oracle, 0, length), model.Within(context, [new(0, length, oracle.Division)])));
    }

    private static Positions Positions(Context context, OracleCase oracle, int start, int end)
    {
        Tensor[] axes = [.. oracle.Positions.Select(axis => context.Integers(axis.AsSpan(start, end - start)))];
        return new Positions(axes[0], axes.Length == 2 ? axes[1] : null);
    }

    private static void Require(OracleCase oracle, Tensor logits)
    {
        foreach (var (row, expected) in oracle.Rows.Zip(oracle.Logits)) Close.Require($"{oracle.Name}: row {row}", expected, logits.Slice(row, 1).ToArray(), Tolerance);
    }
}
