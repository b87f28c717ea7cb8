using System.Text.Json.Nodes;

namespace Glm.Tokenizers;

/// <summary>A template of messages that a role's token begins: the token, the metadata with a newline, the content, each part encoded on its own.</summary>
public abstract class RoleTemplate : ChatTemplate
{
    private readonly RoleTokens _roles;

    private protected RoleTemplate(Tokenizer tokenizer) : base(tokenizer) =>
        _roles = tokenizer.Special.Roles ?? throw new GlmException($"tokenizer: expected one with the tokens of roles, found that of {tokenizer.Kind}");

    /// <inheritdoc/>
    public override int[] Encode(IReadOnlyList<ChatMessage> messages)
    {
        RequireMessages(messages);
        var ids = new List<int>(Tokenizer.Special.Before);
        foreach (var message in messages.SelectMany(message => message.Tools is null ? [message] : WithTools(message, message.Tools)))
        {
            if (message.Metadata.Contains('\n', StringComparison.Ordinal)) throw new GlmException($"metadata: expected one line, found \"{message.Metadata.ReplaceLineEndings("\\n")}\"");
            ids.Add(TokenOf(message.Role));
            Tokenizer.Encode(message.Metadata + "\n", ids);
            Tokenizer.Encode(message.Content, ids);
        }
        ids.Add(_roles.Assistant);
        return [.. ids];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<ChatMessage> Parse(ReadOnlySpan<int> ids)
    {
        var messages = new List<ChatMessage>();
        int[] answer = Answer(ids);
        for (int start = 0, end; start <= answer.Length; start = end + 1)
        {
            end = Array.IndexOf(answer, _roles.Assistant, start);
            if (end < 0) end = answer.Length;
            messages.Add(MessageOf(Tokenizer.Decode(answer.AsSpan(start, end - start))));
        }
        return messages;
    }

    /// <summary>What a message that announces tools becomes.</summary>
    private protected abstract IEnumerable<ChatMessage> WithTools(ChatMessage message, JsonNode tools);

    /// <summary>Whether the first line of an answer is the name of a tool; without one, all of it is text.</summary>
    private protected virtual bool IsToolName(string line, string rest) => line.Length > 0;

    private ChatMessage MessageOf(string text)
    {
        int newline = text.IndexOf('\n');
        string first = newline < 0 ? "" : text[..newline].Trim(), rest = newline < 0 ? text : text[(newline + 1)..];
        return first.Length > 0 && IsToolName(first, rest)
            ? new ChatMessage(ChatRole.Assistant, rest) { Metadata = first }
            : new ChatMessage(ChatRole.Assistant, Clean(text));
    }

    private int TokenOf(ChatRole role) => role switch
    {
        ChatRole.System => _roles.System,
        ChatRole.User => _roles.User,
        ChatRole.Assistant => _roles.Assistant,
        _ => _roles.Observation,
    };
}

/// <summary>ChatGLM3-6B (ChatGLM spec 12.4).</summary>
public sealed class ChatGlm3Template : RoleTemplate
{
    internal ChatGlm3Template(Tokenizer tokenizer) : base(tokenizer) { }

    /// <inheritdoc/>
    public override ToolCallForm? Calls => ToolCallForm.Python;

    private protected override IEnumerable<ChatMessage> WithTools(ChatMessage message, JsonNode tools) => [message with { Content = $"{message.Content}\n{PythonJson.Write(tools)}" }];
}

/// <summary>GLM-4 (ChatGLM spec 12.5); of tools, functions.</summary>
public sealed class Glm4Template : RoleTemplate
{
    /// <summary>The words with which the model was trained.</summary>
    private const string Introduction = "你是一个名为 GLM-4 的人工智能助手。你是基于智谱AI训练的语言模型 GLM-4 模型开发的，你的任务是针对用户的问题和要求提供适当的答复和支持。\n\n# 可用工具",
        Arguments = "在调用上述函数时，请使用 Json 格式表示调用的参数。";

    internal Glm4Template(Tokenizer tokenizer) : base(tokenizer) { }

    /// <inheritdoc/>
    public override ToolCallForm? Calls => ToolCallForm.Json;

    // Where text has several lines, only a name before a JSON object is a call.
    private protected override bool IsToolName(string line, string rest) =>
        line.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.') && rest.AsSpan().TrimStart() is ['{', ..];

    // Tools are a system message of their own, before what the message itself says.
    private protected override IEnumerable<ChatMessage> WithTools(ChatMessage message, JsonNode tools)
    {
        if (tools is not JsonArray list) throw new GlmException("tools: expected a list, found another value");
        yield return new ChatMessage(ChatRole.System, Introduction + string.Concat(list.Select(Describe)));
        if (message.Content.Length > 0) yield return message with { Tools = null };
    }

    private static string Describe(JsonNode? tool, int index)
    {
        var function = tool is JsonObject entry && entry["function"] is JsonObject inner ? inner : tool as JsonObject;
        return function?["name"] is JsonValue value && value.TryGetValue(out string? name) ? $"\n\n## {name}\n\n{PythonJson.Write(function)}\n{Arguments}"
            : throw new GlmException($"tools[{index}]: expected a function with a name, found none");
    }
}
