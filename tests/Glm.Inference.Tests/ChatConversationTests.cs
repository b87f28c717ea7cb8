using Glm.Models;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Inference.Tests;

/// <summary>A conversation that keeps keys and values beside one that reads everything anew.</summary>
public sealed class ChatConversationTests : IDisposable
{
    private static readonly FillOptions Greedy = new() { Strategy = StrategyKind.Greedy, MaxNewTokens = 12 };

    private readonly Workers _workers = new(2);
    private readonly Session _session;
    private readonly ChatTemplate _template = ChatTemplate.Of(Vocabulary());

    public ChatConversationTests() => _session = new Session(CausalModelTests.Create(), _workers);

    public void Dispose() => _workers.Dispose();

    [Fact]
    public void Kept_keys_and_values_change_no_answer()
    {
        var kept = new ChatConversation(_session, _template);
        kept.Reset("Answer.");
        int last = 0;
        foreach (string text in new[] { "Hello", "And then?", "Why?" })
        {
            int[] whole = _template.Encode([.. kept.Messages, User(text)]);
            var fresh = Decoding.Run(new Session(_session.Model, _workers), Greedy.CreateStrategy(_template.StopIds), new DecodingContext(whole, new BlankPlace(0, 0, RunsOn: true)), Greedy.MaxNewTokens);
            var reply = kept.Answer(User(text), Greedy);
            Assert.Equal(_template.Parse(fresh.Candidates[0].Ids.AsSpan(whole.Length)), reply.Messages);
            // What is new since the last turn is its answer, at most, and the message.
            Assert.InRange(reply.PromptTokens, 1, text == "Hello" ? whole.Length : whole.Length - last);
            last = whole.Length;
        }
        Assert.Equal(7, kept.Messages.Count);
        kept.Reset();
        Assert.Empty(kept.Messages);
        Assert.Equal(0, _session.Cache.UsedPages);
    }

    [Fact]
    public void A_models_own_limit_ends_a_conversation()
    {
        int length = _template.Encode([User("Hello")]).Length;
        var limited = new ChatConversation(_session, _template, ChatDefaults.Of(_template.Tokenizer.Kind) with { MaxLength = length + 2 });
        Assert.InRange(limited.Answer(User("Hello"), Greedy).NewTokens, 1, 2);
        Assert.Contains($"expected fewer than {length + 2} tokens", Assert.Throws<GlmException>(() => limited.Answer(User("Hello"), Greedy)).Message);
    }

    /// <summary>ChatGLM-6B with random weights and its real vocabulary, beside a twin that reads everything for every token and counts positions by hand.</summary>
    [TokenizersFact]
    public void A_prefix_model_reads_the_whole_chat_each_time()
    {
        var config = new ChatGlm6BConfig { NumLayers = 1, HiddenSize = 16, InnerHiddenSize = 32, NumAttentionHeads = 2, VocabSize = 130528, MaxSequenceLength = 200 };
        var weights = new Dictionary<string, Tensor>();
        foreach (var (name, shape) in config.Parameters())
            TensorMath.FillNormal(weights[name] = Tensor.Allocate(DType.Float32, shape), shape.Length == 1 ? 1 : 0.2, seed: 3, stream: (ulong)weights.Count);
        var session = new Session(config.Create(name => weights[name]), _workers);
        var template = ChatTemplate.Of(Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, "chatglm-6b")));
        var conversation = new ChatConversation(session, template);
        foreach (string text in new[] { "你好", "Why?" })
        {
            List<int> ids = [.. template.Encode([.. conversation.Messages, User(text)])];
            int length = ids.Count, division = length - 1;
            while (ids.Count < length + 4)
            {
                var sequence = session.Cache.Add();
                int[] positions = [.. ids.Select((_, i) => Math.Min(i, division - 1))], blocks = [.. ids.Select((_, i) => Math.Max(0, i - division + 1))];
                SessionInput[] input = [new(sequence, ids.ToArray(), positions, division, blocks)];
                ids.Add(LogitMath.ArgMax(session.Run(input)));
                sequence.Release();
            }
            var reply = conversation.Answer(User(text), Greedy with { MaxNewTokens = 4 });
            Assert.Equal(4, reply.NewTokens);
            Assert.Equal(length, reply.PromptTokens);
            Assert.Equal(template.Parse([.. ids[length..]]), reply.Messages);
        }
        Assert.Contains("System", Assert.Throws<GlmException>(() => conversation.Reset("x")).Message);
    }

    [Fact]
    public void A_cancelled_answer_counts_as_far_as_it_came()
    {
        var conversation = new ChatConversation(_session, _template);
        using var source = new CancellationTokenSource();
        string shown = "";
        var reply = conversation.Answer(User("Hello"), Greedy with { MaxNewTokens = 500 }, text =>
        {
            shown += text;
            if (shown.Length > 3) source.Cancel();
        }, source.Token);
        Assert.True(reply.Interrupted);
        Assert.InRange(reply.NewTokens, 1, 100);
        Assert.Equal(2, conversation.Messages.Count);
        Assert.Equal(0, _session.Cache.UsedPages);
        Assert.False(conversation.Answer(User("Hello"), Greedy).Interrupted);
    }

    [Fact]
    public void What_is_shown_is_the_answer()
    {
        var conversation = new ChatConversation(_session, _template);
        string shown = "";
        var reply = conversation.Answer(User("Hello"), Greedy with { Strategy = StrategyKind.Sample, Temperature = 3 }, text => shown += text);
        Assert.Equal(12, reply.NewTokens);
        Assert.Equal(shown, string.Concat(reply.Messages.Select(message => message.Metadata.Length == 0 ? message.Content : shown)));
    }

    [Fact]
    public void A_message_that_cannot_be_answered_leaves_the_conversation_as_it_was()
    {
        var conversation = new ChatConversation(_session, _template);
        Assert.Contains("1500", Assert.Throws<GlmException>(() => conversation.Answer(User(new string('x', 2000)), Greedy)).Message);
        Assert.Contains("beam", Assert.Throws<GlmException>(() => conversation.Answer(User("x"), Greedy with { Strategy = StrategyKind.Beam })).Message);
        Assert.Empty(conversation.Messages);
    }

    [Theory]
    [InlineData(VocabularyKind.ChatGlm, 2048, 0.7, 0.95)]
    [InlineData(VocabularyKind.ChatGlm2, 8192, 0.8, 0.8)]
    [InlineData(VocabularyKind.ChatGlm3, 32768, 0.8, 0.8)]
    [InlineData(VocabularyKind.Glm4, 128000, 0.8, 0.8)]
    public void Defaults_are_those_of_each_model(VocabularyKind kind, int length, double topP, double temperature) =>
        Assert.Equal(new ChatDefaults(length, topP, temperature), ChatDefaults.Of(kind));

    private static ChatMessage User(string text) => new(ChatRole.User, text);

    /// <summary>Every byte, the space, and ChatGLM3's special tokens: 269 ids for a model of 400.</summary>
    private static Tokenizer Vocabulary()
    {
        string[] tokens = ["<unk>", "<bos>", "<eos>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>"), "\u2581", "[MASK]"];
        double[] types = [2, 3, 3, .. Enumerable.Repeat(6.0, 256), 1, 3];
        return new GgufVocabulary("tiny", "llama", "chatglm-spm", tokens, new double[tokens.Length], types).Create();
    }
}
