using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Glm.Tokenizers;

/// <summary>JSON as Python's <c>json.dumps(x, indent=4, ensure_ascii=False)</c> writes it, to the byte: models were trained on that form.</summary>
internal static class PythonJson
{
    private const int Indent = 4;

    /// <summary>The text of a value.</summary>
    public static string Write(JsonNode? node)
    {
        var text = new StringBuilder();
        Write(node, depth: 1, text);
        return text.ToString();
    }

    private static void Write(JsonNode? node, int depth, StringBuilder text)
    {
        switch (node)
        {
            case JsonObject { Count: > 0 } entries:
                WriteLines('{', entries, entry =>
                {
                    WriteString(entry.Key, text);
                    text.Append(": ");
                    Write(entry.Value, depth + 1, text);
                }, '}', depth, text);
                break;
            case JsonArray { Count: > 0 } items:
                WriteLines('[', items, item => Write(item, depth + 1, text), ']', depth, text);
                break;
            case JsonValue value when value.TryGetValue(out string? s):
                WriteString(s, text);
                break;
            default:
                text.Append(node?.ToJsonString() ?? "null");
                break;
        }
    }

    private static void WriteLines<T>(char begin, IEnumerable<T> items, Action<T> write, char end, int depth, StringBuilder text)
    {
        text.Append(begin);
        string separator = "\n";
        foreach (var item in items)
        {
            text.Append(separator).Append(' ', Indent * depth);
            write(item);
            separator = ",\n";
        }
        text.Append('\n').Append(' ', Indent * (depth - 1)).Append(end);
    }

    private static void WriteString(string value, StringBuilder text)
    {
        text.Append('"');
        foreach (char c in value)
            _ = c switch
            {
                '"' or '\\' => text.Append('\\').Append(c),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                < ' ' => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => text.Append(c),
            };
        text.Append('"');
    }
}
