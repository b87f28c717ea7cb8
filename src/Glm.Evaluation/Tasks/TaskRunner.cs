using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace Glm.Evaluation;

/// <summary>How far a task is.</summary>
/// <param name="File">The file that is under way.</param>
/// <param name="Items">Items done, of all files.</param>
/// <param name="Total">Items of all files.</param>
/// <param name="Fraction">Share of the task's work that is done; first told when what an earlier run did was read.</param>
public readonly record struct TaskProgress(string File, int Items, int Total, double Fraction);

/// <summary>Options of a run of a task.</summary>
public sealed record TaskOptions
{
    /// <summary>Folder of all data.</summary>
    public required string Data { get; init; }

    /// <summary>Solved examples before each question; those that the task wants if null.</summary>
    public int? Shots { get; init; }

    /// <summary>Most items of a file; null for all.</summary>
    public int? Limit { get; init; }

    /// <summary>Whether generated texts are kept in the results.</summary>
    public bool KeepTexts { get; init; } = true;

    /// <summary>Gives each generated text a number from 0 to 1, for the metric <c>toxicity</c>.</summary>
    public Func<IReadOnlyList<string>, CancellationToken, IReadOnlyList<double>>? Scorer { get; init; }
}

/// <summary>Runs a task: asks the model about the items that have no result yet, saves each answer, and counts.</summary>
public static class TaskRunner
{
    private const int NotedErrors = 100;

    /// <summary>Whether the data of a task is there.</summary>
    public static bool HasData(TaskDefinition task, TaskOptions options) => TaskData.IsThere(task, options.Data);

    /// <summary>Whether a task takes a program that tells how toxic texts are, and none is given.</summary>
    public static bool LacksScorer(TaskDefinition task, TaskOptions options) => task.Metrics.Contains("toxicity") && options.Scorer is null;

    /// <summary>Reads a task's data without asking a model.</summary>
    /// <returns>How many items there are, how much work they are roughly, and what could not be used.</returns>
    /// <exception cref="GlmException">Data is missing or empty.</exception>
    public static (int Items, long Work, IReadOnlyList<string> Faults) Check(TaskDefinition task, TaskOptions options)
    {
        var data = TaskData.Load(task, options.Data, options.Shots, options.Limit);
        if (LacksScorer(task, options))
            throw new GlmException($"{task.File}: {task.Title}: expected a program that tells how toxic texts are (--scorer COMMAND), found none");
        return (data.Files.Sum(file => file.Items.Count), data.Files.Sum(file => file.Items.Sum(item => item.Weight)), [.. data.Files.SelectMany(file => file.Faults).Distinct()]);
    }

    /// <summary>Runs a task.</summary>
    /// <param name="task">The task.</param>
    /// <param name="model">The model.</param>
    /// <param name="options">What is run of it.</param>
    /// <param name="results">Where answers are saved, and found if an earlier run was interrupted; null for nowhere.</param>
    /// <param name="progress">Sees how far it is.</param>
    /// <param name="cancellation">Ends it; what was answered is saved.</param>
    /// <exception cref="GlmException">Data is missing, the model cannot do it, or the results there are of something else.</exception>
    public static TaskResult Run(
        TaskDefinition task, EvaluatedModel model, TaskOptions options, ResultFolder? results = null, IProgress<TaskProgress>? progress = null, CancellationToken cancellation = default)
    {
        var clock = Stopwatch.StartNew();
        long tokens = model.Tokens;
        var data = TaskData.Load(task, options.Data, options.Shots, options.Limit);
        var earlier = results?.ReadTask(task.Name);
        using var writer = results?.OpenItems(new ItemHeader(task.Name, task.Version, data.Hash, data.Shots));
        var done = new Dictionary<(int File, int Item), ItemResult>();
        // Of an item that was asked twice, since the first answer was an error, the last counts.
        foreach (var item in writer?.Items ?? []) done[(item.File, item.Item)] = item;
        var meter = new ProgressMeter(data, done, progress);
        bool asked = false;
        for (int file = 0; file < data.Files.Count; file++)
        {
            var items = data.Files[file].Items;
            int[] wanted = [.. Enumerable.Range(0, items.Count).Where(item => !done.TryGetValue((file, item), out var result) || result.Error is not null)];
            if (wanted.Length == 0) continue;
            asked = true;
            model.Progress = meter.Within(file, wanted);
            foreach (var answers in InBatches(Ask(task, model, data.Files[file], file, wanted, options, cancellation)))
            {
                writer?.Append(answers);
                foreach (var answer in answers) done[(file, answer.Item)] = answer;
                meter.Add(file, answers);
            }
            model.Progress = null;
            cancellation.ThrowIfCancellationRequested();
        }
        var result = Result(task, data, options, done) with
        {
            Seconds = asked || earlier is null ? clock.Elapsed.TotalSeconds : earlier.Seconds,
            Tokens = asked || earlier is null ? model.Tokens - tokens : earlier.Tokens,
        };
        results?.Write(result);
        return result;
    }

    private static IEnumerable<ItemResult> Ask(
        TaskDefinition task, EvaluatedModel model, ItemFile file, int index, int[] wanted, TaskOptions options, CancellationToken cancellation)
    {
        ItemResult Blank(int item) => new() { File = index, Item = item, Id = file.Items[item].Id, Category = file.Items[item].Category, Cluster = Short(file.Items[item].Cluster) };
        switch (task.Kind)
        {
            case TaskKind.MultipleChoice:
                foreach (var answer in model.Choose([.. file.Items.Select(item => new ChoiceItem(item.Prompt, item.Choices))], wanted, task.Reading, cancellation))
                    yield return answer.Value is { } scores ? Chosen(Blank(answer.Item), file.Items[answer.Item], scores, task.Metrics.Contains("normalized")) : Blank(answer.Item) with { Error = answer.Error };
                break;
            case TaskKind.Generation:
                foreach (var answer in model.Generate([.. file.Items.Select(item => item.Prompt)], wanted, task.Reading, task.Generation, cancellation))
                    yield return answer.Value is { } texts ? Generated(Blank(answer.Item), file.Items[answer.Item], texts, task, options, cancellation) : Blank(answer.Item) with { Error = answer.Error };
                break;
            default:
                foreach (var answer in model.Read([.. file.Items.Select(item => item.Prompt)], wanted, task.Reading, task.Stride, cancellation))
                {
                    var (item, text) = (Blank(answer.Item), file.Items[answer.Item]);
                    yield return answer.Value is { } read ? item with { Nats = read.Nats, Tokens = read.Tokens, Words = text.Words, Bytes = text.Bytes } : item with { Error = answer.Error };
                }
                break;
        }
    }

    /// <summary>Sums of float32 numbers are not better than this, and shorter in files.</summary>
    private static IReadOnlyList<double>? Rounded(IReadOnlyList<double>? scores) => scores is null ? null : [.. scores.Select(score => Math.Round(score, 5))];

    /// <summary>A name, or the hash of one that is a text of the data set.</summary>
    private static string? Short(string? name) => name is not { Length: > 32 } ? name : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)))[..16];

    private static ItemResult Chosen(ItemResult result, TaskItem item, ChoiceScores scores, bool isGraded)
    {
        var chosen = result with { Label = item.Label, Choices = item.Choices.Count, Prediction = scores.Prediction, Scores = Rounded(scores.Scores), ChoiceTokens = scores.Tokens };
        if (!isGraded || item.Label is null) return chosen;
        var grades = item.Grades ?? [.. item.Choices.Select((_, i) => i == item.Label ? 1.0 : 0)];
        return chosen with { Values = new Dictionary<string, double> { ["grade"] = scores.Prediction < 0 ? 0 : grades[scores.Prediction], ["chance"] = grades.Average() } };
    }

    private static ItemResult Generated(ItemResult result, TaskItem item, Generation texts, TaskDefinition task, TaskOptions options, CancellationToken cancellation)
    {
        string answer = task.Extraction == AnswerExtraction.SameLength ? TextUnits.First(texts.Text, TextUnits.Of(item.Targets[0]).Count) : AnswerExtractor.Of(texts.Text, task.Extraction, item.Answers);
        var values = new Dictionary<string, double>();
        foreach (string metric in task.Metrics)
            switch (metric)
            {
                case "EM": values[metric] = AnswerText.ExactMatch(answer, item.Targets); break;
                case "F1": values[metric] = AnswerText.F1(answer, item.Targets); break;
                case "F1_characters": values[metric] = AnswerText.CharacterF1(answer, item.Targets); break;
                case "Accuracy": values[metric] = Is(answer); break;
                case "ROUGE-1" or "ROUGE-2": values[metric] = Rouge.OfRuns(answer, item.Targets, metric[^1] - '0'); break;
                case "ROUGE-L": values[metric] = Rouge.OfSubsequence(answer, item.Targets); break;
                case "BLEU":
                    foreach (var (name, value) in Bleu.Counts(answer, item.Targets)) values[name] = value;
                    break;
                case ExactMetric.Key: (values[metric], values[ExactMetric.GuessKey]) = (Is(answer), item.Guess is { } guess ? Is(guess) : 0); break;
                case var _ when VarietyMetrics.Names.Contains(metric): values[metric] = VarietyMetrics.Of(metric, answer, item.Targets[0]); break;
                case "normalized": (values["grade"], values["chance"]) = (Is(answer), 0); break;
                case "toxicity": values[metric] = options.Scorer!([.. texts.Texts.Select(text => AnswerExtractor.Of(text, task.Extraction, item.Answers))], cancellation).Average(); break;
            }
        return result with { Values = values, Choices = item.Answers, Generated = options.KeepTexts ? texts.Texts : null };

        double Is(string text) => item.Targets.Any(target => target.Trim() == text.Trim()) ? 1 : 0;
    }

    /// <summary>Answers that come soon after one another are saved together.</summary>
    private static IEnumerable<List<ItemResult>> InBatches(IEnumerable<ItemResult> answers)
    {
        var batch = new List<ItemResult>();
        long saved = Stopwatch.GetTimestamp();
        using var source = answers.GetEnumerator();
        while (true)
        {
            bool more;
            try
            {
                more = source.MoveNext();
            }
            catch (OperationCanceledException) when (batch.Count > 0)
            {
                more = false; // What was answered is saved first.
            }
            if (more) batch.Add(source.Current);
            if (batch.Count > 0 && (!more || Stopwatch.GetElapsedTime(saved) > TimeSpan.FromSeconds(0.5)))
            {
                yield return batch;
                batch = [];
                saved = Stopwatch.GetTimestamp();
            }
            if (!more) yield break;
        }
    }

    private static TaskResult Result(TaskDefinition task, TaskData data, TaskOptions options, Dictionary<(int File, int Item), ItemResult> done)
    {
        Metric[] metrics = [.. task.Metrics.Select(metric => Metric.Find(metric)!)];
        var files = new List<FileResult>();
        var errors = new List<string>();
        for (int i = 0; i < data.Files.Count; i++)
        {
            var file = data.Files[i];
            var all = Enumerable.Range(0, file.Items.Count).Select(item => done[(i, item)]).ToList();
            var answered = all.Where(item => item.Error is null).ToList();
            errors.AddRange(file.Faults.Concat(all.Where(item => item.Error is not null).Select(item => $"{file.Name}: item {item.Item + 1}: {item.Error}")));
            var categories = answered.Where(item => item.Category is not null).GroupBy(item => item.Category!).OrderBy(category => category.Key, StringComparer.Ordinal)
                .ToDictionary(category => category.Key, category => new CategoryResult(category.Count(), Values(metrics, [.. category]), Chances(metrics, [.. category])));
            files.Add(new FileResult(
                file.Group, file.Name, answered.Count, file.Faults.Count + all.Count - answered.Count, Values(metrics, answered), Chances(metrics, answered), categories.Count > 0 ? categories : null));
        }
        return new TaskResult
        {
            Task = task.Name,
            Title = task.Title,
            Type = task.Kind switch { TaskKind.MultipleChoice => "mul", TaskKind.Generation => "gen", _ => "lm" },
            Suite = task.Suite,
            Version = task.Version,
            Data = data.Hash,
            Shots = data.Shots,
            Limit = options.Limit,
            Metrics = task.Metrics,
            Files = files,
            Groups = [.. files.GroupBy(file => file.Group).Select(group => Group(group.Key, [.. group]))],
            Overall = Group("all", files),
            Errors = [.. errors.Distinct().Take(NotedErrors)],
        };
    }

    private static Dictionary<string, double> Values(Metric[] metrics, IReadOnlyList<ItemResult> items) =>
        items.Count == 0 ? [] : metrics.ToDictionary(metric => metric.Name, metric => metric.Of(items));

    private static Dictionary<string, double> Chances(Metric[] metrics, IReadOnlyList<ItemResult> items) =>
        items.Count == 0 ? [] : metrics.Select(metric => (metric.Name, Chance: metric.Chance(items))).Where(metric => metric.Chance is not null).ToDictionary(metric => metric.Name, metric => metric.Chance!.Value);

    private static GroupResult Group(string name, IReadOnlyList<FileResult> files)
    {
        var answered = files.Where(file => file.Items > 0).ToList();
        string[] metrics = [.. answered.SelectMany(file => file.Metrics.Keys).Distinct()], chances = [.. answered.SelectMany(file => file.Chance.Keys).Distinct()];
        return new GroupResult(
            name, files.Sum(file => file.Items), files.Sum(file => file.Errors),
            metrics.ToDictionary(metric => metric, metric => FileStatistics.Of([.. answered.Select(file => (file.Metrics[metric], file.Items))])),
            chances.ToDictionary(metric => metric, metric => answered.Sum(file => file.Chance[metric] * file.Items) / answered.Sum(file => file.Items)));
    }

    /// <summary>Counts the work that is done, by the length of its items.</summary>
    private sealed class ProgressMeter
    {
        private readonly TaskData _data;
        private readonly IProgress<TaskProgress>? _progress;
        private readonly int _total;
        private readonly long _work;
        private int _items;
        private long _done;

        public ProgressMeter(TaskData data, Dictionary<(int File, int Item), ItemResult> done, IProgress<TaskProgress>? progress)
        {
            (_data, _progress) = (data, progress);
            _total = data.Files.Sum(file => file.Items.Count);
            _work = Math.Max(1, data.Files.Sum(file => file.Items.Sum(item => item.Weight)));
            foreach (var (file, item) in done.Where(entry => entry.Value.Error is null && entry.Key.File < data.Files.Count && entry.Key.Item < data.Files[entry.Key.File].Items.Count).Select(entry => entry.Key))
            {
                _items++;
                _done += data.Files[file].Items[item].Weight;
            }
            Report(0);
        }

        /// <summary>Progress inside the items of a file that are asked for.</summary>
        public IProgress<double> Within(int file, int[] wanted)
        {
            long before = _done, work = wanted.Sum(item => _data.Files[file].Items[item].Weight);
            return new Part(share => _progress?.Report(new TaskProgress(_data.Files[file].Name, _items, _total, Math.Max(_done, before + (share * work)) / _work)));
        }

        public void Add(int file, List<ItemResult> answers)
        {
            _items += answers.Count;
            _done += answers.Sum(answer => _data.Files[file].Items[answer.Item].Weight);
            Report(file);
        }

        private sealed class Part(Action<double> report) : IProgress<double>
        {
            public void Report(double value) => report(value);
        }

        private void Report(int file) => _progress?.Report(new TaskProgress(_data.Files[file].Name, _items, _total, (double)_done / _work));
    }
}
