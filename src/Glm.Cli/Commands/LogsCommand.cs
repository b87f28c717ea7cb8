using System.CommandLine;
using Glm.Training;

namespace Glm.Cli.Commands;

/// <summary><c>glm logs</c>: plots of training runs.</summary>
internal static class LogsCommand
{
    private const string PageFile = "logs.html";

    public static Command Create(Terminal terminal)
    {
        var runs = new Argument<string[]>("RUN") { Description = "Folders of runs (the output of a training configuration)", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string>("--output") { HelpName = "FOLDER", Description = $"Where {PageFile} and one SVG for each plot go", DefaultValueFactory = _ => "logs" };
        var axis = new Option<string>("--x") { HelpName = "step|samples", Description = "The horizontal axis; samples compare runs of different batches", DefaultValueFactory = _ => "step" }
            .AcceptOnlyFromAmong("step", "samples");
        var json = Options.Json();
        return new ExampleCommand("logs", "Plot loss, gradient norm, loss scale and speed of training runs", "glm logs runs/glm-7m", "glm logs runs/deepnorm runs/pre-ln --x samples --output comparison")
        {
            runs, output, axis, json,
        }.Does((parse, cancellation) =>
        {
            var records = parse.GetRequiredValue(runs).Select(RunRecord.Read).ToList();
            bool bySamples = parse.GetValue(axis) == "samples";
            string folder = parse.GetRequiredValue(output), page = Path.Combine(folder, PageFile);
            var plots = RunPlots.Of(records, bySamples).ToList();
            foreach (var (key, plot) in plots)
            {
                cancellation.ThrowIfCancellationRequested();
                Write(Path.Combine(folder, key + ".svg"), plot.ToSvg());
            }
            Write(page, RunPlots.Page(records, bySamples));
            if (parse.GetValue(json))
                terminal.WriteJson(new
                {
                    page,
                    Plots = plots.Select(plot => plot.Key),
                    Runs = records.Select(run => new
                    {
                        run.Name, run.Steps[^1].Step, run.Steps[^1].Samples, Loss = Finite(RunPlots.FinalLoss(run)), Validation = RunPlots.BestValidation(run), run.Steps[^1].Overflows,
                        run.Steps[^1].Discarded, TokensPerSecond = RunPlots.MedianSpeed(run),
                    }),
                });
            else
            {
                foreach (var run in records)
                    terminal.Out.WriteLine(FormattableString.Invariant(
                        $"{run.Name}: {run.Steps[^1].Step:N0} steps, loss {RunPlots.FinalLoss(run):F4}{(RunPlots.BestValidation(run) is { } best ? $", held out {best:F4}" : "")}, {RunPlots.MedianSpeed(run):N0} tok/s"));
                terminal.Out.WriteLine($"{page}: {plots.Count} plots");
            }
        });
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    private static void Write(string path, string text) => AtomicFile.Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
}
