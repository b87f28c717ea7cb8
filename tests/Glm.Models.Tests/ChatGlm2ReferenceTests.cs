using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>The forward pass against the original ChatGLM2-6B and ChatGLM3-6B modelling code on every case of the reference folders.</summary>
public sealed class ChatGlm2ReferenceTests : IDisposable
{
    private const double Tolerance = 1e-4;

    // Inputs of packed weights are rounded to 16 bits in blocks, which these random layers make some twenty times larger.
    private const double PackedTolerance = 2e-3;
    private readonly Workers _workers = new(2);

    public void Dispose() => _workers.Dispose();

    [WholeReferenceFact]
    public void Hidden_states_and_logits_are_the_originals()
    {
        foreach (string path in Files("case*.safetensors"))
        {
            var file = SafetensorsFile.Open(path);
            var model = Load(path);
            var segments = Segments(file);
            var context = new Context(_workers);
            var hidden = model.Forward(context, context.Integers(file.Integers("input_ids")), context.Integers(file.Integers("position_ids")), model.Within(context, segments),
                (layer, x) => Compare($"hidden_states.{layer + 1}", file, segments, x));
            Compare("logits", file, segments, model.Logits(context, hidden));
        }
    }

    /// <summary>Rows of a batch as sequences of a cache, whose lengths differ; the padding of the original does not exist there.</summary>
    [WholeReferenceFact]
    public void A_batch_of_cached_sequences_gives_the_originals_logits()
    {
        foreach (string path in Files("case*.safetensors"))
        {
            var file = SafetensorsFile.Open(path);
            var model = Load(path);
            var segments = Segments(file);
            var cache = new KvCache(model.NumLayers, model.Heads);
            int[] Real(string name) => [.. segments.SelectMany(s => file.Integers(name).AsSpan(s.Start, s.Length).ToArray())];
            int row = 0;
            CachedSequence[] sequences = [.. segments.Select(s => cache.Add().Append((row += s.Length) - s.Length, s.Length, 0))];
            var context = new Context(_workers);
            var hidden = model.Forward(context, context.Integers(Real("input_ids")), context.Integers(Real("position_ids")),
                (qkv, layer) => context.CachedAttention(qkv, model.Heads, cache.Pages(layer), sequences));
            var logits = model.Logits(context, hidden);
            foreach (var (segment, sequence) in segments.Zip(sequences))
                Close.Require($"{path}: logits, rows from {segment.Start}", Flat(file["logits"]).Slice(segment.Start, segment.Length).ToArray(),
                    logits.Slice(sequence.Start, sequence.Length).ToArray(), Tolerance);
        }
    }

    [WholeReferenceFact]
    public void Cached_decoding_is_the_originals()
    {
        int compared = 0;
        foreach (string path in Files("case*.safetensors"))
        {
            var file = SafetensorsFile.Open(path);
            if (!file.Find("incremental.logits", out var expected)) continue;
            var model = Load(path);
            int[] tokens = file.Integers("input_ids"), positions = file.Integers("position_ids");
            int prompt = file.Integers("incremental.prefill_length")[0];
            var cache = new KvCache(model.NumLayers, model.Heads);
            Assert.Equal(model.Config.MultiQueryGroupNum, cache.Pages(0).Shape[2]);
            var sequence = cache.Add();
            var context = new Context(_workers);
            for (int start = 0, end = prompt; end <= tokens.Length; start = end, end++, compared++)
            {
                context.Reset();
                var part = sequence.Append(0, end - start, 0);
                var hidden = model.Forward(context, context.Integers(tokens[start..end]), context.Integers(positions[start..end]),
                    (qkv, layer) => context.CachedAttention(qkv, model.Heads, cache.Pages(layer), [part]));
                var last = context.SelectRows(hidden, context.Integers([end - start - 1]));
                Close.Require($"{path}: incremental.logits {end - prompt}", expected.Slice(end - prompt, 1).ToArray(), model.Logits(context, last).ToArray(), Tolerance);
            }
        }
        Assert.True(compared > 0, "no step was compared");
    }

    [WholeReferenceFact]
    public void Quantised_weights_give_the_originals_logits()
    {
        foreach (string path in Files("quantized_*.safetensors"))
        {
            var quantized = SafetensorsFile.Open(path);
            var model = Load(path, quantized);
            foreach (string name in quantized.Names.Where(name => name.StartsWith("logits.", StringComparison.Ordinal)))
            {
                var file = SafetensorsFile.Open(Path.Combine(Path.GetDirectoryName(path)!, name["logits.".Length..] + ".safetensors"));
                var segments = Segments(file);
                var context = new Context(_workers);
                var hidden = model.Forward(context, context.Integers(file.Integers("input_ids")), context.Integers(file.Integers("position_ids")), model.Within(context, segments));
                Compare(name, quantized, segments, model.Logits(context, hidden));
                float[] Logits(LanguageModel other)
                {
                    var x = other.Forward(context, context.Integers(file.Integers("input_ids")), context.Integers(file.Integers("position_ids")), other.Within(context, segments));
                    return other.Logits(context, x).ToArray();
                }

                var packed = model.Packed(_workers);
                Assert.True(packed.Parameters.Any(p => p.Tensor.IsPacked), $"{path}: nothing was packed");
                Close.Require($"{path}: {name}, packed", Logits(ReferenceModel.Unrounded(model)), Logits(packed), PackedTolerance);
            }
        }
    }

    /// <summary>The files of a kind in every folder of this architecture, of which there must be some.</summary>
    private static List<string> Files(string pattern)
    {
        List<string> files = [.. Directory.GetDirectories(TestFiles.Reference, "chatglm*")
            .Where(folder => File.ReadAllText(Path.Combine(folder, "config.json")).Contains("multi_query_attention", StringComparison.Ordinal))
            .SelectMany(folder => Directory.GetFiles(folder, pattern)).Order()];
        Assert.NotEmpty(files);
        return files;
    }

    /// <summary>The model beside a file; with a quantised file in place of what it holds, and everything else rounded to float16.</summary>
    private static ChatGlm2 Load(string path, SafetensorsFile? quantized = null)
    {
        string folder = Path.GetDirectoryName(path)!;
        var config = ChatGlm2Config.Load(Path.Combine(folder, "config.json"));
        var weights = SafetensorsFile.Open(Path.Combine(folder, "weights.safetensors"));
        var shapes = ChatGlm2.Shapes(config).ToDictionary(p => p.Name, p => p.Shape);
        return new ChatGlm2(config, name =>
        {
            if (quantized is null) return weights[name];
            if (quantized.Find(name, out var packed)) return packed.AsQuantized(shapes[name][0], shapes[name][1], quantized[name + "_scale"]);
            return weights[name].To(DType.Float16).To(DType.Float32);
        });
    }

    /// <summary>The rows that are no padding, of each row of the batch.</summary>
    private static AttentionSegment[] Segments(SafetensorsFile file)
    {
        int batch = file["input_ids"].Shape[0], length = file["input_ids"].Shape[1];
        int[] real = file.Find("attention_mask", out _) ? file.Integers("attention_mask") : [.. Enumerable.Repeat(1, batch * length)];
        return [.. Enumerable.Range(0, batch).Select(b =>
        {
            int padding = Array.IndexOf(real, 1, b * length, length) - b * length;
            return new AttentionSegment(b * length + padding, length - padding, 0);
        })];
    }

    private static void Compare(string what, SafetensorsFile file, AttentionSegment[] segments, Tensor actual)
    {
        var expected = Flat(file[what]);
        Assert.Equal(expected.Shape.ToArray(), actual.Shape.ToArray());
        foreach (var segment in segments)
            Close.Require($"{file.Path}: {what}, rows from {segment.Start}",
                expected.Slice(segment.Start, segment.Length).ToArray(), actual.Slice(segment.Start, segment.Length).ToArray(), Tolerance);
    }

    private static Tensor Flat(Tensor tensor) => tensor.Reshape(tensor.Shape[0] * tensor.Shape[1], tensor.Shape[2]);
}
