using System.Text.Json;
using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>The forward pass against the original ChatGLM-6B modelling code on every case of the reference folders.</summary>
public sealed class ChatGlm6BReferenceTests : IDisposable
{
    private const double Tolerance = 1e-4;

    // Inputs of packed weights are rounded to 16 bits in blocks.
    private const double PackedTolerance = 2e-4;

    private readonly Workers _workers = new(2);

    public void Dispose() => _workers.Dispose();

    [WholeReferenceFact]
    public void Hidden_states_and_logits_are_the_originals()
    {
        foreach (string path in Files("case*.safetensors"))
        {
            var file = SafetensorsFile.Open(path);
            var model = Load(path);
            var context = new Context(_workers);
            var hidden = Forward(context, model, file, (layer, x) =>
            {
                if (layer < model.NumLayers - 1) Compare($"hidden_states.{layer + 1}", file, x);
            });
            Compare($"hidden_states.{model.NumLayers}", file, hidden);
            Compare("logits", file, model.Logits(context, hidden));
        }
    }

    /// <summary>Context in one pass, then token by token; and what sequences that fill a blank are told their positions are.</summary>
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
            int prompt = tokens.Length - (expected.Rows - 1), division = prompt - 1;
            var place = new BlankPlace(division, positions[division], RunsOn: false);
            Assert.Equal(positions, Enumerable.Range(0, 2 * tokens.Length)
                .Select(i => i < tokens.Length ? model.PositionOf(i, place).Token : model.PositionOf(i - tokens.Length, place).Block));
            var cache = new KvCache(model.NumLayers, model.Heads);
            var sequence = cache.Add();
            var context = new Context(_workers);
            for (int start = 0, end = prompt; end <= tokens.Length; start = end, end++, compared++)
            {
                context.Reset();
                var part = sequence.Append(0, end - start, division);
                var at = new Positions(context.Integers(positions[start..end]), context.Integers(positions[(tokens.Length + start)..(tokens.Length + end)]));
                var hidden = model.Forward(context, context.Integers(tokens[start..end]), at, (qkv, layer) => context.CachedAttention(qkv, model.Heads, cache.Pages(layer), [part]));
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
                var context = new Context(_workers);
                Close.Require($"{path}: {name}", quantized[name].ToArray(), model.Logits(context, Forward(context, model, file)).ToArray(), Tolerance);
                var packed = model.Packed(_workers);
                Assert.True(packed.Parameters.Any(p => p.Tensor.IsPacked), $"{path}: nothing was packed");
                var unrounded = ReferenceModel.Unrounded(model);
                Close.Require($"{path}: {name}, packed", unrounded.Logits(context, Forward(context, unrounded, file)).ToArray(),
                    packed.Logits(context, Forward(context, packed, file)).ToArray(), PackedTolerance);
            }
        }
    }

    /// <summary>The files of a kind in every folder of this architecture, of which there must be some.</summary>
    private static List<string> Files(string pattern)
    {
        List<string> files = [.. Directory.GetDirectories(TestFiles.Reference)
            .Where(folder => Path.Combine(folder, "config.json") is var config && File.Exists(config)
                && JsonDocument.Parse(File.ReadAllText(config)).RootElement.TryGetProperty("position_encoding_2d", out _))
            .SelectMany(folder => Directory.GetFiles(folder, pattern)).Order()];
        Assert.NotEmpty(files);
        return files;
    }

    /// <summary>The model beside a file; with a quantised file in place of what it holds, and everything else rounded to float16.</summary>
    private static ChatGlm6B Load(string path, SafetensorsFile? quantized = null)
    {
        string folder = Path.GetDirectoryName(path)!;
        var config = ChatGlm6BConfig.Load(Path.Combine(folder, "config.json"));
        var weights = SafetensorsFile.Open(Path.Combine(folder, "weights.safetensors"));
        var shapes = config.Parameters().ToDictionary(p => p.Name, p => p.Shape);
        return config.Create(name =>
        {
            if (quantized is null) return weights[name];
            if (quantized.Find(name, out var packed)) return packed.AsQuantized(shapes[name][0], shapes[name][1], quantized[name + "_scale"]);
            return weights[name].To(DType.Float16).To(DType.Float32);
        });
    }

    private static Tensor Forward(Context context, LanguageModel model, SafetensorsFile file, Action<int, Tensor>? observe = null)
    {
        int batch = file["input_ids"].Shape[0], length = file["input_ids"].Shape[1];
        int[] positions = file.Integers("position_ids");
        int[] Axis(int axis) => [.. Enumerable.Range(0, batch).SelectMany(b => positions.AsSpan((2 * b + axis) * length, length).ToArray())];
        return model.Forward(
            context, context.Integers(file.Integers("input_ids")), new Positions(context.Integers(Axis(0)), context.Integers(Axis(1))),
            model.Within(context, ReferenceModel.Segments(file, "input_ids")), observe);
    }

    /// <summary>Compares the rows that are no padding.</summary>
    private static void Compare(string what, SafetensorsFile file, Tensor actual)
    {
        var expected = file[what].Reshape(actual.Shape);
        foreach (var segment in ReferenceModel.Segments(file, "input_ids"))
            Close.Require($"{file.Path}: {what}, rows from {segment.Start}",
                expected.Slice(segment.Start, segment.Length).ToArray(), actual.Slice(segment.Start, segment.Length).ToArray(), Tolerance);
    }
}
