using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Glm.Inference;

/// <summary>How the values of JSON are written: as JSON, or as literals of Python.</summary>
internal sealed class JsonNotation
{
    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static readonly JsonNotation Json = new() { Quote = "\"", Escapes = "\"\\/bfnrt", Plain = [(' ', '!'), ('#', '['), (']', 0x10FFFF)] };

    public static readonly JsonNotation Python = new() { Quote = "'", Escapes = "'\\nrt", Plain = [(' ', '&'), ('(', '['), (']', 0x10FFFF)] };

    private JsonNotation() { }

    /// <summary>What a string begins and ends with.</summary>
    public required string Quote { get; init; }

    /// <summary>Characters that may follow a backslash in a string, beside <c>u</c> and four digits.</summary>
    public required string Escapes { get; init; }

    /// <summary>Characters that stand in a string as they are.</summary>
    public required (int, int)[] Plain { get; init; }

    /// <summary>A value as it is written.</summary>
    public string Write(JsonNode? value) => this == Json ? value?.ToJsonString(Relaxed) ?? "null" : value switch
    {
        null => "None",
        JsonArray list => $"[{string.Join(", ", list.Select(Write))}]",
        JsonObject entries => $"{{{string.Join(", ", entries.Select(entry => $"{Write(entry.Key)}: {Write(entry.Value)}"))}}}",
        _ => value.GetValueKind() switch
        {
            JsonValueKind.True => "True",
            JsonValueKind.False => "False",
            JsonValueKind.String => $"'{string.Concat(value.GetValue<string>().Select(Escape))}'",
            _ => value.ToJsonString(),
        },
    };

    private static string Escape(char c) => c switch
    {
        '\'' or '\\' => $"\\{c}",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        < ' ' => $"\\u{(int)c:x4}",
        _ => c.ToString(),
    };
}
