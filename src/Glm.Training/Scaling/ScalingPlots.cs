using Glm.Plots;

namespace Glm.Training;

/// <summary>A scaling study as a plot.</summary>
public static class ScalingPlots
{
    private const int Points = 60;

    /// <summary>Held-out loss over FLOPs: the runs as dots, one colour for each size, the fitted curve of each size through them, and the best loss that any size would reach.</summary>
    public static LinePlot LossOverCompute(IReadOnlyList<ScalingRun> runs, ScalingFit fit, double flops)
    {
        double low = runs.Min(run => run.Flops) / 2, high = Math.Max(flops, runs.Max(run => run.Flops)) * 1.5;
        double[] x = [.. Enumerable.Range(0, Points + 1).Select(i => low * Math.Pow(high / low, (double)i / Points))];
        var series = new List<LineSeries>();
        int slot = 0;
        foreach (var size in runs.GroupBy(run => run.Parameters).OrderBy(group => group.Key))
        {
            string name = $"{size.Key / 1e6:0.#} M parameters";
            var ends = size.OrderBy(run => run.Flops).ToArray();
            series.Add(new LineSeries(name, x, [.. x.Select(c => fit.Loss(size.Key, fit.Tokens(size.Key, c)))]) { Slot = slot, Faint = true });
            series.Add(new LineSeries(name, [.. ends.Select(run => run.Flops)], [.. ends.Select(run => run.Loss)]) { Slot = slot, Dots = true });
            slot++;
        }
        series.Add(new LineSeries("best size", x, [.. x.Select(c => Best(fit, c))]) { Slot = slot });
        return new LinePlot
        {
            Title = "Held-out loss and compute",
            Description = "Dots are runs, each at the end of its own schedule; pale lines are the fit for their sizes.",
            X = new Axis("model FLOPs") { Logarithmic = true },
            Y = new Axis("nats per token"),
            Series = series,
        };
    }

    private static double Best(ScalingFit fit, double flops)
    {
        double size = fit.BestParameters(flops, 1e5, 1e12);
        return fit.Loss(size, fit.Tokens(size, flops));
    }
}
