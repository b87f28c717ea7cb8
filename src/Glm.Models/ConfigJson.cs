using System.Text.Json;
using System.Text.Json.Serialization;

namespace Glm.Models;

/// <summary>Records of configuration as <c>config.json</c>: names in snake case, enumerations by name, unknown fields ignored.</summary>
internal static class ConfigJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter(namingPolicy: null, allowIntegerValues: false) },
        AllowDuplicateProperties = false,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    /// <summary>Reads a file.</summary>
    /// <exception cref="GlmException">It is missing, is not JSON, or lacks a field.</exception>
    public static T Read<T>(string path) where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllBytes(path), Options) ?? throw new GlmException($"{path}: the file holds null");
        }
        catch (JsonException error)
        {
            throw new GlmException($"{path}: not a model configuration: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The text of a file.</summary>
    public static string Write(ModelConfig config) => JsonSerializer.Serialize(config, config.GetType(), Options);
}
