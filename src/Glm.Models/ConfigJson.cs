using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Glm.Models;

/// <summary>Records of configuration as <c>config.json</c>: names in snake case, enumerations by name, unknown fields ignored.</summary>
/// <remarks>By reflection, since serialisation code that is generated loses the initial values of init-only properties; programs can be trimmed all the same.</remarks>
[UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Read keeps all members of the records that there are; what they hold are numbers, strings, and lists and dictionaries of them.")]
internal static class ConfigJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Converters = { ByName<Normalization>(), ByName<RotaryMode>(), ByName<RopeRatioMode>() },
        AllowDuplicateProperties = false,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="what">What it should be, for the error.</param>
    /// <exception cref="GlmException">It is missing, is not JSON, or lacks a field.</exception>
    public static T Read<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.All)] T>(string path, string what = "a model configuration") where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllBytes(path), Options) ?? throw new GlmException($"{path}: the file holds null");
        }
        catch (JsonException error)
        {
            throw new GlmException($"{path}: not {what}: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The text of a file.</summary>
    public static string Write(ModelConfig config) => JsonSerializer.Serialize(config, config.GetType(), Options);

    private static JsonStringEnumConverter<T> ByName<T>() where T : struct, Enum => new(namingPolicy: null, allowIntegerValues: false);
}
