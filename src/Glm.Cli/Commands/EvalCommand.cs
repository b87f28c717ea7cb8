using System.CommandLine;
using System.Globalization;
using System.Reflection;
using Glm.Evaluation;
using Glm.Models;
using Glm.Tensors;
using Glm.Training;
using Spectre.Console;

namespace Glm.Cli.Commands;

/// <summary><c>glm eval</c>: the paper's tasks, and bits per byte of any text, on a model in one or more precisions.</summary>
internal static class EvalCommand
{
    /// <summary>The speed of reading prompts is measured behind so many tokens, beside which that takes little time.</summary>
    private const int EnoughToMeasure = 80_000;

    private static readonly DType[] Precisions = [DType.Float32, DType.Float16, DType.BFloat16, DType.Int8, DType.Int4];

    public static Command Create(Terminal terminal)
    {
        var path = Options.Model();
        var tasks = new Option<string[]>("--tasks")
        {
            HelpName = "TASK",
            Description = $"Task files, folders of them, names of tasks that ship (mmlu, clue, lambada, …; see --list), or {BitsPerByteTask.Name} for any text",
            AllowMultipleArgumentsPerToken = true,
        };
        var data = new Option<string>("--data")
        {
            HelpName = "PATH",
            Description = $"Folder of the data sets; for {BitsPerByteTask.Name} a text file (.txt, .jsonl; plain, .gz, .xz, .zst), or a folder with valid*.jsonl* in it or in its pretrain/",
        };
        var output = new Option<string>("--output") { HelpName = "DIR", Description = "Folder for results, item by item; an interrupted run goes on there" };
        var limit = new Option<int?>("--limit", "--max-items") { HelpName = "N", Description = "Most items of a file" };
        limit.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1) result.AddError($"--limit: expected at least 1, found {result.GetValueOrDefault<int?>()}");
        });
        var shots = new Option<int[]>("--shots") { HelpName = "N,…", Description = "Solved examples before each question (default: what the task says)", CustomParser = result => Numbers(result, "--shots") };
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
        var list = new Option<bool>("--list") { Description = "List the tasks, and with --data how many items there are of each" };
        var skipMissing = new Option<bool>("--skip-missing") { Description = "Leave out tasks whose data, or scorer, is not there" };
        var noText = new Option<bool>("--no-text") { Description = "Keep no generated text in the results" };
        var scorer = new Option<string>("--scorer") { HelpName = "COMMAND", Description = "Program that tells how toxic texts are: reads a JSON string a line, writes a number from 0 to 1 a line" };
        var unigram = new Option<string>("--unigram") { HelpName = "PATH", Description = "Beside bits per byte, those of a unigram model counted on this text or prepared training data" };
        var endpoint = new EndpointOptionSet();
        var activations = Options.Activations();
        var kvCache = Options.KvCache();
        kvCache.Description += "; texts are read so if this is given, else keys and values are as they are computed";
        var tokenizer = Options.OtherTokenizer();
        var adapter = Options.Adapter();
        var memory = Options.Memory();
        var threads = Options.Threads();
        var json = Options.Json();
        var quiet = Options.Quiet();
        var eval = new ExampleCommand("eval", "Evaluate a model on the tasks of the paper, or its bits per byte on any text",
            "glm eval --list", "glm eval --tasks bits-per-byte --data novel.txt", "glm eval --tasks mmlu clue --data data/eval --output results/glm-9m",
            "glm eval --model models/mine --tasks lambada --data data/eval --precision bf16,int8,int4", "glm eval --tasks bigbench-lite --shots 0,1,3 --data data/eval --limit 100",
            "glm eval --endpoint https://host/v1 --endpoint-model NAME --tasks mmlu --data data/eval --price-in 2.5 --price-out 10 --estimate")
        {
            path, tasks, data, output, limit, shots, precision, list, skipMissing, noText, scorer, unigram, tokenizer, activations, adapter, kvCache, memory, threads, json, quiet,
        };
        foreach (var option in endpoint.All) eval.Options.Add(option);
        return eval.InRanks().Does((parse, cancellation) =>
        {
            string[] words = [.. (parse.GetValue(tasks) ?? []).Distinct()];
            if (parse.GetValue(list))
            {
                List(terminal, words.Length == 0 ? TaskLocation.All() : [.. words.SelectMany(TaskLocation.Find)], parse.GetValue(data));
                return;
            }
            if (words.Length == 0) throw new UsageException("--tasks: expected at least one task (see: glm eval --list)");
            using var folders = new RankFolder(terminal, parse.GetValue(output));
            string root = parse.GetValue(data) ?? throw new UsageException("--data: expected the folder of the data sets");
            using var program = parse.GetValue(scorer) is { } command ? new ScorerProgram(command) : null;
            int?[] examples = parse.GetValue(shots) is { Length: > 0 } given ? [.. given.Select(count => (int?)count)] : [null];
            var runs = examples.SelectMany(count => Runs(words, new TaskOptions
            {
                Data = root, Shots = count, Limit = parse.GetValue(limit), KeepTexts = !parse.GetValue(noText), Scorer = program is { } started ? started.Score : default(Func<IReadOnlyList<string>, CancellationToken, IReadOnlyList<double>>?),
            }, root, parse.GetValue(skipMissing) ? terminal : null)).ToList();
            if (runs.Count == 0) throw new GlmException($"{root}: expected data for one of the tasks, found none");
            Refuse(runs);
            var results = new List<Evaluated>();
            if (endpoint.IsAsked(parse))
            {
                if (parse.GetResult(path) is { Implicit: false } || parse.GetResult(precision) is not null) throw new UsageException("--endpoint: expected neither --model nor --precision besides, which are of models that run here");
                using var remote = endpoint.Open(parse, terminal, [.. runs.Select(run => (run.Task, run.Options))], parse.GetValue(quiet), cancellation);
                if (remote is null) return;
                using (var line = new ProgressLine(terminal, parse.GetValue(quiet)))
                    RunAll(remote, null, new EvaluationProgress(line, runs.Sum(run => run.Work)), (run, result) => Describe(run, result, remote.Identity, null));
                Report(terminal, results, parse.GetValue(json));
                return;
            }

            using var loaded = Opening.Load(terminal, parse.GetValue(path), parse.GetValue(threads), parse.GetValue(memory), Options.CacheType(parse.GetValue(kvCache)), quiet: parse.GetValue(quiet), adapter: parse.GetValue(adapter), tokenizer: parse.GetValue(tokenizer), cancellation: cancellation);
            var baseline = parse.GetValue(unigram) is { } counted ? Unigram(counted, loaded, cancellation) : null;
            string[] names = parse.GetValue(precision) ?? [];
            string?[] precisions = names.Length == 0 ? [null] : [.. names];
            using (var line = new ProgressLine(terminal, parse.GetValue(quiet)))
            {
                var progress = new EvaluationProgress(line, precisions.Length * runs.Sum(run => run.Work));
                foreach (string? name in precisions)
                {
                    var weights = name is null ? loaded.Model : loaded.In(Precisions.First(type => Units.Name(type) == name), progress: null, cancellation).Packed(loaded.Workers);
                    weights.InputBits = Options.InputBits(parse.GetValue(activations));
                    DType cache = Options.CacheType(parse.GetValue(kvCache));
                    var identity = Identity(loaded, weights, name, parse.GetValue(kvCache)!);
                    using var model = new LocalModel(weights, loaded.Workers, loaded.Tokenizer, identity, cache, parse.GetResult(kvCache) is { Implicit: false } ? cache : null);
                    RunAll(model, precisions.Length > 1 ? name : null, progress, (run, result) =>
                        Describe(run, result, identity, run.Task.Name == BitsPerByteTask.Name && baseline is not null ? BitsPerByteTask.Of(run.Task, run.Options, baseline, loaded.Tokenizer) : null));
                }
            }
            Report(terminal, results, parse.GetValue(json));

            void RunAll(EvaluatedModel model, string? variant, EvaluationProgress progress, Func<PlannedTask, TaskResult, Evaluated> describe)
            {
                foreach (var part in runs.GroupBy(run => run.Options.Shots))
                {
                    string? folder = folders.Path is not { } into ? null : Path.Combine(into, variant ?? "", examples.Length > 1 ? $"{part.Key}-shot" : "");
                    var evaluated = Evaluate(terminal, model, [.. part], folder, run => progress.Of($"{(variant is null ? "" : $"{variant}, ")}{run.Task.Title}", run.Work), cancellation);
                    results.AddRange(part.Zip(evaluated, describe));
                }
            }
        });
    }

    private static void Report(Terminal terminal, List<Evaluated> results, bool json)
    {
        if (json)
        {
            if (results.Count == 1) terminal.WriteJson(results[0]);
            else terminal.WriteJson(new { results });
            return;
        }
        EvaluationTable.Write(terminal, results);
        foreach (var result in results.Where(result => result.Errors.Count > 0).DistinctBy(result => (result.Task, result.Data)))
            terminal.Error.WriteLine($"glm: {result.Task}: {result.Errors.Count:N0}{(result.Errors.Count == 100 ? " or more" : "")} items could not be used; the first: {result.Errors[0]}");
    }

    /// <summary>The tasks of a run with their data read once, so that what is missing is told before anything long begins.</summary>
    private static IEnumerable<PlannedTask> Runs(string[] words, TaskOptions options, string data, Terminal? tellsMissing)
    {
        var chosen = new HashSet<(string File, string Name)>();
        foreach (string word in words)
            foreach (var task in TaskLocation.IsBitsPerByte(word) ? [BitsPerByteTask.Over(HeldOutText.Location(data), HeldOutText.Pattern)] : TaskLocation.Find(word))
            {
                if (!chosen.Add((Path.GetFullPath(task.File), task.Name))) continue; // named twice, as a part of a folder and by itself
                if (!TaskLocation.IsBitsPerByte(word) && !Directory.Exists(data)) throw new GlmException($"{data}: {(File.Exists(data) ? "expected a folder of data sets, found a file" : "no such folder")}");
                var there = options with { Data = Root(data, task) };
                string? lacks = !TaskRunner.HasData(task, there) ? $"no data for it in {Path.Combine(there.Data, task.Path)}" : TaskRunner.LacksScorer(task, there) ? "no --scorer for it" : null;
                if (tellsMissing is not null && lacks is not null)
                {
                    tellsMissing.Error.WriteLine($"glm: {task.Name}: left out, since there is {lacks}");
                    continue;
                }
                yield return new PlannedTask(task, there, TaskRunner.Check(task, there).Work);
            }
    }

    private static void Refuse(List<PlannedTask> runs)
    {
        foreach (var equal in runs.GroupBy(run => (run.Task.Name, run.Options.Shots)).Where(group => group.Count() > 1))
            throw new GlmException($"{equal.ElementAt(1).Task.File}: expected a task of another name than {equal.Key.Name}, which {equal.First().Task.File} has");
    }

    private static IEnumerable<TaskResult> Evaluate(
        Terminal terminal, EvaluatedModel model, IReadOnlyList<PlannedTask> runs, string? output, Func<PlannedTask, IProgress<TaskProgress>> progress, CancellationToken cancellation)
    {
        var folder = output is null ? null : new ResultFolder(output);
        using var alone = folder?.Lock();
        var run = Begin(folder, model.Identity, runs);
        long before = model.Tokens;
        var results = new List<TaskResult>();
        foreach (var task in runs) results.Add(TaskRunner.Run(task.Task, model, task.Options, folder, progress(task), cancellation));
        bool isMuch = model.Tokens - before >= EnoughToMeasure;
        run = run with
        {
            Seconds = results.Sum(result => result.Seconds), Tokens = results.Sum(result => result.Tokens), ReadingSpeed = isMuch ? model.MeasureReading(cancellation) : run.ReadingSpeed,
        };
        folder?.Write(run);
        if (isMuch && run.ReadingSpeed is { } reading)
            terminal.Error.WriteLine(FormattableString.Invariant(
                $"{model.Identity.Precision}: {run.Tokens:N0} tokens in {run.Seconds:N0} s, {run.Speed:N0} a second: {100 * run.Speed / reading:N0} % of the {reading:N0} at which the model reads prompts"));
        return results;
    }

    /// <summary>Says in the output what is run. A run that is there may go on or get more tasks, of the same model alone.</summary>
    private static RunResult Begin(ResultFolder? folder, ModelIdentity model, IReadOnlyList<PlannedTask> runs)
    {
        var earlier = folder?.ReadRun();
        if (earlier is not null && Which(earlier.Model) != Which(model))
            throw new GlmException($"{folder!.Path}: expected results of {Told(model)}, found those of {Told(earlier.Model)}: choose another --output");
        var run = new RunResult
        {
            Version = typeof(EvalCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion,
            Command = $"glm {string.Join(' ', Environment.GetCommandLineArgs().Skip(1).Select(word => word.Contains(' ') ? $"\"{word}\"" : word))}",
            Model = model,
            Started = earlier?.Started ?? DateTimeOffset.UtcNow,
            ReadingSpeed = earlier?.ReadingSpeed,
            Tasks = [.. (earlier?.Tasks ?? []).Union(runs.Select(task => task.Task.Name))],
        };
        folder?.Write(run);
        return run;

        static (string, string?, string?) Which(ModelIdentity model) => (model.Hash ?? $"{model.Name} at {model.Location}", model.Precision, model.KvCache);
        static string Told(ModelIdentity model) => model.Hash is null ? $"{model.Name} at {model.Location}" : $"{model.Name} ({model.Hash}, {model.Precision}, cache {model.KvCache})";
    }

    private static Evaluated Describe(PlannedTask run, TaskResult result, ModelIdentity model, double? unigram)
    {
        var metrics = result.Overall.Metrics.ToDictionary(metric => metric.Key, metric => metric.Value.Average);
        if (unigram is { } baseline) metrics["unigram_bits_per_byte"] = baseline;
        bool isOne = result.Groups is [_] && result.Files is [_];
        string data = run.Task.Name == BitsPerByteTask.Name ? run.Task.File : Path.Combine(run.Options.Data, run.Task.Path);
        return new Evaluated(model.Precision ?? model.Name, model.Bytes ?? 0, data, result.Task, metrics, result.Overall.Items, result.Errors, result.Shots, result.Overall.Chance, isOne ? null : result.Groups, result.Seconds, result.Tokens);
    }

    private static ModelIdentity Identity(LoadedModel loaded, LanguageModel model, string? precision, string cache) => new()
    {
        Name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(loaded.Path))),
        Location = loaded.Path,
        Hash = ModelHash.Of(loaded.Path),
        Architecture = model.Config.Architecture,
        Parameters = model.Config.ParameterCount,
        Bytes = ModelSize.WeightBytes(model),
        Precision = precision ?? Units.Name(model.Parameters.First(parameter => model.Config.IsQuantizable(parameter.Name)).Tensor.Type),
        KvCache = cache,
        Threads = loaded.Workers.Threads,
        MaxSequenceLength = model.MaxSequenceLength,
    };

    private static UnigramModel Unigram(string path, LoadedModel model, CancellationToken cancellation)
    {
        if (!File.Exists(Path.Combine(path, ShardManifest.FileName))) return UnigramModel.FromTexts([path], model.Tokenizer, cancellation);
        using var shards = TokenShards.Open(path, ShardManifest.HashOfTokenizer(Tokenizers.Tokenizer.FileOf(model.Path)));
        return UnigramModel.FromShards(shards, model.Tokenizer.VocabularySize, cancellation);
    }

    /// <summary>Data sets lie in the folder itself, or in its eval/; held-out text also in its pretrain/.</summary>
    private static string Root(string data, TaskDefinition task)
    {
        string[] roots = [.. new[] { Path.Combine(data, "eval"), data, Path.Combine(data, "pretrain") }.Where(Directory.Exists)];
        return roots.FirstOrDefault(root => TaskRunner.HasData(task, new TaskOptions { Data = root })) ?? roots.FirstOrDefault() ?? data;
    }

    private static void List(Terminal terminal, IReadOnlyList<TaskDefinition> tasks, string? data)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumns("name", "type", "metric");
        foreach (string name in data is null ? ["prompts", "shots"] : new[] { "prompts", "shots", "items", "faulty" }) table.AddColumn(new TableColumn(name).RightAligned());
        foreach (var task in tasks)
        {
            string type = task.Kind switch { TaskKind.MultipleChoice => "mul", TaskKind.Generation => "gen", _ => "lm" };
            List<string> row = [task.Name, type, task.Metrics[0], task.Prompts.Count == 0 ? "" : $"{task.Prompts.Count}", $"{task.Shots}"];
            if (data is not null) row.AddRange(Items(task, Root(data, task)));
            table.AddRow([.. row.Select(Markup.Escape)]);
        }
        terminal.Screen.Write(table);
    }

    private static string[] Items(TaskDefinition task, string root)
    {
        try
        {
            var (items, _, faults) = TaskRunner.Check(task, new TaskOptions { Data = root, Scorer = (_, _) => [] });
            return [items.ToString("N0", CultureInfo.InvariantCulture), faults.Count == 0 ? "" : $"{faults.Count:N0}"];
        }
        catch (GlmException)
        {
            return ["no data", ""];
        }
    }

    private static int[] Numbers(System.CommandLine.Parsing.ArgumentResult result, string name)
    {
        var numbers = new List<int>();
        foreach (string word in result.Tokens.SelectMany(token => token.Value.Split(',')))
            if (int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number <= 1000) numbers.Add(number);
            else result.AddError($"{name}: expected numbers from 0 to 1000, separated by commas, found {word}");
        return [.. numbers.Distinct()];
    }

    /// <summary>A task to run.</summary>
    /// <param name="Task">The task.</param>
    /// <param name="Options">What is run of it.</param>
    /// <param name="Work">How much work it is, roughly.</param>
    private sealed record PlannedTask(TaskDefinition Task, TaskOptions Options, long Work);
}
