using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>The forward pass against the original code (SwissArmyTransformer's GLM130B) on every case of the reference folder.</summary>
public sealed class Glm130BForwardTests : IDisposable
{
    private const double Tolerance = 1e-4;
    private readonly Workers _workers = new(2);

    public static TheoryData<string> Cases => ReferenceModel.Files("glm130b-tiny", "case*.safetensors");

    public static TheoryData<string> CasesWith(string name)
    {
        var cases = new TheoryData<string>();
        foreach (string file in Cases)
            if (ReferenceModel.Case(file).Find(name, out _)) cases.Add(file);
        return cases;
    }

    public void Dispose() => _workers.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Hidden_states_and_logits_are_the_originals(string name)
    {
        var file = ReferenceModel.Case(name);
        var model = ReferenceModel.Load();
        var segments = ReferenceModel.Segments(file);
        var context = new Context(_workers);
        var hidden = Forward(context, model, file, segments, (layer, x) =>
            Compare(layer < 0 ? "embedding" : $"hidden.layer{layer}", file, segments, x, everyRow: layer < 0));
        Compare("final_layernorm", file, segments, hidden);
        Compare("logits", file, segments, model.Logits(context, hidden));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Other_rotary_modes_are_the_originals(string name)
    {
        var file = ReferenceModel.Case(name);
        var segments = ReferenceModel.Segments(file);
        foreach (var (mode, expected) in new[] { (RotaryMode.Exact, "logits.rotary_exact"), (RotaryMode.Fp16Table, "logits.rotary_fp16_table") })
        {
            var model = ReferenceModel.Load(mode);
            var context = new Context(_workers);
            Compare(expected, file, segments, model.Logits(context, Forward(context, model, file, segments)));
        }
    }

    [Theory]
    [MemberData(nameof(CasesWith), "incremental.logits")]
    public void Cached_decoding_is_the_originals(string name)
    {
        var file = ReferenceModel.Case(name);
        var model = ReferenceModel.Load();
        int division = Assert.Single(ReferenceModel.Segments(file)).Division;
        int[] tokens = file.Integers("tokens"), positions = file.Integers("position_ids");
        var expected = file["incremental.logits"];
        int prompt = tokens.Length - (expected.Rows - 1);
        var cache = new KvCache(model.Config.NumLayers, model.Heads);
        var sequence = cache.Add();
        var context = new Context(_workers);
        IReadOnlyList<int> pages = [];
        for (int start = 0, end = prompt; end <= tokens.Length; start = end, end++)
        {
            context.Reset();
            var part = sequence.Append(0, end - start, division);
            pages = part.Pages;
            var hidden = model.Forward(context, context.Integers(tokens[start..end]), context.Integers(positions[start..end]),
                (qkv, layer) => context.CachedAttention(qkv, model.Heads, cache.Pages(layer), [part]));
            var last = context.SelectRows(hidden, context.Integers([end - start - 1]));
            Close.Require($"{name}: incremental.logits {end - prompt}", expected.Slice(end - prompt, 1).ToArray(), model.Logits(context, last).ToArray(), Tolerance);
        }
        for (int layer = 0; layer < model.Config.NumLayers; layer++)
            Close.Require($"{name}: incremental.mems {layer}", file["incremental.mems"].Slice(layer, 1).ToArray(), Mems(cache, layer, pages, tokens.Length, model.Heads), Tolerance);
    }

    /// <summary>Each step of a layer by itself, from the original's inputs of that step.</summary>
    [WholeReferenceFact]
    public void Every_step_of_every_layer_is_the_originals()
    {
        var cases = CasesWith("detail.layer0.input_layernorm");
        Assert.NotEmpty(cases);
        foreach (string name in cases) RequireEveryStep(name);
    }

    private void RequireEveryStep(string name)
    {
        var file = ReferenceModel.Case(name);
        var weights = ReferenceModel.Weights();
        var config = ReferenceModel.Config();
        var segments = ReferenceModel.Segments(file);
        var heads = HeadLayout.Interleaved(config.NumAttentionHeads, config.HeadSize);
        var tables = new RotaryTables(config.MaxSequenceLength, config.HeadSize, config.RotaryMode);
        var context = new Context(_workers);
        for (int layer = 0; layer < config.NumLayers; layer++)
        {
            Tensor Weight(string part) => weights[$"transformer.layers.{layer}.{part}"];
            Tensor Detail(string part) => Flat(file[$"detail.layer{layer}.{part}"]);
            void Check(string part, Tensor actual) => Compare($"detail.layer{layer}.{part}", file, segments, actual);
            Tensor Linear(Tensor x, string part) => context.Linear(x, Weight(part + ".weight"), Weight(part + ".bias"));
            Tensor Norm(Tensor x, string part) => context.LayerNorm(x, Weight(part + ".weight"), Weight(part + ".bias"), config.LayernormEpsilon);

            Tensor input = Flat(file[layer == 0 ? "embedding" : $"hidden.layer{layer - 1}"]), a = Detail("input_layernorm");
            Check("input_layernorm", Norm(input, "input_layernorm"));
            Check("query_key_value", Linear(a, "attention.query_key_value"));
            var qkv = context.Floats(Detail("query_key_value").ToArray(), a.Rows, 3 * config.HiddenSize);
            context.Rotary(qkv, heads, context.Integers(file.Integers("position_ids")), tables.Cos, tables.Sin);
            float[] rotated = qkv.ToArray();
            Check("query_rotated", Part(context, rotated, config, 0));
            Check("key_rotated", Part(context, rotated, config, 1));
            Check("attention_dense", Linear(context.Attention(qkv, heads, segments), "attention.dense"));
            RequireProbabilities(context, file[$"detail.layer{layer}.attention_probs"], rotated, heads, segments);
            var m = Detail("post_attention_layernorm");
            Check("post_attention_layernorm", Norm(context.Residual(a, Detail("attention_dense"), config.Alpha), "post_attention_layernorm"));
            Check("dense_h_to_4h", Linear(m, "mlp.dense_h_to_4h"));
            Check("geglu", context.GeGlu(Detail("dense_h_to_4h")));
            Check("dense_4h_to_h", Linear(Detail("geglu"), "mlp.dense_4h_to_h"));
            Compare($"hidden.layer{layer}", file, segments, context.Residual(m, Detail("dense_4h_to_h"), config.Alpha));
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_number_of_threads_changes_nothing(string name)
    {
        var file = ReferenceModel.Case(name);
        var segments = ReferenceModel.Segments(file);
        var model = ReferenceModel.Load();
        float[][] logits = [.. new[] { 1, 2, 3 }.Select(threads =>
        {
            using var workers = new Workers(threads);
            var context = new Context(workers);
            return model.Logits(context, Forward(context, model, file, segments)).ToArray();
        })];
        Assert.Equal(logits[0], logits[1]);
        Assert.Equal(logits[0], logits[2]);
    }

    private static Tensor Forward(
        Context context, Glm130B model, SafetensorsFile file, AttentionSegment[] segments, Action<int, Tensor>? observe = null) =>
        model.Forward(context, context.Integers(file.Integers("tokens")), context.Integers(file.Integers("position_ids")), model.Within(context, segments), observe);

    /// <summary>Compares the rows that are no padding.</summary>
    private static void Compare(string what, SafetensorsFile file, AttentionSegment[] segments, Tensor actual, bool everyRow = false)
    {
        var expected = Flat(file[what]);
        Assert.Equal(expected.Shape.ToArray(), actual.Shape.ToArray());
        if (everyRow) segments = [new AttentionSegment(0, actual.Rows, 0)];
        foreach (var segment in segments)
            Close.Require($"{file.Path}: {what}, rows from {segment.Start}",
                expected.Slice(segment.Start, segment.Length).ToArray(), actual.Slice(segment.Start, segment.Length).ToArray(), Tolerance);
    }

    /// <summary>[batch, seq, …] as [batch x seq, …] with the rest in one dimension.</summary>
    private static Tensor Flat(Tensor tensor)
    {
        int rows = tensor.Shape[0] * tensor.Shape[1];
        return tensor.Reshape(rows, (int)(tensor.Count / rows));
    }

    /// <summary>Queries (0) or keys (1) of all heads out of the fused projection.</summary>
    private static Tensor Part(Context context, float[] qkv, Glm130BConfig config, int part)
    {
        int size = config.HeadSize;
        var values = qkv.Chunk(3 * size).SelectMany(head => head.AsSpan(part * size, size).ToArray()).ToArray();
        return context.Floats(values, qkv.Length / (3 * config.HiddenSize), config.HiddenSize);
    }

    /// <summary>Attention over values that are unit vectors gives the probabilities themselves, one block of keys at a time.</summary>
    private static void RequireProbabilities(Context context, Tensor expected, float[] rotated, HeadLayout heads, AttentionSegment[] segments)
    {
        int size = heads.HeadSize, row = 3 * size * heads.Heads;
        var segment = Assert.Single(segments);
        float[] probabilities = expected.ToArray();
        for (int block = 0; block < segment.Length; block += size)
        {
            var values = (float[])rotated.Clone();
            for (int i = 0; i < segment.Length; i++)
                for (int head = 0; head < heads.Heads; head++)
                    for (int j = 0; j < size; j++)
                        values[i * row + head * heads.KeyValueStride + heads.ValueOffset + j] = i == block + j ? 1 : 0;
            float[] output = context.Attention(context.Floats(values, segment.Length, row), heads, segments).ToArray();
            for (int i = 0; i < segment.Length; i++)
                for (int head = 0; head < heads.Heads; head++)
                    for (int j = 0; j < Math.Min(size, segment.Length - block); j++)
                        Assert.Equal(probabilities[(head * segment.Length + i) * segment.Length + block + j], output[(i * heads.Heads + head) * size + j], Tolerance);
        }
    }

    /// <summary>The cache of a layer in the original's order: per token the keys of all heads, then the values.</summary>
    private static float[] Mems(KvCache cache, int layer, IReadOnlyList<int> table, int length, HeadLayout heads)
    {
        const int PageTokens = CachedAttentionOperation.PageTokens;
        int size = heads.HeadSize, width = heads.KeyValueHeads * size;
        float[] pages = cache.Pages(layer).ToArray(), mems = new float[length * 2 * width];
        for (int token = 0; token < length; token++)
            for (int part = 0; part < 2; part++)
                for (int head = 0; head < heads.KeyValueHeads; head++)
                {
                    int page = ((table[token / PageTokens] * 2 + part) * heads.KeyValueHeads + head) * PageTokens * size, target = (token * 2 + part) * width + head * size;
                    for (int j = 0; j < size; j++) mems[target + j] = pages[page + (part == 0 ? j * PageTokens + token % PageTokens : token % PageTokens * size + j)];
                }
        return mems;
    }
}
