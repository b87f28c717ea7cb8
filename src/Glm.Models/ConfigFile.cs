namespace Glm.Models;

/// <summary>A <c>config.json</c> of any architecture.</summary>
public static class ConfigFile
{
    /// <summary>Reads the configuration, of the architecture that its fields tell: <c>model_type</c>, and where two have the same one, fields that one of them alone has.</summary>
    /// <exception cref="GlmException">The file is missing, is not JSON, lacks a field, or describes a model that is impossible or not supported.</exception>
    public static ModelConfig Load(string path)
    {
        var fields = ConfigJson.Read<Telling>(path);
        return fields.ModelType switch
        {
            Glm130BConfig.Type => Glm130BConfig.Load(path),
            ChatGlm6BConfig.Type or null when fields.PositionEncoding2D is not null => ChatGlm6BConfig.Load(path),
            ChatGlm2Config.Type or null when fields.FfnHiddenSize is not null => ChatGlm2Config.Load(path),
            ChatGlm6BConfig.Type => ChatGlm6BConfig.Load(path),
            GlmNativeConfig.Type when fields.IntermediateSize is not null => ConfigJson.Read<GlmNativeConfig>(path).ToChatGlm2(path),
            GlmSmallConfig.Type => GlmSmallConfig.Load(path),
            OptConfig.Type => OptConfig.Load(path),
            BloomConfig.Type => BloomConfig.Load(path),
            null => Glm130BConfig.Load(path),
            var other => throw new GlmException(
                $"{path}: model_type: expected {Glm130BConfig.Type}, {ChatGlm2Config.Type}, {GlmSmallConfig.Type}, {OptConfig.Type} or {BloomConfig.Type}, found {other}"),
        };
    }

    /// <summary>The fields that tell architectures apart.</summary>
    private sealed record Telling
    {
        public string? ModelType { get; init; }

        [System.Text.Json.Serialization.JsonPropertyName("position_encoding_2d")]
        public bool? PositionEncoding2D { get; init; }

        public int? FfnHiddenSize { get; init; }

        public int? IntermediateSize { get; init; }
    }
}
