using System.Text.Json.Nodes;
using Glm.Inference;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace Glm.Library.Tests;

/// <summary>Microsoft.Extensions.AI over a model.</summary>
public sealed class AdapterTests(TinyChat chat, ShippedModel shipped) : IClassFixture<TinyChat>, IClassFixture<ShippedModel>
{
    private static readonly ChatOptions Greedy = new() { Temperature = 0, MaxOutputTokens = 16 };

    [Fact]
    public async Task An_answer_is_that_of_the_model_streamed_or_not()
    {
        using var client = new GlmChatClient(chat.Model);
        Microsoft.Extensions.AI.ChatMessage[] messages = [new(ChatRole.System, "Be brief."), new(ChatRole.User, "Hello")];
        var expected = await chat.Model.Chat(
            [new(Tokenizers.ChatRole.System, "Be brief."), new(Tokenizers.ChatRole.User, "Hello")], new TextOptions { Temperature = 0, MaxTokens = 16 }).Result;
        var response = await client.GetResponseAsync(messages, Greedy);
        Assert.Equal(expected.Text, response.Text);
        Assert.Equal(16, response.Usage!.OutputTokenCount);
        Assert.Equal(ChatFinishReason.Length, response.FinishReason);
        var streamed = await client.GetStreamingResponseAsync(messages, Greedy).ToChatResponseAsync();
        Assert.Equal(expected.Text, streamed.Text);
        Assert.Equal(16, streamed.Usage!.OutputTokenCount);
        Assert.Equal(ChatFinishReason.Length, streamed.FinishReason);
    }

    [Fact]
    public async Task A_response_has_the_type_that_was_asked_for()
    {
        using var client = new GlmChatClient(chat.Model);
        var format = ChatResponseFormat.ForJsonSchema(JsonNode.Parse("""{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}""")!.Deserialize());
        var response = await client.GetResponseAsync([new(ChatRole.User, "A number")], new ChatOptions { ResponseFormat = format, MaxOutputTokens = 60 });
        JsonNode.Parse(response.Text)!["n"]!.GetValue<long>();
    }

    [Fact]
    public async Task Tools_are_announced_and_their_results_read()
    {
        using var client = new GlmChatClient(chat.Model);
        var tool = AIFunctionFactory.Create((string city) => $"sunny in {city}", "weather", "Tells the weather");
        Microsoft.Extensions.AI.ChatMessage[] messages =
        [
            new(ChatRole.User, "Weather?"),
            new(ChatRole.Assistant, [new FunctionCallContent("1", "weather", new Dictionary<string, object?> { ["city"] = "Paris" })]),
            new(ChatRole.Tool, [new FunctionResultContent("1", "sunny")]),
        ];
        var with = await client.GetResponseAsync(messages, new ChatOptions { Temperature = 0, MaxOutputTokens = 4, Tools = [tool] });
        var without = await client.GetResponseAsync(messages, new ChatOptions { Temperature = 0, MaxOutputTokens = 4 });
        Assert.True(with.Usage!.InputTokenCount > without.Usage!.InputTokenCount + 50);
        var called = await client.GetResponseAsync(messages, new ChatOptions { Seed = 1, MaxOutputTokens = 1500, Tools = [tool], ToolMode = ChatToolMode.RequireSpecific("weather") });
        Assert.IsType<string>(Assert.Single(called.Messages[0].Contents.OfType<FunctionCallContent>()).Arguments!["city"]!.ToString());
    }

    [Fact]
    public async Task Services_give_the_model_and_its_adapters()
    {
        await using var provider = new ServiceCollection().AddGlm(batching: new BatchingOptions { KvPages = 64 }, load: new LoadOptions { Threads = 1 }).BuildServiceProvider();
        var generator = provider.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>();
        var vectors = await generator.GenerateAsync(["one", "two"]);
        Assert.Equal(2, vectors.Count);
        Assert.True(vectors.Usage!.InputTokenCount >= 2);
        Assert.Same(provider.GetRequiredService<GlmModel>(), generator.GetService(typeof(GlmModel)));
        var client = provider.GetRequiredService<IChatClient>();
        await Assert.ThrowsAsync<GlmException>(() => client.GetResponseAsync("Hello"));
        Assert.NotNull(shipped.Model);
    }
}

file static class JsonNodes
{
    public static System.Text.Json.JsonElement Deserialize(this JsonNode node) => System.Text.Json.JsonSerializer.SerializeToElement(node);
}
