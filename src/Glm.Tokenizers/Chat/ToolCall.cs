using System.Text.Json;
using System.Text.Json.Nodes;

namespace Glm.Tokenizers;

/// <summary>How a model writes a call, after the line that names the tool.</summary>
public enum ToolCallForm
{
    /// <summary>The arguments as a JSON object (GLM-4).</summary>
    Json,

    /// <summary>The keyword arguments of <c>tool_call(...)</c> between two fences (ChatGLM3).</summary>
    Python,
}

/// <summary>A call of a tool that a model asks for.</summary>
/// <param name="Name">The tool.</param>
/// <param name="Parameters">The arguments by name.</param>
public sealed record ToolCall(string Name, JsonObject Parameters)
{
    /// <summary>
    /// The call that a message is: of GLM-4 its content as JSON, of ChatGLM3 the keyword arguments of <c>tool_call(...)</c> between two fences (ChatGLM spec 12.4).
    /// The content is read as data and never run.
    /// </summary>
    /// <returns>Null for a message that calls no tool, or whose content is something else, such as code for an interpreter.</returns>
    public static ToolCall? Of(ChatMessage message)
    {
        if (message.Role != ChatRole.Assistant || message.Metadata.Length == 0) return null;
        string content = message.Content.Trim();
        var parameters = content.StartsWith('{') ? OfJson(content) : OfFenced(content);
        return parameters is null ? null : new ToolCall(message.Metadata, parameters);
    }

    private static JsonObject? OfJson(string content)
    {
        try
        {
            return JsonNode.Parse(content, null, new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static JsonObject? OfFenced(string content)
    {
        string[] lines = content.Split('\n');
        if (lines.Length < 3 || !lines[0].StartsWith("```", StringComparison.Ordinal)) return null;
        string call = string.Join('\n', lines[1..^1]).Trim();
        const string begin = "tool_call(";
        return call.StartsWith(begin, StringComparison.Ordinal) && call.EndsWith(')') ? new PythonLiterals(call[begin.Length..^1]).Arguments() : null;
    }
}
