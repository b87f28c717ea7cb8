namespace Glm.Inference.Tests;

/// <summary>Beam search over a small table of logits instead of a model.</summary>
public sealed class BeamSearchStrategyTests
{
    private const int Vocabulary = 5, End = 4;

    [Theory]
    [InlineData(0)]
    [InlineData(0.8)]
    public void AWideBeamFindsTheBestSequences(double lengthPenalty)
    {
        const int longest = 4;
        var all = new List<(int[] Ids, double Score)>();
        void Enumerate(int[] ids, double score)
        {
            if (ids.Length > 1 && (ids[^1] == End || ids.Length == longest + 1)) all.Add((ids, score / Math.Pow((5.0 + ids.Length) / 6, lengthPenalty)));
            else
                for (int token = 0; token < Vocabulary; token++) Enumerate([.. ids, token], score + LogProbability(ids, token));
        }
        Enumerate([9], 0);

        // As many beams as sequences: nothing is lost, and a list that never fills never ends the search.
        var found = Search(new BeamSearchOptions { NumBeams = 1000, LengthPenalty = lengthPenalty, EndTokens = [End] }, longest);

        Assert.Equal(all.Count, found.Count);
        foreach (var (expected, actual) in all.OrderByDescending(sequence => sequence.Score).Zip(found))
        {
            Assert.Equal(expected.Ids, actual.Ids);
            Assert.Equal(expected.Score, actual.Score, 1e-5);
        }
    }

    [Fact]
    public void NoNgramIsGeneratedTwice()
    {
        foreach (var candidate in Search(new BeamSearchOptions { NumBeams = 4, NoRepeatNgramSize = 2, EndTokens = [End], MinGenLength = 12 }, 12))
        {
            var pairs = candidate.Ids.Zip(candidate.Ids.Skip(1)).ToArray();
            Assert.Equal(pairs.Length, pairs.Distinct().Count());
        }
    }

    [Fact]
    public void EndTokensWaitForTheMinimum() =>
        Assert.All(Search(new BeamSearchOptions { NumBeams = 3, EndTokens = [End], MinGenLength = 5 }, 9), candidate => Assert.True(candidate.Ids.AsSpan(1, 5).IndexOf(End) < 0));

    [Fact]
    public void BannedBeginningsAndInvalidTokensDoNotOccur()
    {
        var found = Search(new BeamSearchOptions { NumBeams = 300, EndTokens = [End], InvalidIds = [0], BannedPrefixes = [[1], [2, 3]] }, 3);
        Assert.All(found, candidate =>
        {
            if (candidate.Score < -1000) return; // more beams than allowed sequences
            Assert.DoesNotContain(0, candidate.Ids);
            Assert.NotEqual(1, candidate.Ids[1]);
            Assert.False(candidate.Ids is [_, 2, 3, ..]);
        });
        Assert.Contains(found, candidate => candidate.Ids is [_, 2, 1, ..]);
        Assert.Contains(found, candidate => candidate.Ids is [_, 3, 3, ..]);
    }

    [Fact]
    public void SampledBeamsDependOnTheSeedAlone()
    {
        string Text(ulong seed) => string.Join(";", Search(new BeamSearchOptions { NumBeams = 2, EndTokens = [End], Deterministic = false, Seed = seed }, 6)
            .Select(candidate => string.Join(",", candidate.Ids)));
        Assert.Equal(Text(1), Text(1));
        Assert.True(Enumerable.Range(0, 20).Select(seed => Text((ulong)seed)).Distinct().Count() > 3);
    }

    [Fact]
    public void SampledBeamsFollowTheSoftmaxWithoutReplacement()
    {
        // Of one step with one beam two tokens are drawn and the better one goes on: P(max = b) = sum over drawing {a, b} with a worse than b.
        float[] logits = [0, 1, 2];
        double[] p = [.. logits.Select(logit => Math.Exp(logit) / logits.Sum(x => Math.Exp(x)))];
        double pair01 = (p[0] * p[1] / (1 - p[0])) + (p[1] * p[0] / (1 - p[1]));
        int ones = 0;
        const int draws = 4000;
        for (int i = 0; i < draws; i++)
        {
            var strategy = new BeamSearchStrategy(new BeamSearchOptions { NumBeams = 1, EndTokens = [], Deterministic = false, Seed = (ulong)i });
            strategy.Begin([9]);
            if (strategy.Step((float[])logits.Clone(), 3)[0].Token == 1) ones++;
        }
        double deviation = Math.Sqrt(draws * pair01 * (1 - pair01));
        Assert.InRange(ones, (draws * pair01) - (4 * deviation), (draws * pair01) + (4 * deviation));
    }

    [Theory]
    [InlineData(0, 1, 0, 0, "num_beams")]
    [InlineData(4, double.NaN, 0, 0, "length_penalty")]
    [InlineData(4, 1, 1, 0, "no_repeat_ngram_size")]
    [InlineData(4, 1, 0, -1, "min_gen_length")]
    public void ImpossibleOptionsAreNamed(int beams, double penalty, int ngram, int minimum, string name)
    {
        var options = new BeamSearchOptions { EndTokens = [], NumBeams = beams, LengthPenalty = penalty, NoRepeatNgramSize = ngram, MinGenLength = minimum };
        Assert.StartsWith(name, Assert.Throws<GlmException>(() => new BeamSearchStrategy(options)).Message);
    }

    private static IReadOnlyList<Candidate> Search(BeamSearchOptions options, int steps)
    {
        var strategy = new BeamSearchStrategy(options);
        strategy.Begin([9]);
        var beams = new List<int[]> { new[] { 9 } };
        for (int i = 0; i < steps && !strategy.Done; i++)
        {
            float[] logits = [.. beams.SelectMany(Logits)];
            var old = beams;
            beams = [.. strategy.Step(logits, Vocabulary).Select(step => (int[])[.. old[step.Parent], step.Token])];
        }
        return strategy.Finish();
    }

    private static float[] Logits(int[] ids)
    {
        uint hash = 2166136261;
        foreach (int id in ids) hash = (hash ^ (uint)id) * 16777619;
        return [.. Enumerable.Range(0, Vocabulary).Select(token => CounterRandom.At(7, hash, (ulong)token) / (float)uint.MaxValue * 3)];
    }

    private static double LogProbability(int[] ids, int token)
    {
        float[] logits = Logits(ids);
        return logits[token] - Math.Log(logits.Sum(logit => Math.Exp(logit)));
    }
}
