using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference.Tests;

public sealed class SessionTests : IDisposable
{
    private readonly Workers _workers = new(2);

    public void Dispose() => _workers.Dispose();

    [Fact]
    public void TokensOneByOneGiveWhatTheyGiveTogether()
    {
        var session = new Session(TinyModel.Create(), _workers);
        int[] ids = [.. Enumerable.Range(0, 50).Select(i => 17 * i % 400)];
        int vocabulary = TinyModel.Config.VocabSize, division = 20;
        var whole = session.Cache.Add();
        float[] expected = session.Run([Input(whole, ids, 0, ids.Length, division)], allTokens: true).ToArray();
        Assert.Equal(ids.Length * vocabulary, expected.Length);

        var stepped = session.Cache.Add();
        RequireClose(expected.AsSpan(23 * vocabulary, vocabulary), session.Run([Input(stepped, ids, 0, 24, division)]));
        for (int i = 24; i < ids.Length; i++)
            RequireClose(expected.AsSpan(i * vocabulary, vocabulary), session.Run([Input(stepped, ids, i, 1, division)]));
    }

    [Fact]
    public void SequencesOfOneRunDoNotSeeEachOther()
    {
        var session = new Session(TinyModel.Create(), _workers);
        int[] first = [5, 6, 7, 8, 9], second = [300, 20, 1];
        int vocabulary = TinyModel.Config.VocabSize;
        var a = session.Cache.Add();
        float[] alone = session.Run([Input(a, first, 0, 5, 3)]).ToArray();
        var b = session.Cache.Add();
        float[] other = session.Run([Input(b, second, 0, 3, 0)]).ToArray();
        a.Release();
        b.Release();
        var together = session.Run([Input(session.Cache.Add(), first, 0, 5, 3), Input(session.Cache.Add(), second, 0, 3, 0)]);
        RequireClose(alone, together[..vocabulary]);
        RequireClose(other, together[vocabulary..]);
    }

    /// <summary>A fork in the middle of a page goes its own way and leaves the other alone.</summary>
    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.BFloat16)]
    [InlineData(DType.Int8)]
    public void ForksShareAPastAndNothingElse(DType cache)
    {
        var session = new Session(TinyModel.Create(), _workers, cacheType: cache);
        int[] ids = [.. Enumerable.Range(0, 40).Select(i => 17 * i % 400)], other = [.. ids[..30], .. Enumerable.Range(0, 10).Select(i => 390 - 7 * i)];
        float[] first = Steps(session.Cache.Add(), ids, 0), second = Steps(session.Cache.Add(), other, 0);
        var past = session.Cache.Add();
        session.Run([Input(past, ids, 0, 30, 20)]);
        var fork = past.Fork();
        Assert.Equal(second[^400..], Steps(fork, other, 30)[^400..]);
        Assert.Equal(first[^400..], Steps(past, ids, 30)[^400..]);
        fork.Release();
        past.Release();
        Assert.Equal(2, session.Cache.UsedPages);

        float[] Steps(KvCache.Sequence sequence, int[] tokens, int start)
        {
            if (start == 0) session.Run([Input(sequence, tokens, 0, 30, 20)]);
            float[] last = [];
            for (int i = 30; i < tokens.Length; i++) last = session.Run([Input(sequence, tokens, i, 1, 20)]).ToArray();
            return last;
        }
    }

    /// <summary>Log-probabilities of tokens that go in one by one, beside those of an exact cache.</summary>
    [Theory]
    [InlineData(DType.BFloat16, 0.05)]
    [InlineData(DType.Int8, 0.1)]
    public void RoundedKeysAndValuesChangeLittle(DType cache, double tolerance)
    {
        double[] exact = LogProbabilities(DType.Float32), rounded = LogProbabilities(cache);
        Assert.NotEqual(exact, rounded);
        for (int i = 0; i < exact.Length; i++) Assert.Equal(exact[i], rounded[i], tolerance);

        double[] LogProbabilities(DType type)
        {
            var session = new Session(TinyModel.Create(), _workers, cacheType: type);
            int[] ids = [.. Enumerable.Range(0, 60).Select(i => 31 * i % 400)];
            var sequence = session.Cache.Add();
            double[] values = new double[40];
            for (int i = 20; i < 60; i++)
            {
                var logits = i == 20 ? session.Run([Input(sequence, ids, 0, 20, 15)]) : session.Run([Input(sequence, ids, i - 1, 1, 15)]);
                values[i - 20] = logits[ids[i]] - LogitMath.LogSumExp(logits);
            }
            return values;
        }
    }

    [Fact]
    public void CancellationAndImpossibleTokensEndARun()
    {
        var session = new Session(TinyModel.Create(), _workers);
        Assert.Throws<OperationCanceledException>(() => session.Run([Input(session.Cache.Add(), [1, 2], 0, 2, 0)], false, new CancellationToken(true)).Length);
        Assert.Throws<GlmException>(() => session.Run([Input(session.Cache.Add(), [1, 400], 0, 2, 0)]).Length);
        Assert.Throws<GlmException>(() => session.Run([new SessionInput(session.Cache.Add(), new[] { 1 }, new[] { 64 }, 0)]).Length);
    }

    private static SessionInput Input(KvCache.Sequence sequence, int[] ids, int start, int count, int division) =>
        new(sequence, ids.AsMemory(start, count), Enumerable.Range(start, count).ToArray(), division);

    private static void RequireClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-4);
    }
}
