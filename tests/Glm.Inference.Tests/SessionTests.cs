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
