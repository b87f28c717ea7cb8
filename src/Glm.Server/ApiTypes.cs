using System.Text.Json;
using System.Text.Json.Serialization;

namespace Glm.Server;

// Answers, as the OpenAI API writes them; null is left out unless clients look for the field.
internal sealed record ErrorAnswer(ErrorBody Error);

internal sealed record ErrorBody(string Message, string Type, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Param, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Code);

internal sealed record ModelList(string Object, IReadOnlyList<ModelEntry> Data);

internal sealed record ModelEntry(string Id, string Object, long Created, string OwnedBy, ModelDetails Glm);

/// <summary>What a page, or a program that knows us, wants to know of a model.</summary>
internal sealed record ModelDetails(
    string Architecture, long Parameters, int MaxLength, int Vocabulary, string Tokenizer, bool Chat, bool Fill, bool Embeddings, double LoadSeconds, string Memory, int Waiting, int Running,
    int KvPagesUsed, int KvPages, long NewTokens, double BusySeconds);

internal sealed record Usage(int PromptTokens, int CompletionTokens, int TotalTokens, PromptDetails? PromptTokensDetails = null);

internal sealed record PromptDetails(int CachedTokens);

internal sealed record CompletionAnswer(string Id, string Object, long Created, string Model, IReadOnlyList<CompletionChoice> Choices, Usage? Usage = null);

internal sealed record CompletionChoice(
    string Text, int Index, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] CompletionLogprobs? Logprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);

internal sealed record CompletionLogprobs(
    IReadOnlyList<string> Tokens, IReadOnlyList<float?> TokenLogprobs, IReadOnlyList<IReadOnlyDictionary<string, float>?> TopLogprobs, IReadOnlyList<int> TextOffset);

internal sealed record ChatAnswer(string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices, Usage? Usage = null, string? SystemFingerprint = null);

internal sealed record ChatChoice(
    int Index, ChatAnswerMessage? Message, ChatAnswerMessage? Delta, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] ChatLogprobs? Logprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);

internal sealed record ChatAnswerMessage(string? Role = null, string? Content = null, IReadOnlyList<ToolCallAnswer>? ToolCalls = null);

internal sealed record ToolCallAnswer(int Index, string Id, string Type, FunctionAnswer Function);

internal sealed record FunctionAnswer(string Name, string Arguments);

internal sealed record ChatLogprobs(IReadOnlyList<ChatToken> Content);

internal sealed record ChatToken(string Token, float Logprob, int[] Bytes, IReadOnlyList<ChatToken>? TopLogprobs);

internal sealed record EmbeddingAnswer(string Object, IReadOnlyList<EmbeddingEntry> Data, string Model, Usage Usage);

internal sealed record EmbeddingEntry(string Object, int Index, JsonElement Embedding);

internal sealed record FillAnswer(string Id, string Object, long Created, string Model, string Text, IReadOnlyList<BlankAnswer> Blanks, Usage Usage, double Seconds);

internal sealed record BlankAnswer(string Text, double? Probability, string FinishReason, IReadOnlyList<TokenAnswer> Tokens, IReadOnlyList<BlankAnswer>? Alternatives);

internal sealed record TokenAnswer(int Id, string Text, float? Logprob = null);

internal sealed record TokenizeAnswer(string Model, int Count, IReadOnlyList<int> Ids, IReadOnlyList<TokenAnswer> Tokens);

internal sealed record DetokenizeAnswer(string Model, string Text);

internal sealed record StatusAnswer(string Status);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ErrorAnswer))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(CompletionAnswer))]
[JsonSerializable(typeof(ChatAnswer))]
[JsonSerializable(typeof(EmbeddingAnswer))]
[JsonSerializable(typeof(FillAnswer))]
[JsonSerializable(typeof(TokenizeAnswer))]
[JsonSerializable(typeof(DetokenizeAnswer))]
[JsonSerializable(typeof(StatusAnswer))]
internal sealed partial class ApiJson : JsonSerializerContext;
