using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Glm.Inference;
using Glm.Tokenizers;
using Microsoft.Extensions.AI;
using Message = Microsoft.Extensions.AI.ChatMessage;
using Role = Microsoft.Extensions.AI.ChatRole;

namespace Glm;

/// <summary>
/// A chat model as Microsoft.Extensions.AI speaks to one. It knows text, functions and results of functions; a JSON schema as response format is kept. Safe for use
/// from several threads. The model is not disposed with it.
/// </summary>
/// <param name="model">The model.</param>
public sealed class GlmChatClient(GlmModel model) : IChatClient
{
    private readonly ChatClientMetadata _metadata = new("glm.net", null, model.Name);

    /// <inheritdoc/>
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<Message> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        await using var stream = model.Chat(Chat(messages, options), Text(options), cancellationToken);
        var result = await stream.Result.ConfigureAwait(false);
        return new ChatResponse(new Message(Role.Assistant, Contents(result)))
        {
            ResponseId = Guid.NewGuid().ToString("N"),
            ModelId = model.Name,
            CreatedAt = DateTimeOffset.UtcNow,
            FinishReason = Finish(result),
            Usage = Usage(result),
        };
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<Message> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await using var stream = model.Chat(Chat(messages, options), Text(options), cancellationToken);
        string id = Guid.NewGuid().ToString("N");
        await foreach (var piece in stream.WithCancellation(cancellationToken).ConfigureAwait(false))
            if (piece.Text.Length > 0) yield return Update([new TextContent(piece.Text)]);
        var result = await stream.Result.ConfigureAwait(false);
        var last = Update([.. Contents(result).Where(content => content is not TextContent), new UsageContent(Usage(result))]);
        last.FinishReason = Finish(result);
        yield return last;

        ChatResponseUpdate Update(IList<AIContent> contents) =>
            new(Role.Assistant, contents) { ResponseId = id, MessageId = id, ModelId = model.Name, CreatedAt = DateTimeOffset.UtcNow };
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? _metadata
        : serviceType.IsInstanceOfType(model) ? model
        : serviceType.IsInstanceOfType(this) ? this : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        // The model belongs to whoever loaded it.
    }

    private static List<AIContent> Contents(TextResult result)
    {
        var contents = new List<AIContent>();
        foreach (var message in result.Messages)
        {
            if (ToolCall.Of(message) is { } call) contents.Add(new FunctionCallContent(Guid.NewGuid().ToString("N"), call.Name, call.Parameters.ToDictionary(p => p.Key, p => (object?)p.Value)));
            else if (message.Metadata.Length > 0) contents.Add(new TextContent(message.Content));
        }
        if (result.Text.Length > 0) contents.Insert(0, new TextContent(result.Text));
        return contents;
    }

    private static ChatFinishReason Finish(TextResult result) => result.Messages.Any(message => ToolCall.Of(message) is not null) ? ChatFinishReason.ToolCalls
        : result.Finish == FinishReason.Stop ? ChatFinishReason.Stop : ChatFinishReason.Length;

    private static UsageDetails Usage(TextResult result) => new()
    {
        InputTokenCount = result.Generation.ContextTokens,
        CachedInputTokenCount = result.Generation.SharedTokens,
        OutputTokenCount = result.Ids.Length,
        TotalTokenCount = result.Generation.ContextTokens + result.Ids.Length,
    };

    private static List<Tokenizers.ChatMessage> Chat(IEnumerable<Message> messages, ChatOptions? options)
    {
        var chat = new List<Tokenizers.ChatMessage>();
        if (options?.Instructions is { Length: > 0 } instructions) chat.Add(new Tokenizers.ChatMessage(Tokenizers.ChatRole.System, instructions));
        foreach (var message in messages)
        {
            foreach (var call in message.Contents.OfType<FunctionCallContent>())
                chat.Add(new Tokenizers.ChatMessage(Tokenizers.ChatRole.Assistant, Json(call.Arguments)) { Metadata = call.Name });
            foreach (var result in message.Contents.OfType<FunctionResultContent>())
                chat.Add(new Tokenizers.ChatMessage(Tokenizers.ChatRole.Observation, result.Result as string ?? Json(result.Result)));
            if (message.Contents.FirstOrDefault(content => content is not (TextContent or FunctionCallContent or FunctionResultContent or UsageContent)) is { } other)
                throw new GlmException($"messages: expected text, calls of functions and their results, found {other.GetType().Name}");
            bool only = message.Contents.Any(content => content is FunctionCallContent or FunctionResultContent);
            if (!only || message.Text.Length > 0) chat.Add(new Tokenizers.ChatMessage(RoleOf(message.Role), message.Text));
        }
        var functions = options?.ToolMode is NoneChatToolMode ? [] : options?.Tools?.OfType<AIFunctionDeclaration>().Select(Describe).ToArray() ?? [];
        return functions.Length == 0 ? chat : WithTools(chat, new JsonArray(functions));
    }

    /// <summary>A chat whose system message announces tools; one is added where there is none.</summary>
    internal static List<Tokenizers.ChatMessage> WithTools(List<Tokenizers.ChatMessage> chat, JsonNode tools) => chat is [{ Role: Tokenizers.ChatRole.System } system, ..]
        ? [system with { Tools = tools }, .. chat[1..]]
        : [new Tokenizers.ChatMessage(Tokenizers.ChatRole.System, "") { Tools = tools }, .. chat];

    /// <summary>A value as JSON, with what the library knows of its type; nothing is found out by reflection that trimming may have removed.</summary>
    private static string Json<T>(T value) => JsonSerializer.Serialize(value, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(T)));

    private static JsonNode Describe(AIFunctionDeclaration function) => new JsonObject
    {
        ["name"] = function.Name,
        ["description"] = function.Description,
        ["parameters"] = JsonNode.Parse(function.JsonSchema.GetRawText()),
    };

    private static Tokenizers.ChatRole RoleOf(Role role) => role == Role.System ? Tokenizers.ChatRole.System
        : role == Role.User ? Tokenizers.ChatRole.User
        : role == Role.Assistant ? Tokenizers.ChatRole.Assistant
        : role == Role.Tool ? Tokenizers.ChatRole.Observation
        : throw new GlmException($"messages: expected the roles system, user, assistant and tool, found {role}");

    private static TextOptions Text(ChatOptions? options) => options is null ? new TextOptions() : new TextOptions
    {
        MaxTokens = options.MaxOutputTokens,
        Temperature = options.Temperature,
        TopP = options.TopP,
        TopK = options.TopK,
        Seed = (ulong?)options.Seed,
        Stop = [.. options.StopSequences ?? []],
        Constraint = options.ResponseFormat switch
        {
            ChatResponseFormatJson { Schema: { } schema } => TextConstraint.JsonSchema(schema.GetRawText()),
            ChatResponseFormatJson => TextConstraint.JsonObject,
            _ => null,
        },
        RequiredTools = options.ToolMode is RequiredChatToolMode required ? required.RequiredFunctionName is { } name ? [name] : [] : null,
    };
}
