using Glm.Models;
using Glm.Tokenizers;

namespace Glm.Inference.Tests;

/// <summary>What a model's own configuration says of chats.</summary>
public sealed class ChatDefaultsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_model_without_a_file_answers_as_published()
    {
        Assert.Null(GenerationConfig.Find(_folder.Path));
        Assert.Null(GenerationConfig.Find(_folder["model.gguf"]));
        Assert.Equal(new ChatDefaults(8192, 0.8, 0.8), ChatDefaults.Of(VocabularyKind.ChatGlm2));
        Assert.Throws<GlmException>(() => ChatDefaults.Of(VocabularyKind.Opt));
    }

    [Fact]
    public void A_file_says_more_than_what_was_published()
    {
        var defaults = Read("""{ "max_length": 100, "do_sample": false, "top_p": 0.5, "eos_token_id": [1, 2], "transformers_version": "4.30.2" }""");
        Assert.Equal(new ChatDefaults(100, 0.5, 0.95, Draws: false), defaults);
        Assert.Equal(StrategyKind.Greedy, defaults.Options.Strategy);
        Assert.Equal(new ChatDefaults(2048, 0.7, 0.1, TopK: 3), Read("""{ "temperature": 0.1, "top_k": 3 }"""));
    }

    [Theory]
    [InlineData("""{ "max_length": 0 }""", "max_length: expected 1 or more, found 0")]
    [InlineData("""{ "top_p": 1.5 }""", "top_p: expected 0 to 1, found 1.5")]
    [InlineData("""{ "top_k": -1 }""", "top_k: expected 0 or more, found -1")]
    [InlineData("""{ "temperature": -0.5 }""", "temperature: expected 0 to 1000000, found -0.5")]
    [InlineData("""{ "max_length": "long" }""", "not a model configuration")]
    [InlineData("{", "not a model configuration")]
    public void A_damaged_file_is_refused(string json, string reason) => Assert.Contains($"generation_config.json: {reason}", Assert.Throws<GlmException>(() => Read(json)).Message);

    private ChatDefaults Read(string json)
    {
        _folder.Write("generation_config.json", json);
        return ChatDefaults.Of(VocabularyKind.ChatGlm, GenerationConfig.Find(_folder.Path));
    }
}
