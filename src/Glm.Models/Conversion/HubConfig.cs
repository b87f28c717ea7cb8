using System.Text.Json.Nodes;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>The <c>config.json</c> of a directory as hubs have it: what the source's says besides the shape stays in it, since other software reads it.</summary>
internal static class HubConfig
{
    /// <summary>The text of the file.</summary>
    /// <param name="source">The directory of the source.</param>
    /// <param name="config">The shape.</param>
    /// <param name="quantized">What matrices are quantised to by row, if they are.</param>
    /// <param name="type">The type of the rest, if all of it has one.</param>
    public static string Text(string source, ModelConfig config, DType? quantized, DType? type)
    {
        string file = Path.Combine(source, ModelDirectory.ConfigFile);
        var shape = Parse(config.ToJson());
        var fields = File.Exists(file) ? Parse(File.ReadAllText(file)) : [];
        // Tensors have the original's names, so a configuration in other words does not describe them.
        if (fields["model_type"] is { } named && named.ToString() != shape["model_type"]?.ToString()) fields = [];
        foreach (var (name, value) in shape) fields[name] = value?.DeepClone();
        fields.Remove("quantization_bit");
        if (quantized is { } bits) fields["quantization_bit"] = bits == DType.Int8 ? 8 : 4;
        if (type is { } floats) fields["torch_dtype"] = floats.ToString().ToLowerInvariant();
        return fields.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true });
    }

    private static JsonObject Parse(string text) => JsonNode.Parse(text)!.AsObject();
}
