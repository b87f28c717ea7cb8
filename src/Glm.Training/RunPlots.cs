using Glm.Plots;

namespace Glm.Training;

/// <summary>A run as its folder tells it.</summary>
/// <param name="Name">Name of the folder.</param>
/// <param name="Steps">Its steps.</param>
/// <param name="Events">What happened besides.</param>
public sealed record RunRecord(string Name, IReadOnlyList<StepLog> Steps, IReadOnlyList<RunEvent> Events)
{
    /// <summary>Reads the log of a run.</summary>
    /// <param name="path">The run's folder, or the log itself.</param>
    /// <exception cref="GlmException">There is none, or it has no whole line.</exception>
    public static RunRecord Read(string path)
    {
        string file = Directory.Exists(path) ? Path.Combine(path, RunLog.FileName) : path;
        if (!File.Exists(file)) throw new GlmException($"{path}: expected the folder of a run with {RunLog.FileName}, or such a file; found none");
        string folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        var steps = RunLog.Read(file);
        return steps.Count > 0 ? new RunRecord(Path.GetFileName(folder), steps, RunEvents.Read(Path.Combine(folder, RunEvents.FileName)))
            : throw new GlmException($"{file}: expected lines of a training run, found none that is whole");
    }
}

/// <summary>The plots of training runs, as the paper published them: loss, gradient norm, loss scale, speed.</summary>
public static class RunPlots
{
    private static (string Key, string Title, string Axis, bool Logarithmic, Func<StepLog, double?> Value)[] Kinds { get; } =
    [
        ("loss", "Loss", "nats per token", false, step => step.Loss),
        ("loss-mask", "Loss of [MASK] rows", "nats per token", false, step => step.SpanLoss),
        ("loss-gmask", "Loss of [gMASK] rows", "nats per token", false, step => step.SuffixLoss),
        ("loss-multitask", "Loss of prompted samples", "nats per token", false, step => step.MultitaskLoss),
        ("validation", "Held-out loss, mean of the sources", "nats per token", false, step => step.Validation is { Length: > 0 } losses ? losses.Average() : null),
        ("gradient-norm", "Gradient norm before clipping", "", true, step => step.GradientNorm),
        ("loss-scale", "Loss scale", "", true, step => step.LossScale),
        ("learning-rate", "Learning rate", "", false, step => step.Rate),
        ("speed", "Speed", "tokens per second", false, step => step.TokensPerSecond),
        ("peak-share", "Model FLOPs, share of the measured peak", "percent", false, step => 100 * step.PeakShare),
        ("communication", "Time in communication", "percent", false, step => 100 * step.CommunicationShare),
    ];

    /// <summary>The plots that the runs have values for, by the name of their files.</summary>
    /// <param name="runs">One or more runs.</param>
    /// <param name="bySamples">Whether consumed samples are the horizontal axis, which compares runs of different batches; otherwise steps.</param>
    public static IEnumerable<(string Key, LinePlot Plot)> Of(IReadOnlyList<RunRecord> runs, bool bySamples)
    {
        foreach (var (key, title, axis, logarithmic, value) in Kinds)
        {
            var lines = runs.SelectMany((run, slot) => Lines(run, slot, bySamples, value, smooth: key.StartsWith("loss", StringComparison.Ordinal) && key != "loss-scale")).ToList();
            if (lines.Count == 0) continue;
            string names = string.Join(", ", runs.Select(run => run.Name));
            yield return (key, new LinePlot
            {
                Title = title,
                Description = $"{title} of {names}.",
                X = new Axis(bySamples ? "samples" : "step"),
                Y = new Axis(axis) { Logarithmic = logarithmic },
                Series = lines,
            });
        }
    }

    /// <summary>All plots, a table and the events of the runs as a page in one file.</summary>
    public static string Page(IReadOnlyList<RunRecord> runs, bool bySamples)
    {
        var page = new HtmlPage(runs.Count == 1 ? $"Training run {runs[0].Name}" : "Training runs").Table(Table(runs));
        foreach (var (_, plot) in Of(runs, bySamples)) page.Figure(plot);
        foreach (var run in runs.Where(run => run.Events.Count > 0))
            page.Details($"Events of {run.Name}", inner => inner.Table(new HtmlTable(
                "What happened beside the steps", ["time (UTC)", "step", "samples drawn", "kind", "what"],
                [.. run.Events.Select(e => new Cell[] { FormattableString.Invariant($"{e.Time:yyyy-MM-dd HH:mm:ss}"), Number(e.Step), Number(e.Samples), e.Kind, e.Message })]) { Texts = true }));
        return page.ToString();
    }

    private static HtmlTable Table(IReadOnlyList<RunRecord> runs) => new(
        "Runs", ["run", "steps", "samples", "loss, mean of the last 5 %", "best held-out loss", "overflows", "samples discarded", "tokens per second, median"],
        [.. runs.Select(run => new Cell[]
        {
            run.Name, Number(run.Steps[^1].Step), Number(run.Steps[^1].Samples), Loss(FinalLoss(run)), Loss(BestValidation(run)), Number(run.Steps[^1].Overflows),
            Number(run.Steps[^1].Discarded), FormattableString.Invariant($"{MedianSpeed(run):N0}"),
        })]);

    /// <summary>Mean loss of the last twentieth of a run's steps.</summary>
    public static double FinalLoss(RunRecord run) => run.Steps.Skip(run.Steps.Count - Math.Max(1, run.Steps.Count / 20)).Average(step => step.Loss);

    /// <summary>Lowest mean held-out loss of a run; null where none was measured.</summary>
    public static double? BestValidation(RunRecord run) => run.Steps.Where(step => step.Validation is { Length: > 0 }).Select(step => (double?)step.Validation!.Average()).Min();

    /// <summary>Tokens per second of the step in the middle.</summary>
    public static double MedianSpeed(RunRecord run) => run.Steps.Select(step => step.TokensPerSecond).Order().ElementAt(run.Steps.Count / 2);

    private static IEnumerable<LineSeries> Lines(RunRecord run, int slot, bool bySamples, Func<StepLog, double?> value, bool smooth)
    {
        var points = run.Steps.Where(step => value(step) is not null).ToList();
        if (points.Count == 0) yield break;
        double[] x = [.. points.Select(step => (double)(bySamples ? step.Samples : step.Step))], y = [.. points.Select(step => value(step)!.Value)];
        bool smoothed = smooth && points.Count >= 40;
        if (smoothed) yield return new LineSeries(run.Name, x, Smoothed(y, points.Count / 40)) { Slot = slot };
        yield return new LineSeries(run.Name, x, y) { Slot = slot, Faint = smoothed };
    }

    /// <summary>Means that weigh the past less and less, over about so many steps; steps that have no number are passed over.</summary>
    private static double[] Smoothed(double[] values, int steps)
    {
        double keep = 1 - (1.0 / Math.Max(1, steps)), sum = 0, weight = 0;
        return Array.ConvertAll(values, value =>
        {
            if (double.IsFinite(value)) (sum, weight) = ((keep * sum) + ((1 - keep) * value), (keep * weight) + (1 - keep));
            return weight > 0 ? sum / weight : double.NaN;
        });
    }

    private static string Number(long value) => value.ToString("N0", System.Globalization.CultureInfo.InvariantCulture);

    private static string Loss(double? value) => value is { } loss ? FormattableString.Invariant($"{loss:F4}") : "";
}
