using FsCheck;
using FsCheck.Fluent;

namespace Glm.Inference.Tests;

public sealed class SamplingStrategyTests
{
    [Fact]
    public void DrawsFollowTheSoftmax()
    {
        float[] logits = [0, 1, 2, -1, 0.5f];
        double sum = logits.Sum(logit => Math.Exp(logit));
        var strategy = new SamplingStrategy(new SamplingOptions { EndTokens = [] });
        strategy.Begin([]);
        const int draws = 20000;
        int[] counts = new int[logits.Length];
        for (int i = 0; i < draws; i++) counts[strategy.Step((float[])logits.Clone(), logits.Length)[0].Token]++;
        double chiSquare = 0;
        for (int i = 0; i < logits.Length; i++)
        {
            double expected = draws * Math.Exp(logits[i]) / sum;
            chiSquare += Math.Pow(counts[i] - expected, 2) / expected;
        }
        Assert.InRange(chiSquare, 0, 18.5); // 4 degrees of freedom, p = 0.001
    }

    [Fact]
    public void OneSeedGivesOneText()
    {
        int[] Draw(ulong seed)
        {
            var strategy = new SamplingStrategy(new SamplingOptions { EndTokens = [], Seed = seed });
            strategy.Begin([7]);
            for (int i = 0; i < 20; i++) strategy.Step(new float[100], 100);
            return strategy.Finish()[0].Ids;
        }
        Assert.Equal(Draw(3), Draw(3));
        Assert.NotEqual(Draw(3), Draw(4));
        Assert.Equal(7, Draw(3)[0]);
    }

    [Fact]
    public void TemperatureZeroAndTopKOneTakeTheMostProbable() =>
        Prop.ForAll<float[], int>((values, seed) =>
        {
            float[] logits = Finite(values);
            if (logits.Length == 0) return;
            int best = Array.IndexOf(logits, logits.Max());
            if (logits.Count(logit => logit == logits[best]) > 1) return;
            foreach (var options in new[] { new SamplingOptions { EndTokens = [best], Temperature = 0 }, new SamplingOptions { EndTokens = [best], TopK = 1 } })
            {
                var strategy = new SamplingStrategy(options with { Seed = (ulong)seed });
                strategy.Begin([]);
                Assert.Equal(best, strategy.Step((float[])logits.Clone(), logits.Length)[0].Token);
                Assert.True(strategy.Done);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void TheNucleusIsTheSmallestSetAboveP() =>
        Prop.ForAll<float[], int>((values, percent) =>
        {
            float[] logits = Finite(values);
            if (logits.Length == 0) return;
            double p = (Math.Abs(percent % 98) + 1) / 100.0;
            float[] kept = (float[])logits.Clone();
            SamplingStrategy.Filter(kept, new SamplingOptions { EndTokens = [], TopP = p });
            double sum = LogitMath.LogSumExp(logits);
            double[] probabilities = [.. logits.Select((logit, i) => kept[i] > LogitMath.Forbidden ? Math.Exp(logit - sum) : 0)];
            int[] chosen = [.. Enumerable.Range(0, kept.Length).Where(i => kept[i] > LogitMath.Forbidden)];
            Assert.NotEmpty(chosen);
            Assert.True(chosen.Length == logits.Length || probabilities.Sum() > p - 1e-6);
            Assert.True(probabilities.Sum() - chosen.Min(i => probabilities[i]) <= p + 1e-6);
            Assert.True(chosen.Min(i => logits[i]) >= Enumerable.Range(0, logits.Length).Except(chosen).Select(i => logits[i]).DefaultIfEmpty(float.NegativeInfinity).Max());
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void InvalidTokensAreNeverDrawn()
    {
        var strategy = new SamplingStrategy(new SamplingOptions { EndTokens = [], InvalidIds = [1, 99] });
        strategy.Begin([]);
        for (int i = 0; i < 100; i++) Assert.NotEqual(1, strategy.Step([0, 5, 0], 3)[0].Token);
    }

    [Theory]
    [InlineData(-1, 0, 0, "temperature")]
    [InlineData(double.NaN, 0, 0, "temperature")]
    [InlineData(1, -1, 0, "top_k")]
    [InlineData(1, 0, 1.5, "top_p")]
    public void ImpossibleOptionsAreNamed(double temperature, int topK, double topP, string name)
    {
        var options = new SamplingOptions { EndTokens = [], Temperature = temperature, TopK = topK, TopP = topP };
        Assert.StartsWith(name, Assert.Throws<GlmException>(() => new SamplingStrategy(options)).Message);
    }

    /// <summary>What another model would draw with the same numbers is mostly what the model draws, where their logits are alike.</summary>
    [Fact]
    public void GuessesFromLogitsThatAreAlikeComeTrue()
    {
        var random = new Random(5);
        float[] logits = [.. Enumerable.Range(0, 1000).Select(_ => (float)(3 * random.NextDouble()))], alike = [.. logits.Select(logit => logit + (float)(0.1 * random.NextDouble()))];
        var strategy = new SamplingStrategy(new SamplingOptions { EndTokens = [] });
        strategy.Begin([]);
        int same = 0, drawn = 0;
        for (int i = 0; i < 200; i += 2)
        {
            int now = strategy.Guess([.. alike], 0), next = strategy.Guess([.. alike], 1);
            foreach (int guess in new[] { now, next })
            {
                int token = strategy.Step([.. logits], logits.Length)[0].Token;
                if (token == guess) same++;
                drawn += token;
            }
        }
        Assert.InRange(same, 170, 199);
        Assert.InRange(drawn / 200, 400, 600); // not always the same token
    }

    [Fact]
    public void LogitsThatAreNoNumbersAreAnError()
    {
        var strategy = new SamplingStrategy(new SamplingOptions { EndTokens = [] });
        strategy.Begin([]);
        Assert.Throws<GlmException>(() => strategy.Step([0, float.NaN, 1], 3));
    }

    private static float[] Finite(float[] values) => [.. values.Where(float.IsFinite).Select(value => value % 20)];
}
