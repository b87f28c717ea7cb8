using Glm.Inference.Tests;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Evaluation.Tests;

/// <summary>Prompts in text, of models that fill blanks and of causal ones.</summary>
public sealed class LocalModelTests : IDisposable
{
    private static readonly ReadingOptions Reading = new();

    private readonly Workers _workers = new(1);

    public void Dispose() => _workers.Dispose();

    [Fact]
    public void Choices_of_a_causal_model_are_the_same_with_a_shared_beginning()
    {
        using var model = Causal();
        string examples = string.Concat(Enumerable.Repeat("The 3th cat sat on the mat, and then it said: good night! ", 20));
        ChoiceItem[] items = [.. Enumerable.Range(0, 12).Select(i => new ChoiceItem((i % 4 == 0 ? "" : examples) + $"The {i}th cat sat on", ["the mat", "the mat, and then it said", "it"]))];
        var together = model.Choose(items, [.. Enumerable.Range(0, items.Length)], Reading).OrderBy(answer => answer.Item).ToList();
        long shared = model.Tokens;
        var alone = Enumerable.Range(0, items.Length).Select(i => model.Choose(items, [i], Reading).Single()).ToList();
        Assert.Equal(Enumerable.Range(0, items.Length), together.Select(answer => answer.Item));
        foreach (var (a, b) in together.Zip(alone))
        {
            Assert.Equal(a.Value!.Tokens!, b.Value!.Tokens!);
            foreach (var (x, y) in a.Value.Scores!.Zip(b.Value.Scores!)) Assert.Equal(x, y, 1e-3);
        }
        Assert.True(model.Tokens - shared > 2 * shared, $"{shared} tokens together, {model.Tokens - shared} alone");
    }

    /// <summary>A blank inside the prompt is filled with each choice, and the rest counts with it.</summary>
    [Fact]
    public void A_causal_model_reads_on_behind_a_blank()
    {
        using var model = Causal();
        var inside = model.Choose([new ChoiceItem("The cat [MASK] on the mat", ["sat", "said"])], [0], Reading).Single().Value!;
        var whole = model.Choose([new ChoiceItem("The cat", ["sat on the mat", "said on the mat"])], [0], Reading).Single().Value!;
        Assert.Equal(whole.Scores!, inside.Scores!);
    }

    [Fact]
    public void A_space_at_the_end_of_a_prompt_changes_nothing()
    {
        using var model = TinyLocal.Create(_workers);
        string[] prompts = ["The cat sat on", "The cat sat on ", "The cat sat on [MASK]", "The cat sat on[MASK]"];
        var scores = prompts.Select(prompt => model.Choose([new ChoiceItem(prompt, ["the mat", "mat"])], [0], Reading).Single().Value!.Scores!).ToList();
        Assert.Equal(scores[0], scores[1]);
        Assert.Equal(scores[0], scores[2]);
        Assert.Equal(scores[0], scores[3]);
    }

    [Fact]
    public void Texts_stop_where_they_are_told()
    {
        using var model = TinyLocal.Create(_workers);
        string whole = Text([]);
        string stop = whole.Trim()[(whole.Trim().Length / 2)..][..2];
        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], Text([stop]));

        string Text(string[] stops) => model.Generate(["The cat sat on"], [0], new ReadingOptions { UseTaskMask = true }, new GenerationOptions { MaxNewTokens = 20, Stop = stops }).Single().Value!.Text;
    }

    /// <summary>Greedy, beams, the word of LAMBADA and samples; more beams than fit into a pass, texts that end early among others.</summary>
    [Theory]
    [InlineData(1, 0.0, 1, AnswerForm.Text)]
    [InlineData(5, 0.0, 1, AnswerForm.Text)]
    [InlineData(1, 0.0, 1, AnswerForm.Word)]
    [InlineData(1, 1.0, 7, AnswerForm.Text)]
    public void Texts_that_are_generated_together_are_those_that_are_generated_alone(int beams, double temperature, int samples, AnswerForm form)
    {
        using var model = TinyLocal.Create(_workers);
        ItemText[] prompts = [.. Enumerable.Range(0, 40).Select(i => (ItemText)string.Concat(Enumerable.Repeat("cat sat ", 1 + (i % 5))))];
        var options = new ReadingOptions { UseTaskMask = true };
        var generation = new GenerationOptions { MaxNewTokens = 10, NumBeams = beams, Temperature = temperature, TopP = 0.95, Samples = samples, Form = form, Stop = samples == 1 ? ["m"] : [] };
        var together = model.Generate(prompts, [.. Enumerable.Range(0, prompts.Length)], options, generation).OrderBy(answer => answer.Item).ToList();
        long tokens = model.Tokens;
        for (int i = 0; i < prompts.Length; i++)
        {
            var alone = model.Generate(prompts, [i], options, generation).Single();
            Assert.Equal(i, together[i].Item);
            Assert.Equal(alone.Value!.Texts, together[i].Value!.Texts);
            Assert.Equal(alone.Value.Ids, together[i].Value!.Ids);
        }
        Assert.Equal(tokens, model.Tokens - tokens);
        if (samples > 1) Assert.True(together[0].Value!.Texts.Distinct().Count() > 1);
    }

    [TokenizersFact]
    public void A_model_that_chats_is_asked_in_its_own_template()
    {
        var tokenizer = Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, "chatglm3-6b"));
        var model = CausalModel(tokenizer.VocabularySize, 200);
        var reader = PromptReader.For(model, tokenizer.Special, tokenizer);
        var options = new ReadingOptions { AsChat = true };
        Assert.Equal(ChatTemplate.Of(tokenizer).Encode([new ChatMessage(ChatRole.User, "Which answer?")]), reader.Context("Which answer?", options, 10).Ids);
        Assert.Equal([.. tokenizer.Special.Before, .. tokenizer.Encode("Which answer?")], reader.Context("Which answer?", new ReadingOptions(), 10).Ids);
        Assert.Contains("190", Assert.Throws<GlmException>(() => reader.Context(string.Concat(Enumerable.Repeat("word ", 300)), options, 10)).Message);
    }

    private LocalModel Causal() => new(CausalModel(400, 1500), _workers, TinyModel.Tokenizer, new ModelIdentity { Name = "tiny", Location = "tiny" });

    private static LanguageModel CausalModel(int vocabulary, int length)
    {
        var config = new ChatGlm2Config
        {
            NumLayers = 2, HiddenSize = 32, FfnHiddenSize = 48, KvChannels = 8, NumAttentionHeads = 4, MultiQueryAttention = true, MultiQueryGroupNum = 2,
            PaddedVocabSize = vocabulary, SeqLength = length, AddQkvBias = true,
        };
        var weights = new Dictionary<string, Tensor>();
        foreach (var (name, shape) in config.Parameters())
            TensorMath.FillNormal(weights[name] = Tensor.Allocate(DType.Float32, shape), shape.Length == 1 ? 1 : 0.2, seed: 3, stream: (ulong)weights.Count);
        return config.Create(name => weights[name]);
    }
}
