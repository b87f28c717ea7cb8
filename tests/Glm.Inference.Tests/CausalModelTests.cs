using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference.Tests;

/// <summary>Sessions and scorers over a causal model whose heads share keys and values.</summary>
public sealed class CausalModelTests : IDisposable
{
    private static readonly ChatGlm2Config Config = new()
    {
        NumLayers = 2,
        HiddenSize = 32,
        FfnHiddenSize = 48,
        KvChannels = 8,
        NumAttentionHeads = 4,
        MultiQueryAttention = true,
        MultiQueryGroupNum = 2,
        PaddedVocabSize = 400,
        SeqLength = 1500,
        AddQkvBias = true,
    };

    private readonly Workers _workers = new(2);
    private readonly ChatGlm2 _model = Create();

    public void Dispose() => _workers.Dispose();

    [Fact]
    public void Tokens_one_by_one_give_what_they_give_together()
    {
        var session = new Session(_model, _workers);
        int[] ids = [.. Enumerable.Range(0, 80).Select(i => 17 * i % 400)];
        float[] expected = session.Run([Input(session.Cache.Add(), ids, 0, ids.Length)], allTokens: true).ToArray();
        var stepped = session.Cache.Add();
        RequireClose(expected.AsSpan(59 * 400, 400), session.Run([Input(stepped, ids, 0, 60)]));
        for (int i = 60; i < ids.Length; i++) RequireClose(expected.AsSpan(i * 400, 400), session.Run([Input(stepped, ids, i, 1)]));
    }

    /// <summary>A long context goes in by pieces, unless the logits of all its tokens are wanted.</summary>
    [Fact]
    public void A_long_context_in_pieces_gives_what_it_gives_at_once()
    {
        var session = new Session(_model, _workers);
        int[] ids = [.. Enumerable.Range(0, 1300).Select(i => 17 * i % 400)];
        float[] expected = session.Run([Input(session.Cache.Add(), ids, 0, ids.Length)], allTokens: true).ToArray();
        KvCache.Sequence sequence = session.Cache.Add(), other = session.Cache.Add();
        var logits = session.Run([Input(sequence, ids, 0, 1100), Input(other, ids, 0, 3)]);
        RequireClose(expected.AsSpan(1099 * 400, 400), logits[..400]);
        RequireClose(expected.AsSpan(2 * 400, 400), logits[400..]);
        RequireClose(expected.AsSpan(1299 * 400, 400), session.Run([Input(sequence, ids, 1100, 200)]));
    }

    [Fact]
    public void The_scorer_sees_no_token_before_its_turn()
    {
        int[] ids = [.. Enumerable.Range(0, 100).Select(i => 31 * i % 390)];
        var scorer = new Scorer(_model, _workers, TinyModel.Tokenizer.Special, new ScoringOptions { MaxSequenceLength = 40 });
        float[] whole = scorer.Score(ids);
        int[] changed = [.. ids];
        changed[^1] = 7;
        RequireClose(whole.AsSpan(..^1), scorer.Score(changed).AsSpan(..^1));
        Assert.NotEqual(whole[^1], scorer.Score(changed)[^1]);
    }

    [Fact]
    public void A_bidirectional_context_is_refused()
    {
        var session = new Session(_model, _workers);
        Assert.Contains("division", Assert.Throws<GlmException>(() => session.Run([Input(session.Cache.Add(), [1, 2, 3], 0, 3) with { Division = 2 }]).Length).Message);
        Assert.Contains("causal", Assert.Throws<GlmException>(() => new BlankFiller(session, TinyModel.Tokenizer)).Message);
    }

    internal static ChatGlm2 Create(ulong seed = 3)
    {
        var weights = new Dictionary<string, Tensor>();
        foreach (var (name, shape) in ChatGlm2.Shapes(Config))
            TensorMath.FillNormal(weights[name] = Tensor.Allocate(DType.Float32, shape), shape.Length == 1 ? 1 : 0.2, seed, stream: (ulong)weights.Count);
        return new ChatGlm2(Config, name => weights[name]);
    }

    private static SessionInput Input(KvCache.Sequence sequence, int[] ids, int start, int count) =>
        new(sequence, ids.AsMemory(start, count), Enumerable.Range(start, count).ToArray(), 0);

    private static void RequireClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-4);
    }
}
