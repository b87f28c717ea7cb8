using System.Globalization;
using Glm.Tensors;
using Glm.Training;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Glm.Cli;

/// <summary>
/// How a training run goes, on standard error: on a terminal a panel that is redrawn after every step, otherwise a line now and then.
/// </summary>
internal sealed class TrainingView : IProgress<StepLog>
{
    private const string Bars = "▁▂▃▄▅▆▇█";

    private readonly TrainingConfig _config;
    private readonly double _peak;
    private readonly Action<StepLog> _show;
    private readonly List<double> _losses = [];
    private double _samplesPerSecond;
    private double[]? _validation;

    private TrainingView(TrainingConfig config, double peak, Action<TrainingView, StepLog> show)
    {
        _config = config;
        _peak = peak;
        _show = step => show(this, step);
    }

    /// <summary>Trains under a view.</summary>
    public static void Run(Terminal terminal, TrainingConfig config, Trainer trainer, Workers workers, bool quiet, CancellationToken cancellation)
    {
        if (!terminal.IsFirst)
        {
            trainer.Run(null, cancellation);
            return;
        }
        double peak = Machine.ProductPeak(workers, config.Precision.ActivationType()) * terminal.World.Size;
        trainer.Peak = peak;
        bool screen = !quiet && terminal.Log.Profile.Capabilities.Ansi;
        RunEvent? last = null;
        trainer.Happened = happened =>
        {
            if (happened.Kind is "start" or "resume") return;
            last = happened;
            if (!screen) terminal.Error.WriteLine($"glm: {happened.Message}");
        };
        if (quiet)
        {
            trainer.Run(null, cancellation);
        }
        else if (screen)
        {
            var live = terminal.Log.Live(new Text("first step ..."));
            live.Start(display => trainer.Run(new TrainingView(config, peak, (view, step) => display.UpdateTarget(view.Panel(step, last))), cancellation));
        }
        else
        {
            using var line = new ProgressLine(terminal, quiet: false);
            trainer.Run(new TrainingView(config, peak, (view, step) => line.Show(view.Line(step))), cancellation);
        }
    }

    public void Report(StepLog value)
    {
        _losses.Add(value.Loss);
        _validation = value.Validation ?? _validation;
        double rate = value.TokensPerSecond / _config.SeqLength;
        // Steps differ; what remains is judged by about the last twenty.
        _samplesPerSecond = _samplesPerSecond == 0 ? rate : (0.95 * _samplesPerSecond) + (0.05 * rate);
        _show(value);
    }

    private string Line(StepLog step) => string.Create(CultureInfo.InvariantCulture,
        $"step {step.Step}, {Done(step):P1}: loss {step.Loss:F4}, {step.TokensPerSecond:N0} tok/s, {Share(step):P0} of peak, {Left(step)} left");

    private Panel Panel(StepLog step, RunEvent? last)
    {
        var grid = new Grid().AddColumn(new GridColumn().PadRight(2).NoWrap()).AddColumn();
        void Row(string name, IRenderable value) => grid.AddRow(new Markup($"[grey]{name}[/]"), value);
        Row("step", new Text($"{step.Step:N0}   {step.Samples:N0} of {_config.TrainSamples:N0} samples   {Left(step)} left"));
        Row("", new BreakdownChart().HideTags().AddItem("done", Done(step), Color.Aqua).AddItem("left", 1 - Done(step), Color.Grey23));
        Row("loss", new Markup($"[bold]{step.Loss:F4}[/]   [[MASK]] {Number(step.SpanLoss)}   [[gMASK]] {Number(step.SuffixLoss)}{(step.MultitaskLoss is { } prompted ? $"   prompts {Number(prompted)}" : "")}"));
        Row("", new Text(Curve(40), new Style(Color.Aqua)));
        if (_validation is { Length: > 0 }) Row("held out", new Text(string.Join("   ", _validation.Select((loss, i) => $"{Path.GetFileName(_config.Validation[i].Path)} {loss:F4}"))));
        Row("speed", new Text($"{step.TokensPerSecond:N0} tok/s   {step.FlopsPerSecond / 1e9:N0} GFLOP/s, {Share(step):P0} of the multipliers' peak of {_peak:N0}"));
        Row("optimiser", new Text($"rate {step.Rate:E2}   gradient norm {step.GradientNorm:F3}   batch {step.Batch}{(step.LossScale is { } scale ? $"   loss scale {scale:N0}, {step.Overflows} overflows" : "")}{(step.Discarded > 0 ? $"   {step.Discarded:N0} samples discarded" : "")}"));
        if (last is not null) Row("last event", new Text(last.Message));
        return new Panel(grid).Header($" {Path.GetFileName(_config.Output)} ").Border(BoxBorder.Rounded).BorderColor(Color.Grey);
    }

    /// <summary>The losses so far, averaged into so many bars between their least and their largest.</summary>
    private string Curve(int width)
    {
        int bars = Math.Min(width, _losses.Count);
        double[] means = [.. Enumerable.Range(0, bars).Select(i => _losses[(_losses.Count * i / bars)..(_losses.Count * (i + 1) / bars)].Average())];
        double least = means.Min(), range = Math.Max(means.Max() - least, 1e-9);
        return string.Concat(means.Select(mean => Bars[(int)((mean - least) / range * (Bars.Length - 1))]));
    }

    private double Done(StepLog step) => Math.Min(1, (double)step.Samples / _config.TrainSamples);

    private double Share(StepLog step) => step.FlopsPerSecond / 1e9 / _peak;

    private string Left(StepLog step) => Units.Duration(TimeSpan.FromSeconds(Math.Max(0, _config.TrainSamples - step.Samples) / _samplesPerSecond));

    private static string Number(double? value) => value is { } number ? number.ToString("F4", CultureInfo.InvariantCulture) : "-";
}
