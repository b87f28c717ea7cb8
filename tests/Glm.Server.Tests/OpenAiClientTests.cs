using System.ClientModel;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;

namespace Glm.Server.Tests;

/// <summary>The official .NET client drives the server as it drives OpenAI.</summary>
public sealed class OpenAiClientTests(RunningServer server) : IClassFixture<RunningServer>
{
    private readonly OpenAIClient _client = new(new ApiKeyCredential("any"), new OpenAIClientOptions { Endpoint = new Uri(server.Address, "v1") });

    [Fact]
    public async Task A_chat_is_the_same_streamed_or_not()
    {
        var chat = _client.GetChatClient("chat");
        ChatMessage[] messages = [ChatMessage.CreateSystemMessage("Be brief."), ChatMessage.CreateUserMessage("Hello"), ChatMessage.CreateAssistantMessage("Hi"), ChatMessage.CreateUserMessage("Who?")];
        var options = new ChatCompletionOptions { MaxOutputTokenCount = 24, Temperature = 0, IncludeLogProbabilities = true, TopLogProbabilityCount = 2 };
        var whole = (await chat.CompleteChatAsync(messages, options)).Value;
        Assert.Equal(ChatFinishReason.Length, whole.FinishReason);
        Assert.Equal(24, whole.Usage.OutputTokenCount);
        Assert.Equal(24, whole.ContentTokenLogProbabilities.Count);
        Assert.All(whole.ContentTokenLogProbabilities, token => Assert.Equal(2, token.TopLogProbabilities.Count));
        string streamed = "";
        ChatFinishReason? reason = null;
        await foreach (var update in chat.CompleteChatStreamingAsync(messages, new ChatCompletionOptions { MaxOutputTokenCount = 24, Temperature = 0 }))
        {
            streamed += string.Concat(update.ContentUpdate.Select(part => part.Text));
            reason ??= update.FinishReason;
        }
        Assert.Equal(whole.Content[0].Text, streamed);
        Assert.Equal(ChatFinishReason.Length, reason);
    }

    [Fact]
    public async Task A_schema_is_kept()
    {
        var format = ChatResponseFormat.CreateJsonSchemaFormat("answer", BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string","maxLength":8},"n":{"type":"integer"}},"required":["city","n"],"additionalProperties":false}"""), null, true);
        var answer = (await _client.GetChatClient("chat").CompleteChatAsync([ChatMessage.CreateUserMessage("Where?")], new ChatCompletionOptions { ResponseFormat = format, MaxOutputTokenCount = 200 })).Value;
        var json = JsonNode.Parse(answer.Content[0].Text)!;
        json["city"]!.GetValue<string>();
        json["n"]!.GetValue<long>();
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
    }

    [Fact]
    public async Task Tools_may_be_announced()
    {
        var tool = ChatTool.CreateFunctionTool("weather", "Tells the weather", BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}}}"""));
        var answer = (await _client.GetChatClient("chat").CompleteChatAsync([ChatMessage.CreateUserMessage("Weather?")], new ChatCompletionOptions { Tools = { tool }, MaxOutputTokenCount = 5, Temperature = 0 })).Value;
        Assert.True(answer.Usage.InputTokenCount > 60);
    }

    /// <summary>A random model calls what it is told to call.</summary>
    [Fact]
    public async Task Calls_may_be_required()
    {
        var weather = ChatTool.CreateFunctionTool("weather", "Tells the weather", BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string","maxLength":9},"days":{"enum":[1,2]}},"required":["city","days"]}"""));
        var options = new ChatCompletionOptions { Tools = { weather, ChatTool.CreateFunctionTool("time") }, MaxOutputTokenCount = 200 };
        foreach (var (choice, names) in new[] { (ChatToolChoice.CreateRequiredChoice(), new[] { "weather", "time" }), (ChatToolChoice.CreateFunctionChoice("weather"), ["weather"]) })
        {
            options.ToolChoice = choice;
            var answer = (await _client.GetChatClient("chat").CompleteChatAsync([ChatMessage.CreateUserMessage("Weather?")], options)).Value;
            Assert.Equal(ChatFinishReason.ToolCalls, answer.FinishReason);
            var call = Assert.Single(answer.ToolCalls);
            Assert.Contains(call.FunctionName, names);
            if (call.FunctionName == "weather") Assert.InRange(JsonNode.Parse(call.FunctionArguments)!["days"]!.GetValue<int>(), 1, 2);
        }
        options.ToolChoice = ChatToolChoice.CreateFunctionChoice("clock");
        Assert.Equal(400, (await Assert.ThrowsAsync<ClientResultException>(() => _client.GetChatClient("chat").CompleteChatAsync([ChatMessage.CreateUserMessage("Weather?")], options))).Status);
    }

    [Fact]
    public async Task Embeddings_come_as_the_client_asks_for_them()
    {
        var answer = (await _client.GetEmbeddingClient("blanks").GenerateEmbeddingsAsync(["one text", "another"])).Value;
        Assert.Equal(2, answer.Count);
        Assert.Equal(1, answer[1].ToFloats().ToArray().Sum(x => x * x), 1e-4);
    }

    [Fact]
    public async Task Models_are_listed()
    {
        var models = (await _client.GetOpenAIModelClient().GetModelsAsync()).Value;
        Assert.Equal(["chat", "blanks"], models.Select(model => model.Id));
        Assert.Equal("blanks", (await _client.GetOpenAIModelClient().GetModelAsync("blanks")).Value.Id);
    }

    [Fact]
    public async Task Errors_are_errors_of_the_client()
    {
        var error = await Assert.ThrowsAsync<ClientResultException>(() => _client.GetChatClient("none").CompleteChatAsync([ChatMessage.CreateUserMessage("Hello")]));
        Assert.Equal(404, error.Status);
        Assert.Contains("no such model", error.Message);
    }
}
