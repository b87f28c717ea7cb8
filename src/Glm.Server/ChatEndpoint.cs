using System.Text.Json;
using System.Text.Json.Nodes;
using Glm.Tokenizers;

namespace Glm.Server;

/// <summary><c>POST /v1/chat/completions</c>: the next message of a chat.</summary>
internal static class ChatEndpoint
{
    public static async Task RunAsync(ApiCall call)
    {
        var messages = Messages(call);
        int count = call.Count(1);
        bool logprobs = call.Body.Flag("logprobs");
        int? top = call.Top("top_logprobs");
        if (top is not null && !logprobs) throw ApiException.Invalid("top_logprobs: expected logprobs to be true as well", "top_logprobs");
        var options = call.Text("max_completion_tokens", "max_tokens") with { TopLogprobs = logprobs ? top ?? 0 : null };
        options = options with { RequiredTools = RequiredTools(call) };
        if (options.MaxTokens is null) options = options with { MaxTokens = call.Options.MaxNewTokens };
        await using var choices = await Choices.StartAsync(count, i => call.Model.Chat(messages, ApiCall.Of(options, i), call.Aborted)).ConfigureAwait(false);
        var (stream, withUsage) = call.Streaming();
        string id = $"chatcmpl-{call.Id}";
        if (!stream)
        {
            var results = await choices.ResultsAsync().ConfigureAwait(false);
            ChatChoice[] whole = [.. results.Select((result, i) => new ChatChoice(i, MessageOf(result), null, logprobs ? Logprobs(result.Tokens) : null, ReasonOf(result)))];
            await call.AnswerAsync(new ChatAnswer(id, "chat.completion", call.Created, call.Model.Name, whole, call.UsageOf(results, 1)), ApiJson.Default.ChatAnswer).ConfigureAwait(false);
            return;
        }
        await call.StreamAsync(async events =>
        {
            Task SendAsync(ChatChoice[] some, Usage? usage = null) =>
                events.SendAsync(new ChatAnswer(id, "chat.completion.chunk", call.Created, call.Model.Name, some, usage), ApiJson.Default.ChatAnswer, call.Aborted);

            for (int i = 0; i < count; i++) await SendAsync([new ChatChoice(i, null, new ChatAnswerMessage("assistant", ""), null, null)]).ConfigureAwait(false);
            var results = new SortedDictionary<int, TextResult>();
            await foreach (var (index, piece, result) in choices.PiecesAsync(call.Aborted).ConfigureAwait(false))
            {
                if (piece is not null)
                    await SendAsync([new ChatChoice(index, null, new ChatAnswerMessage(Content: piece.Text), logprobs ? Logprobs(piece.Tokens) : null, null)]).ConfigureAwait(false);
                if (result is null) continue;
                results.Add(index, result);
                var calls = MessageOf(result).ToolCalls;
                await SendAsync([new ChatChoice(index, null, new ChatAnswerMessage(ToolCalls: calls), null, ReasonOf(result))]).ConfigureAwait(false);
            }
            if (withUsage) await SendAsync([], call.UsageOf(results.Values, 1)).ConfigureAwait(false);
        }).ConfigureAwait(false);
    }

    private static ChatAnswerMessage MessageOf(TextResult result)
    {
        ToolCallAnswer[] calls = [.. result.Messages.Select(ToolCall.Of).OfType<ToolCall>()
            .Select((call, i) => new ToolCallAnswer(i, $"call_{Guid.NewGuid():N}", "function", new FunctionAnswer(call.Name, call.Parameters.ToJsonString())))];
        // What looks like a call but cannot be read as one is text.
        string text = calls.Length > 0 ? result.Text : string.Concat(result.Messages.Select(message => message.Metadata.Length == 0 ? message.Content : $"{message.Metadata}\n{message.Content}"));
        return new ChatAnswerMessage("assistant", text, calls.Length == 0 ? null : calls);
    }

    private static string ReasonOf(TextResult result) => result.Messages.Any(message => ToolCall.Of(message) is not null) ? "tool_calls" : ApiCall.Reason(result.Finish);

    private static ChatLogprobs Logprobs(IReadOnlyList<TextToken> tokens) => new([.. tokens.Select(token => Token(token) with { TopLogprobs = [.. token.Top.Select(Token)] })]);

    private static ChatToken Token(TextToken token) => new(token.Text, token.LogProbability, [.. token.Bytes.Select(value => (int)value)], null);

    private static List<ChatMessage> Messages(ApiCall call)
    {
        var messages = new List<ChatMessage>();
        foreach (var entry in call.Body.Objects("messages"))
        {
            string role = entry.Text("role") ?? throw ApiException.Invalid($"{entry.Path("role")}: expected text, found none", entry.Path("role"));
            string content = Content(entry);
            switch (role)
            {
                case "system" or "developer":
                    messages.Add(new ChatMessage(ChatRole.System, content));
                    break;
                case "user":
                    messages.Add(new ChatMessage(ChatRole.User, content));
                    break;
                case "tool" or "function":
                    messages.Add(new ChatMessage(ChatRole.Observation, content));
                    break;
                case "assistant":
                    var calls = entry.Objects("tool_calls");
                    if (content.Length > 0 || calls.Count == 0) messages.Add(new ChatMessage(ChatRole.Assistant, content));
                    foreach (var made in calls)
                    {
                        var function = made.Object("function") ?? throw ApiException.Invalid($"{made.Path("function")}: expected an object, found none", made.Path("function"));
                        string name = function.Text("name") ?? throw ApiException.Invalid($"{function.Path("name")}: expected text, found none", function.Path("name"));
                        messages.Add(new ChatMessage(ChatRole.Assistant, function.Text("arguments") ?? "{}") { Metadata = name });
                    }
                    break;
                default:
                    throw ApiException.Invalid($"{entry.Path("role")}: expected system, developer, user, assistant or tool, found {(role.Length > 40 ? role[..40] : role)}", entry.Path("role"));
            }
        }
        if (messages.Count == 0) throw ApiException.Invalid("messages: expected one or more, found none", "messages");
        var tools = Tools(call);
        if (tools.Count == 0) return messages;
        if (messages[0].Role == ChatRole.System) messages[0] = messages[0] with { Tools = tools };
        else messages.Insert(0, new ChatMessage(ChatRole.System, "") { Tools = tools });
        return messages;
    }

    /// <summary>Text, or a list of parts that are text.</summary>
    private static string Content(RequestBody entry)
    {
        if (entry.Find("content") is not { ValueKind: JsonValueKind.Array }) return entry.Text("content") ?? "";
        return string.Concat(entry.Objects("content").Select(part => part.Text("type") is "text" or "refusal"
            ? part.Text("text") ?? part.Text("refusal") ?? ""
            : throw ApiException.Invalid($"{part.Path("type")}: expected text, which is all that this model reads", part.Path("type"))));
    }

    /// <summary>The tools of which one has to be called; null where the model decides, or has none.</summary>
    private static string[]? RequiredTools(ApiCall call)
    {
        const string expected = "tool_choice: expected none, auto, required, or the function to call";
        if (call.Body.Find("tool_choice") is not { } choice) return null;
        if (choice.ValueKind == JsonValueKind.String)
            return choice.GetString() switch { "none" or "auto" => null, "required" => [], _ => throw ApiException.Invalid(expected, "tool_choice") };
        return call.Body.Object("tool_choice") is { } named && named.Text("type") == "function" && named.Object("function") is { } function && function.Text("name") is { } name ? [name]
            : throw ApiException.Invalid(expected, "tool_choice");
    }

    private static JsonArray Tools(ApiCall call)
    {
        var tools = new JsonArray();
        if (call.Body.Find("tool_choice") is { ValueKind: JsonValueKind.String } word && word.GetString() == "none") return tools;
        foreach (var tool in call.Body.Objects("tools"))
        {
            if (tool.Text("type") != "function") throw ApiException.Invalid($"{tool.Path("type")}: expected function", tool.Path("type"));
            var function = tool.Object("function") ?? throw ApiException.Invalid($"{tool.Path("function")}: expected an object, found none", tool.Path("function"));
            if (function.Text("name") is not { Length: > 0 }) throw ApiException.Invalid($"{function.Path("name")}: expected text, found none", function.Path("name"));
            tools.Add(JsonNode.Parse(function.Json.GetRawText()));
        }
        return tools;
    }
}
