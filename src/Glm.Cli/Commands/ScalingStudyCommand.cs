using System.CommandLine;
using Glm.Models;
using Glm.Training;
using Spectre.Console;

namespace Glm.Cli.Commands;

/// <summary><c>glm study scaling</c>: what small runs predict of a larger one.</summary>
internal static class ScalingStudyCommand
{
    public static Command Create(Terminal terminal)
    {
        var folders = new Argument<string[]>("RUN") { Description = "Folders of finished runs of several sizes and lengths, on the same data with the same vocabulary", Arity = ArgumentArity.OneOrMore };
        var budget = new Option<double>("--flops") { HelpName = "N", Description = "Model FLOPs of the run to predict, for example 5e15", Required = true };
        var sizes = new Option<double[]>("--parameters") { HelpName = "N", Description = "Sizes to predict besides the best one", AllowMultipleArgumentsPerToken = true };
        var plot = new Option<string?>("--plot") { HelpName = "FILE.svg", Description = "Draw the runs and the fit" };
        var json = Options.Json();
        return new ExampleCommand("scaling", "Fit the losses of finished runs by size and data, and predict a larger run: its best size, tokens and loss",
            "glm study scaling runs/scaling/* --flops 5e15 --plot scaling.svg")
        {
            folders, budget, sizes, plot, json,
        }.Does((parse, _) =>
        {
            ScalingRun[] runs = [.. parse.GetRequiredValue(folders).Select(Read).OrderBy(run => run.Parameters).ThenBy(run => run.Tokens)];
            double flops = parse.GetValue(budget);
            if (!(flops > 0)) throw new UsageException($"--flops: expected a number above 0, found {flops}");
            var fit = ScalingFit.Of(runs);
            double best = fit.BestParameters(flops, runs[0].Parameters / 10.0, runs[^1].Parameters * 1000.0);
            double[] asked = [best, .. parse.GetValue(sizes) ?? []];
            if (parse.GetValue(plot) is { } file)
                AtomicFile.Write(file, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(ScalingPlots.LossOverCompute(runs, fit, flops).ToSvg())));
            if (parse.GetValue(json))
                terminal.WriteJson(new
                {
                    fit,
                    Runs = runs.Select(run => new { run.Name, run.Parameters, run.Tokens, run.Flops, run.Loss, Fitted = fit.Loss(run.Parameters, run.Tokens), LeftOut = LeftOut(runs, run) }),
                    Predictions = asked.Select(size => new { Parameters = size, Tokens = fit.Tokens(size, flops), Loss = fit.Loss(size, fit.Tokens(size, flops)) }),
                });
            else Show(terminal.Screen, runs, fit, flops, asked);
        });
    }

    private static ScalingRun Read(string folder)
    {
        var config = ModelDirectory.LoadConfig(Path.Combine(folder, "model"));
        return ScalingRun.Of(RunRecord.Read(folder), config.ParameterCount, config.Shape.MaxSequenceLength);
    }

    /// <summary>What the other runs predict of a run; null where they are too few.</summary>
    private static double? LeftOut(ScalingRun[] runs, ScalingRun run) =>
        runs.Length > ScalingFit.MinRuns ? ScalingFit.Of([.. runs.Where(other => other != run)]).Loss(run.Parameters, run.Tokens) : null;

    private static void Show(IAnsiConsole screen, ScalingRun[] runs, ScalingFit fit, double flops, double[] sizes)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("run");
        foreach (string column in new[] { "parameters", "tokens", "FLOPs", "loss", "fitted", "from the others" }) table.AddColumn(new TableColumn(column).RightAligned());
        foreach (var run in runs)
            table.AddRow(run.Name, $"{run.Parameters / 1e6:0.00} M", $"{run.Tokens / 1e6:0.0} M", $"{run.Flops:0.00e+0}", $"{run.Loss:F4}", $"{fit.Loss(run.Parameters, run.Tokens):F4}", LeftOut(runs, run) is { } other ? $"{other:F4}" : "");
        screen.Write(table);
        screen.WriteLine($"L = {fit.Irreducible:0.###} + {fit.SizeFactor:G4} / N^{fit.SizeExponent:0.##} + {fit.DataFactor:G4} / D^{fit.DataExponent:0.##}; {fit.FlopsPerParameterToken:0.##} FLOPs for a parameter and a token");
        foreach (var (index, size) in sizes.Index())
            screen.WriteLine($"{flops:0.0e+0} FLOPs, {(index == 0 ? "best size" : "size")} {size / 1e6:0.0} M: {fit.Tokens(size, flops) / 1e6:N0} M tokens, loss {fit.Loss(size, fit.Tokens(size, flops)):F4}");
    }
}
