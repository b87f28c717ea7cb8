using FsCheck;
using FsCheck.Fluent;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference.Tests;

public sealed class ScorerTests : IDisposable
{
    private readonly Workers _workers = new(2);

    public void Dispose() => _workers.Dispose();

    [Fact]
    public void EveryTokenIsScoredOnceInOrder() =>
        Prop.ForAll<int, int, int>((a, b, c) =>
        {
            int longest = 2 + (int)((uint)a % 30), stride = 1 + (int)((uint)b % (longest - 1)), length = (int)((uint)c % 200);
            int[] ids = [.. Enumerable.Range(0, length).Select(i => 1000 + i)];
            foreach (bool unidirectional in new[] { false, true })
            {
                var windows = ScoringWindow.Of(ids, longest, stride, [1, 2], unidirectional).ToArray();
                Assert.Equal(ids, windows.SelectMany(window => window.Targets[window.ScoredFrom..]));
                Assert.All(windows, window => Assert.True(window.Tokens.Length <= longest && window.Tokens.Length == window.Targets.Length));
            }
            foreach (int[] start in new int[][] { [], [1] })
            {
                var windows = ScoringWindow.Of(ids, longest, stride, start, unidirectional: true).ToArray();
                Assert.Equal(ids.Skip(1 - start.Length), windows.SelectMany(window => window.Targets[window.ScoredFrom..]));
                Assert.All(windows, window => Assert.True(window.Tokens.Length is > 0 && window.Tokens.Length <= longest && window.Tokens.Length == window.Targets.Length));
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void ScoresAreTheLogSoftmaxOfEachWindow()
    {
        var model = TinyModel.Create();
        var special = TinyModel.Tokenizer.Blanks;
        var session = new Session(model, _workers);
        int[] ids = [.. Enumerable.Range(0, 150).Select(i => (i * i + 3) % 400)];
        float[] scores = new Scorer(model, _workers, TinyModel.Tokenizer.Special, new ScoringOptions { MaxSequenceLength = 40, Stride = 15 }).Score(ids);
        // By hand: the first 39 tokens, then 15 at a time after 24 tokens of context.
        for (int start = 0, end = 39; start < ids.Length; start = end, end = Math.Min(ids.Length, end + 15))
        {
            int[] context = start == 0 ? [] : ids[(start - 24)..start];
            int[] input = [.. context, special.Continuation, special.Sop, .. ids[start..(end - 1)]];
            int vocabulary = TinyModel.Config.VocabSize;
            var logits = session.Run([new SessionInput(session.Cache.Add(), input, Enumerable.Range(0, input.Length).ToArray(), context.Length + 1)], allTokens: true);
            for (int i = start; i < end; i++)
            {
                var row = logits.Slice((context.Length + 1 + i - start) * vocabulary, vocabulary);
                Assert.Equal(row[ids[i]] - LogitMath.LogSumExp(row), scores[i], 1e-4);
            }
        }
    }

    /// <summary>Scores through a cache are those of tokens that are decoded one by one over such a cache.</summary>
    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.BFloat16)]
    [InlineData(DType.Int8)]
    public void ScoresThroughACacheAreThoseOfDecoding(DType cache)
    {
        var model = TinyModel.Create();
        var special = TinyModel.Tokenizer.Blanks;
        int[][] texts = [[7, 5, 3], [.. Enumerable.Range(0, 60).Select(i => (i * i + 3) % 400)]];
        float[][] scores = [.. new Scorer(model, _workers, TinyModel.Tokenizer.Special, new ScoringOptions { CacheType = cache }).Score(texts)];
        foreach (var (ids, found) in texts.Zip(scores))
        {
            var session = new Session(model, _workers, cacheType: cache);
            var sequence = session.Cache.Add();
            int[] input = [special.Continuation, special.Sop, .. ids];
            for (int i = 0; i < ids.Length; i++)
            {
                var logits = i == 0 ? session.Run([new SessionInput(sequence, input.AsMemory(0, 2), new[] { 0, 1 }, 1)])
                    : session.Run([new SessionInput(sequence, input.AsMemory(i + 1, 1), new[] { i + 1 }, 1)]);
                Assert.Equal(logits[ids[i]] - LogitMath.LogSumExp(logits), found[i], cache == DType.Float32 ? 1e-4 : 1e-2);
            }
        }
    }

    [Fact]
    public void TextsOfOneCallDoNotSeeEachOther()
    {
        var scorer = new Scorer(TinyModel.Create(), _workers, TinyModel.Tokenizer.Special);
        int[][] texts = [.. Enumerable.Range(0, 60).Select(text => Enumerable.Range(0, text * 7 % 130).Select(i => (text * i + 5) % 400).ToArray())];
        var together = scorer.Score(texts);
        foreach (var (text, scores) in texts.Zip(together))
        {
            float[] alone = scorer.Score(text);
            Assert.Equal(alone.Length, scores.Length);
            for (int i = 0; i < alone.Length; i++) Assert.Equal(alone[i], scores[i], 1e-4);
        }
        Assert.Empty(together[0]);
    }

    /// <summary>A left-to-right model was not trained on blanks, even where its vocabulary has them: its first token has none before it.</summary>
    [Fact]
    public void ALeftToRightModelReadsTheTextAlone()
    {
        var config = new BloomConfig { NLayer = 1, HiddenSize = 32, NHead = 2, VocabSize = 400, SeqLength = 64 };
        var weights = Initialization.PreLn(config, seed: 2, gain: 3);
        var model = new Bloom(config, name => weights[name]);
        int[] ids = [.. Enumerable.Range(0, 20).Select(i => (i * i + 3) % 400)];
        float[] scores = new Scorer(model, _workers, TinyModel.Tokenizer.Special).Score(ids);
        Assert.Equal(-Math.Log(400), scores[0], 1e-6);
        var context = new Context(_workers);
        var positions = context.Integers(Enumerable.Range(0, ids.Length).ToArray());
        float[] logits = model.Logits(context, model.Forward(context, context.Integers(ids), positions, model.Within(context, [new(0, ids.Length, 0)]))).ToArray();
        for (int i = 1; i < ids.Length; i++)
        {
            var row = logits.AsSpan((i - 1) * 400, 400).ToArray();
            Assert.Equal(row[ids[i]] - Math.Log(row.Sum(logit => Math.Exp(logit))), scores[i], 1e-4);
        }
    }

    [Fact]
    public void ImpossibleWindowsAreNamed()
    {
        Assert.StartsWith("max_sequence_length", Assert.Throws<GlmException>(
            () => new Scorer(TinyModel.Create(), _workers, TinyModel.Tokenizer.Special, new ScoringOptions { MaxSequenceLength = 65 })).Message);
        Assert.StartsWith("stride", Assert.Throws<GlmException>(
            () => new Scorer(TinyModel.Create(), _workers, TinyModel.Tokenizer.Special, new ScoringOptions { Stride = 64 }).Score([1, 2])).Message);
    }

    [Fact]
    public void BitsPerByteOfOneBitPerByteIsOne() => Assert.Equal(1, Scorer.BitsPerByte(8 * Math.Log(2), 8), 1e-12);
}
