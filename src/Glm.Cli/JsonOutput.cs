using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Glm.Cli;

/// <summary>The form of everything that <c>--json</c> prints: one object on one line, snake case, text as it is rather than escaped.</summary>
internal static class JsonOutput
{
    private static JsonSerializerOptions Form { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static void WriteJson<T>(this Terminal terminal, T value) => terminal.Out.WriteLine(JsonSerializer.Serialize(value, Form));
}
