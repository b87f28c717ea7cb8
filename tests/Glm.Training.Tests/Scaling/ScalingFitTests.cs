using Glm.Training;

namespace Glm.Tests;

public sealed class ScalingFitTests
{
    private static readonly long[] Sizes = [1_000_000, 2_500_000, 7_000_000, 20_000_000];

    private static ScalingRun Run(long parameters, double tokens, double noise = 0) =>
        new("run", parameters, tokens, 6.5 * parameters * tokens, (1.8 + 400 / Math.Pow(parameters, 0.36) + 900 / Math.Pow(tokens, 0.38)) * (1 + noise));

    [Fact]
    public void The_law_that_made_the_losses_is_found()
    {
        var fit = ScalingFit.Of([.. Sizes.SelectMany(size => new[] { Run(size, 2e6), Run(size, 8e6), Run(size, 3e7) })]);
        Assert.Equal(0.36, fit.SizeExponent, 1e-9);
        Assert.Equal(0.38, fit.DataExponent, 1e-9);
        Assert.Equal(1.8, fit.Irreducible, 1e-6);
        Assert.Equal(6.5, fit.FlopsPerParameterToken, 1e-9);
        Assert.Equal(Run(50_000_000, 1e9).Loss, fit.Loss(50_000_000, 1e9), 1e-6);
    }

    [Fact]
    public void The_best_size_has_no_better_neighbour_and_spends_the_budget()
    {
        var fit = ScalingFit.Of([.. Sizes.SelectMany(size => new[] { Run(size, 2e6), Run(size, 1e7) })]);
        const double flops = 5e15;
        double best = fit.BestParameters(flops, 1e5, 1e10);
        foreach (double other in new[] { best * 0.9, best * 1.1 }) Assert.True(fit.Loss(other, fit.Tokens(other, flops)) > fit.Loss(best, fit.Tokens(best, flops)));
        Assert.Equal(flops, fit.FlopsPerParameterToken * best * fit.Tokens(best, flops), flops * 1e-9);
    }

    [Fact]
    public void Noise_of_a_percent_moves_a_prediction_by_little()
    {
        var random = new Random(5);
        var fit = ScalingFit.Of([.. Sizes.SelectMany(size => new[] { 2e6, 6e6, 2e7 }.Select(tokens => Run(size, tokens, 0.005 * (2 * random.NextDouble() - 1))))]);
        double exact = Run(30_000_000, 1e8).Loss;
        Assert.InRange(fit.Loss(30_000_000, 1e8), 0.95 * exact, 1.05 * exact);
    }

    [Fact]
    public void Too_few_runs_and_runs_of_one_size_are_refused()
    {
        Assert.Contains("5 runs", Assert.Throws<GlmException>(() => ScalingFit.Of([Run(1, 1), Run(2, 2), Run(3, 3), Run(4, 4)])).Message);
        Assert.Contains("sizes", Assert.Throws<GlmException>(() => ScalingFit.Of([.. Enumerable.Range(1, 6).Select(i => Run(7_000_000, 1e6 * i))])).Message);
    }

    [Fact]
    public void A_log_is_summed_up_by_its_samples()
    {
        var steps = Enumerable.Range(1, 4).Select(i => new StepLog(i, 8 * i, 5, null, null, 1, 1e-3, 8, 1000 + i, 6e6 * (1000 + i), i == 4 ? [4.0, 6.0] : null)).ToArray();
        var run = ScalingRun.Of(new RunRecord("a", steps, []), 1_000_000, 100);
        Assert.Equal((3200, 3200 * 6e6, 5), (run.Tokens, run.Flops, run.Loss), (a, b) => Math.Abs(a.Item1 - b.Item1) < 1e-6 && Math.Abs(a.Item2 - b.Item2) < 1 && a.Item3 == b.Item3);
        Assert.Contains("held-out", Assert.Throws<GlmException>(() => ScalingRun.Of(new RunRecord("a", steps[..3], []), 1, 100)).Message);
    }
}
