using System.Text.Json;
using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>
/// A case of <c>tests/reference-own</c>: a configuration, the tensors of a checkpoint under its names, an input and the logits of some rows, written by an oracle in
/// float64. The weights are a function of name and index that both sides compute (<c>tests/oracle/common.py</c>).
/// </summary>
internal sealed class OracleCase
{
    private readonly JsonElement _root;

    public OracleCase(string name)
    {
        Name = name;
        _root = JsonDocument.Parse(File.ReadAllText(Path.Combine(TestFiles.Oracle, name + ".json"))).RootElement;
    }

    public static TheoryData<string> Names => [.. Directory.GetFiles(TestFiles.Oracle, "*.json").Select(file => Path.GetFileNameWithoutExtension(file)).Order()];

    public string Name { get; }

    /// <summary>Cases of models with an adapter, which lie in a folder of their own.</summary>
    public static TheoryData<string> Adapters => [.. Directory.GetFiles(Path.Combine(TestFiles.Oracle, "adapters"), "*.json").Select(file => "adapters/" + Path.GetFileNameWithoutExtension(file)).Order()];

    public int[] Ids => Integers(_root.GetProperty("ids"));

    /// <summary>Position ids of every axis.</summary>
    public int[][] Positions => [.. _root.GetProperty("positions").EnumerateArray().Select(Integers)];

    public int Division => _root.GetProperty("division").GetInt32();

    public int[] Rows => Integers(_root.GetProperty("rows"));

    public float[][] Logits => [.. _root.GetProperty("logits").EnumerateArray().Select(row => row.EnumerateArray().Select(value => value.GetSingle()).ToArray())];

    /// <summary>Writes what a hub would hold: <c>config.json</c> and the weights, with a buffer that loading ignores.</summary>
    public void Save(string folder)
    {
        File.WriteAllText(Path.Combine(folder, ModelDirectory.ConfigFile), _root.GetProperty("config").GetRawText());
        var entries = _root.GetProperty("tensors").EnumerateObject().Select(tensor => (tensor.Name, Shape: Integers(tensor.Value)))
            .Select(tensor => new TensorEntry(tensor.Name, DType.Float32, tensor.Shape, () => Weights(tensor.Name, tensor.Shape)))
            .Append(new TensorEntry("rotary_emb.inv_freq", DType.Float32, [2], () => Tensor.From([1, 0.1f], 2)));
        SafetensorsWriter.Write(Path.Combine(folder, ModelDirectory.WeightsFile), [.. entries], new Dictionary<string, string>());
    }

    /// <summary>Writes the folder of an adapter: as PEFT saves it, or the prefix encoder alone.</summary>
    public void SaveAdapter(string folder)
    {
        Directory.CreateDirectory(folder);
        var config = _root.GetProperty("adapter_config");
        bool lora = config.ValueKind == JsonValueKind.Object;
        if (lora) File.WriteAllText(Path.Combine(folder, "adapter_config.json"), config.GetRawText());
        TensorEntry[] entries = [.. _root.GetProperty("adapter_tensors").EnumerateObject().Select(tensor => (tensor.Name, Shape: Integers(tensor.Value)))
            .Select(tensor => new TensorEntry(tensor.Name, DType.Float32, tensor.Shape, () => Weights(tensor.Name, tensor.Shape)))];
        // PEFT writes either; training of P-Tuning v2 wrote the older.
        if (lora && Name.Contains("native", StringComparison.Ordinal)) SafetensorsWriter.Write(Path.Combine(folder, "adapter_model.safetensors"), entries, new Dictionary<string, string>());
        else TorchWriter.Write(Path.Combine(folder, lora ? "adapter_model.bin" : "pytorch_model.bin"), entries);
    }

    private static Tensor Weights(string name, int[] shape)
    {
        ulong key = 0xCBF29CE484222325;
        foreach (char c in name) key = (key ^ c) * 0x100000001B3;
        float[] values = new float[shape.Aggregate(1, (count, size) => count * size)];
        for (int i = 0; i < values.Length; i++)
        {
            ulong z = key + (ulong)i + 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            z ^= z >> 31;
            float u = ((int)(z >> 48) - 32768) / 32768f;
            values[i] = shape.Length > 1 ? u / (1 << (int.Log2(shape[^1]) / 2)) : name.EndsWith("weight", StringComparison.Ordinal) ? 1 + u / 4 : u / 8;
        }
        return Tensor.From(values, shape);
    }

    private static int[] Integers(JsonElement array) => [.. array.EnumerateArray().Select(value => value.GetInt32())];
}
