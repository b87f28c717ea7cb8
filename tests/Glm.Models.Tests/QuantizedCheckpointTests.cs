using System.Text.Json.Nodes;
using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>Directories as the hub has quantised ChatGLMs (ChatGLM spec 9), put together from the reference vectors.</summary>
public sealed class QuantizedCheckpointTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-models").FullName;
    private readonly Workers _workers = new(2);

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [WholeReferenceFact]
    public void Give_the_originals_logits()
    {
        int compared = 0;
        foreach (string path in Directory.GetDirectories(TestFiles.Reference, "chatglm*").SelectMany(folder => Directory.GetFiles(folder, "quantized_int*.safetensors")).Order())
        {
            string folder = Path.GetDirectoryName(path)!;
            int bits = path.Contains("int4", StringComparison.Ordinal) ? 4 : 8;
            var quantized = SafetensorsFile.Open(path);
            Save(folder, quantized, bits);
            var model = ModelDirectory.Load(_folder);
            Assert.Equal(4 * model.NumLayers, ModelDirectory.Inventory(_folder)[bits == 4 ? DType.Int4 : DType.Int8].Tensors);
            foreach (string name in quantized.Names.Where(name => name.StartsWith("logits.", StringComparison.Ordinal)))
            {
                var file = SafetensorsFile.Open(Path.Combine(folder, name["logits.".Length..] + ".safetensors"));
                int[] ids = file.Integers("input_ids"), positions = file.Integers("position_ids");
                var context = new Context(_workers);
                var axes = new Positions(context.Integers(positions.AsSpan(0, ids.Length)), model.PositionAxes == 2 ? context.Integers(positions.AsSpan(ids.Length)) : null);
                AttentionSegment[] segments = model.IsCausal ? [new(0, ids.Length, 0)] : ReferenceModel.Segments(file, "input_ids");
                var logits = model.Logits(context, model.Forward(context, context.Integers(ids), axes, model.Within(context, segments)));
                Close.Require($"{path}: {name}", quantized[name].ToArray(), logits.ToArray(), 1e-4);
                compared++;
            }
        }
        Assert.True(compared > 0, "nothing was compared");
    }

    /// <summary>Packed matrices with their scales, everything else in float16.</summary>
    private void Save(string folder, SafetensorsFile quantized, int bits)
    {
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!;
        config["quantization_bit"] = bits;
        File.WriteAllText(Path.Combine(_folder, ModelDirectory.ConfigFile), config.ToJsonString());
        var weights = SafetensorsFile.Open(Path.Combine(folder, "weights.safetensors"));
        var entries = new List<TensorEntry>();
        foreach (string name in quantized.Names.Where(name => !name.StartsWith("logits.", StringComparison.Ordinal)))
            entries.Add(new TensorEntry(name, quantized[name].Type, quantized[name].Shape.ToArray(), () => quantized[name]));
        foreach (string name in weights.Names.Where(name => quantized.FindInfo(name) is null))
            entries.Add(new TensorEntry(name, DType.Float16, weights[name].Shape.ToArray(), () => weights[name].To(DType.Float16)));
        SafetensorsWriter.Write(Path.Combine(_folder, ModelDirectory.WeightsFile), entries, new Dictionary<string, string>());
    }
}
