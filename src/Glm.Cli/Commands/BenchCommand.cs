using System.CommandLine;
using System.Diagnostics;
using System.Reflection;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Spectre.Console;

namespace Glm.Cli.Commands;

/// <summary><c>glm bench</c>: how fast a model reads and writes, beside what the memory and the multipliers of this machine could do.</summary>
internal static class BenchCommand
{
    public static Command Create(Terminal terminal)
    {
        var model = new Option<string>("--model") { HelpName = "PATH|PRESET", Description = "GGUF file, directory of a model, or a shape (a preset or a config.json), which gets random weights (default: the shipped model)" };
        var layers = new Option<int?>("--layers") { HelpName = "N", Description = "Of a shape, only so many layers: what one of them takes can be multiplied" };
        layers.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1) result.AddError($"--layers: expected at least 1, found {result.GetValueOrDefault<int?>()}");
        });
        var precision = new Option<string?>("--precision") { HelpName = "int8|int4", Description = "How the layers of a shape are quantised; its random weights are on disk meanwhile (default: bfloat16, in memory)" }
            .AcceptOnlyFromAmong("int8", "int4");
        var prompt = Options.Number("-p", "N", "Tokens of the prompt", 512, 1, 1 << 20);
        var generate = Options.Number("-n", "N", "Tokens generated after it, by each sequence", 64, 1, 1 << 20);
        var batch = Options.Number("-b", "N", "Sequences that are decoded together", 1, 1, 1024);
        var runs = Options.Number("--runs", "N", "Runs, of which the median counts", 3, 1, 1000);
        var activations = Options.Activations();
        var kvCache = Options.KvCache();
        var memory = Options.Memory();
        var threads = Options.Threads();
        var json = Options.Json();
        var quiet = Options.Quiet();
        return new ExampleCommand("bench", "Prompt and decoding speed, as shares of this machine's memory bandwidth and arithmetic",
            "glm bench --model chatglm3-6b.gguf -p 512 -n 64", "glm bench --model glm-110m -b 8 --json",
            "glm bench --model glm-130b --layers 6 --precision int4 --memory 4GB -p 32 -n 4")
        {
            model, layers, precision, prompt, generate, batch, runs, activations, kvCache, memory, threads, json, quiet,
        }.Does((parse, cancellation) =>
        {
            var options = new SpeedOptions { Prompt = parse.GetValue(prompt), Generate = parse.GetValue(generate), Batch = parse.GetValue(batch), Runs = parse.GetValue(runs) };
            DType? type = parse.GetValue(precision) switch { "int8" => DType.Int8, "int4" => DType.Int4, _ => null };
            var cacheType = Options.CacheType(parse.GetValue(kvCache));
            using var workers = new Workers(parse.GetValue(threads));
            long start = Stopwatch.GetTimestamp();
            using (var line = new ProgressLine(terminal, parse.GetValue(quiet))) line.Show("loading the model");
            using var opened = BenchModel.Open(
                parse.GetValue(model), parse.GetValue(layers), type, workers, parse.GetValue(memory), options.Batch * (options.Prompt + options.Generate), cacheType, terminal,
                parse.GetValue(quiet), cancellation);
            double load = Stopwatch.GetElapsedTime(start).TotalSeconds;
            opened.Model.InputBits = Options.InputBits(parse.GetValue(activations));
            string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(ModelLocation.OrShipped(parse.GetValue(model))));
            var report = Measure(terminal, name, opened, load, options, cacheType, workers, parse.GetValue(quiet), cancellation);
            if (parse.GetValue(json)) terminal.WriteJson(report);
            else Print(terminal, report);
        });
    }

    private static BenchReport Measure(Terminal terminal, string name, BenchModel opened, double load, SpeedOptions options, DType cacheType, Workers workers, bool quiet, CancellationToken cancellation)
    {
        var model = opened.Model;
        using var line = new ProgressLine(terminal, quiet);
        var session = new Session(model, workers, cacheType: cacheType);
        var speed = SpeedMeasurement.Run(session, options, new DirectProgress<string>(line.Show), cancellation);
        long resident = Environment.WorkingSet;
        line.Show("measuring the machine");
        double? disk = opened.Stream?.MeasureRate(TimeSpan.FromSeconds(3));
        double streamed = (double)opened.StreamedBytes / options.Batch;
        double read = Machine.ReadBandwidth(workers), peak = model.Parameters.Any(p => p.Tensor.IsPacked) ? Machine.PanelPeak(workers) : Machine.FmaPeak(workers);
        double step = ModelCost.StepBytes(model, options.Batch, options.Prompt + (options.Generate - 1) / 2.0, cacheType) / options.Batch;
        double operations = ModelCost.PromptOperations(model, options.Prompt) / options.Prompt;
        return new BenchReport(
            Engine(), name, workers.Threads, Isa.CurrentName,
            options.Prompt, options.Generate, options.Batch, Rounded(load), Rounded(speed.PromptTokensPerSecond), Rounded(speed.GeneratedTokensPerSecond),
            (long)step, Rounded(read), Share(step * speed.GeneratedTokensPerSecond, read), Share(operations * speed.PromptTokensPerSecond, peak), resident / 1_000_000, Options.CacheName(cacheType),
            disk is null ? null : (long)streamed, disk is { } rate ? Rounded(rate) : null, disk is { } most ? Share(streamed * speed.GeneratedTokensPerSecond, most) : null);
    }

    private static string Engine() =>
        $"Glm.NET {typeof(BenchCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]}";

    private static double Rounded(double value) => Math.Round(value, 2);

    /// <summary>Part of a peak in 10^9 per second.</summary>
    private static double Share(double perSecond, double peak) => Math.Round(perSecond / (peak * 1e9), 4);

    private static void Print(Terminal terminal, BenchReport report)
    {
        var facts = new Grid().AddColumn(new GridColumn().PadRight(3).NoWrap()).AddColumn();
        void Fact(string name, string value) => facts.AddRow(new Markup($"[grey]{name}[/]"), new Text(value));
        Fact("model", report.Model);
        Fact("engine", $"{report.Engine}, {report.Threads} threads, {report.Isa}");
        Fact("loaded in", $"{report.LoadS:F2} s, {report.ResidentMb:N0} MB resident");
        Fact($"prompt of {report.Prompt}", $"{report.PpTokS:F2} tokens/s, {report.ArithmeticShare:P1} of the multipliers' peak");
        Fact($"generating {report.Generate}" + (report.Batch > 1 ? $" x {report.Batch}" : ""), $"{report.TgTokS:F2} tokens/s, {report.BandwidthShare:P1} of the bandwidth of {report.ReadGbS:F1} GB/s");
        Fact("bytes per token", $"{Units.Bytes(report.BytesPerToken)}, keys and values in {report.KvCache}");
        if (report.DiskBytesPerToken is { } disk) Fact("of them from disk", $"{Units.Bytes(disk)}, at {report.DiskShare:P1} of the disk's {report.DiskGbS:F2} GB/s");
        terminal.Screen.Write(facts);
    }

    /// <summary>What <c>--json</c> prints.</summary>
    private sealed record BenchReport(
        string Engine, string Model, int Threads, string Isa, int Prompt, int Generate, int Batch, double LoadS, double PpTokS, double TgTokS,
        long BytesPerToken, double ReadGbS, double BandwidthShare, double ArithmeticShare, long ResidentMb, string KvCache,
        long? DiskBytesPerToken, double? DiskGbS, double? DiskShare);
}
