using System.CommandLine;
using System.Globalization;
using Glm.Evaluation;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Glm.Training;
using Spectre.Console;

namespace Glm.Cli.Commands;

/// <summary><c>glm eval</c>: bits per byte and LAMBADA of a model in one or more precisions, one table.</summary>
internal static class EvalCommand
{
    private const string BitsPerByteTask = "bits-per-byte", LambadaTask = "lambada", LambadaUnidirectionalTask = "lambada-unidirectional";

    private static readonly DType[] Precisions = [DType.Float32, DType.Float16, DType.BFloat16, DType.Int8, DType.Int4];

    public static Command Create(Terminal terminal)
    {
        var path = Options.Model();
        var tasks = new Option<string[]>("--tasks")
        {
            HelpName = "TASK",
            Description = $"{BitsPerByteTask}, {LambadaTask}, {LambadaUnidirectionalTask}",
            AllowMultipleArgumentsPerToken = true,
            Required = true,
        };
        tasks.AcceptOnlyFromAmong(BitsPerByteTask, LambadaTask, LambadaUnidirectionalTask);
        var data = new Option<string>("--data")
        {
            HelpName = "PATH",
            Description = "A file for all tasks (.txt, .jsonl; plain, .gz, .xz, .zst), or a folder: valid*.jsonl* in it or in its pretrain/ for bits per byte, lambada/test.jsonl* in it or in its eval/",
            Required = true,
        };
        var precision = new Option<string[]>("--precision")
        {
            HelpName = "NAMES",
            Description = $"Precisions to evaluate, separated by commas: {string.Join(", ", Precisions.Select(Units.Name))} (default: as stored)",
            CustomParser = result => [.. result.Tokens.SelectMany(token => token.Value.Split(','))],
        };
        precision.Validators.Add(result =>
        {
            foreach (string name in result.Tokens.SelectMany(token => token.Value.Split(',')))
                if (!Precisions.Any(type => Units.Name(type) == name)) result.AddError($"--precision: expected {string.Join(", ", Precisions.Select(Units.Name))}, found {name}");
        });
        var maxItems = Options.Number("--max-items", "N", "Most documents or passages of a file", int.MaxValue, 1, int.MaxValue);
        var unigram = new Option<string>("--unigram") { HelpName = "PATH", Description = "Beside bits per byte, those of a unigram model counted on this text or prepared training data" };
        var activations = Options.Activations();
        var kvCache = Options.KvCache();
        kvCache.Description += "; bits per byte read them so if this is given, else as they are computed";
        var adapter = Options.Adapter();
        var memory = Options.Memory();
        var threads = Options.Threads();
        var json = Options.Json();
        var quiet = Options.Quiet();
        return new ExampleCommand("eval", "Evaluate a model: bits per byte, LAMBADA",
            "glm eval --tasks bits-per-byte --data novel.txt", "glm eval --model models/mine --tasks bits-per-byte lambada --data data --precision bf16,int8,int4")
        {
            path, tasks, data, precision, maxItems, unigram, activations, adapter, kvCache, memory, threads, json, quiet,
        }.Does((parse, cancellation) =>
        {
            var files = parse.GetRequiredValue(tasks).Distinct().SelectMany(task => Files(task, parse.GetRequiredValue(data)).Select(file => (task, file))).ToList();
            using var loaded = Opening.Load(terminal, parse.GetValue(path), parse.GetValue(threads), parse.GetValue(memory), Options.CacheType(parse.GetValue(kvCache)), quiet: parse.GetValue(quiet), adapter: parse.GetValue(adapter), cancellation: cancellation);
            var baseline = parse.GetValue(unigram) is { } counted ? Unigram(counted, loaded, cancellation) : null;
            var results = new List<Evaluated>();
            using (var line = new ProgressLine(terminal, parse.GetValue(quiet)))
            {
                DType? scoringCache = parse.GetResult(kvCache) is { Implicit: false } ? Options.CacheType(parse.GetValue(kvCache)) : null;
                string[] names = parse.GetValue(precision) ?? [];
                foreach (string? name in names.Length == 0 ? new string?[] { null } : names)
                {
                    var model = name is null ? loaded.Model : loaded.In(Precisions.First(type => Units.Name(type) == name), progress: null, cancellation).Packed(loaded.Workers);
                    model.InputBits = Options.InputBits(parse.GetValue(activations));
                    foreach (var (task, file) in files)
                    {
                        var progress = new DirectProgress<EvaluationProgress>(state => line.Show($"{name ?? "as stored"}, {Path.GetFileName(file)}: {state.Items:N0} items, {state.Metric:F4}"));
                        var result = Run(task, file, loaded, model, parse.GetValue(maxItems), scoringCache, baseline, progress, cancellation);
                        results.Add(new Evaluated(name ?? "as stored", ModelSize.WeightBytes(model), file, result.Task, result.Metrics, result.Items, result.Errors));
                    }
                }
            }
            Report(terminal, results, parse.GetValue(json));
        });
    }

    private static EvaluationResult Run(
        string task, string file, LoadedModel loaded, LanguageModel model, int maxItems, DType? scoringCache, UnigramModel? unigram, IProgress<EvaluationProgress> progress,
        CancellationToken cancellation)
    {
        if (task != BitsPerByteTask)
        {
            var options = new LambadaOptions { MaxItems = maxItems, Unidirectional = task == LambadaUnidirectionalTask };
            return new Lambada(loaded.NewSession(model), loaded.Tokenizer).Run(file, options, progress, cancellation);
        }
        var scorer = new Scorer(model, loaded.Workers, loaded.Tokenizer.Special, new ScoringOptions { CacheType = scoringCache });
        return new BitsPerByte(scorer, loaded.Tokenizer).Run([file], new BitsPerByteOptions { MaxDocuments = maxItems, Unigram = unigram }, progress, cancellation);
    }

    private static UnigramModel Unigram(string path, LoadedModel model, CancellationToken cancellation)
    {
        if (!File.Exists(Path.Combine(path, ShardManifest.FileName))) return UnigramModel.FromTexts([path], model.Tokenizer, cancellation);
        using var shards = TokenShards.Open(path, ShardManifest.HashOfTokenizer(Tokenizers.Tokenizer.FileOf(model.Path)));
        return UnigramModel.FromShards(shards, model.Tokenizer.VocabularySize, cancellation);
    }

    /// <summary>Where a task finds its text below a folder of data.</summary>
    private static IReadOnlyList<string> Files(string task, string data)
    {
        if (!Directory.Exists(data)) return [data];
        var (folders, pattern) = task == BitsPerByteTask ? (new[] { "", "pretrain" }, "valid*.jsonl*") : (["lambada", Path.Combine("eval", "lambada")], "test.jsonl*");
        foreach (string folder in folders.Select(folder => Path.Combine(data, folder)).Where(Directory.Exists))
            if (Directory.GetFiles(folder, pattern) is { Length: > 0 } files) return [.. files.Order(StringComparer.Ordinal)];
        throw new GlmException($"{data}: {task}: expected {pattern} in {string.Join(" or ", folders.Select(folder => folder.Length == 0 ? "the folder itself" : folder))}, found none");
    }

    private static void Report(Terminal terminal, List<Evaluated> results, bool json)
    {
        if (json)
        {
            if (results.Count == 1) terminal.WriteJson(results[0]);
            else terminal.WriteJson(new { results });
            return;
        }
        var precisions = results.Select(result => result.Precision).Distinct().ToList();
        var table = new Table().Border(TableBorder.Rounded).AddColumns("task", "text").AddColumn(new TableColumn("items").RightAligned());
        foreach (string name in precisions) table.AddColumn(new TableColumn(name).RightAligned());
        table.AddRow(["size", "", "", .. precisions.Select(name => Units.Bytes(results.First(result => result.Precision == name).Bytes))]);
        foreach (var rows in results.GroupBy(result => (result.Task, result.Data)))
            foreach (var (metric, form) in new[] { ("bits_per_byte", "F4"), ("unigram_bits_per_byte", "F4"), ("accuracy", "F2") })
            {
                if (!rows.First().Metrics.ContainsKey(metric)) continue;
                string name = metric == "unigram_bits_per_byte" ? "unigram baseline" : rows.Key.Task;
                table.AddRow([name, Path.GetFileName(rows.Key.Data), $"{rows.First().Items:N0}", .. rows.Select(row => row.Metrics[metric].ToString(form, CultureInfo.InvariantCulture))]);
            }
        terminal.Screen.Write(table);
        foreach (var result in results.Where(result => result.Errors.Count > 0).DistinctBy(result => result.Data))
            terminal.Error.WriteLine($"glm: {result.Data}: {result.Errors.Count:N0} items could not be used; the first: {result.Errors[0]}");
    }

    /// <summary>One task on one text in one precision: what <c>--json</c> prints of it.</summary>
    private sealed record Evaluated(
        string Precision, long Bytes, string Data, string Task, IReadOnlyDictionary<string, double> Metrics, int Items, IReadOnlyList<string> Errors);
}
