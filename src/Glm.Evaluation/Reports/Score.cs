using System.Text.Json.Serialization;

namespace Glm.Evaluation;

/// <summary>A number of ours.</summary>
/// <param name="Value">The number: a metric over all items, averaged over prompts.</param>
/// <param name="Interval">Its 95 % confidence interval; null where the bootstrap can tell none.</param>
/// <param name="Chance">What guessing would give, where that is known.</param>
/// <param name="Items">Items with an answer.</param>
/// <param name="Errors">Items without.</param>
/// <param name="Prompts">Prompts that it is averaged over.</param>
/// <param name="Limit">Most items of a file that were asked for; null for all.</param>
public sealed record Score(double Value, Interval? Interval, double? Chance, int Items, int Errors, int Prompts, int? Limit)
{
    /// <summary>The number over each resample.</summary>
    [JsonIgnore]
    public IReadOnlyList<double> Replicates { get; init; } = [];

    /// <summary>Whether guessing may have given it.</summary>
    [JsonIgnore]
    public bool MayBeChance => Chance is { } chance && (Interval is { } interval ? interval.Low <= chance && chance <= interval.High : Value == chance);

    /// <summary>The mean of some scores over different items; its interval is that of the mean.</summary>
    public static Score Mean(IReadOnlyList<Score> scores)
    {
        double[] replicates = [.. Enumerable.Range(0, Bootstrap.Resamples).Select(i => scores.Average(score => score.Replicates.Count > i ? score.Replicates[i] : score.Value))];
        return new Score(
            scores.Average(score => score.Value), Bootstrap.Interval(replicates), scores.All(score => score.Chance is not null) ? scores.Average(score => score.Chance) : null,
            scores.Sum(score => score.Items), scores.Sum(score => score.Errors), 1, scores.Max(score => score.Limit)) { Replicates = replicates };
    }
}

/// <summary>A task that was run, with its items.</summary>
/// <param name="Run">The run.</param>
/// <param name="Folder">Where its results lie.</param>
/// <param name="Result">What the run says of the task.</param>
/// <param name="Items">What each item gave.</param>
public sealed record TaskRun(RunResult Run, string Folder, TaskResult Result, IReadOnlyList<ItemResult> Items)
{
    private const char PromptMark = '#'; // before the prompt's name in the name of a file

    /// <summary>A metric over the items of a group or category.</summary>
    /// <param name="metricName">The metric; null for the task's main one.</param>
    /// <param name="group">The group of files; null for all.</param>
    /// <param name="category">The category of items, or the part of the data; null for all.</param>
    /// <param name="seed">Key of the bootstrap.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>The score, or null where there is no such item.</returns>
    /// <exception cref="GlmException">The metric is unknown, or the items lack what it needs.</exception>
    public Score? Score(string? metricName, string? group, string? category, ulong seed, CancellationToken cancellation = default)
    {
        string name = metricName ?? Result.Metrics[0];
        var metric = Metric.Find(name) ?? throw new GlmException($"{Folder}: {Result.Task}: expected a metric that exists, found {name}");
        var chosen = Items.Where(item => (group is null || FileOf(item)?.Group == group) && (category is null || item.Category == category || Part(item) == category)).ToList();
        var items = chosen.Where(item => item.Error is null).ToList();
        if (items.Count == 0) return null;
        double value;
        double? chance;
        try
        {
            value = OverFiles(items, metric.Of);
            bool isKnown = items.GroupBy(item => item.File).All(file => metric.Chance([.. file]) is not null);
            chance = isKnown ? OverFiles(items, file => metric.Chance(file)!.Value) : null;
        }
        catch (Exception error) when (error is NullReferenceException or KeyNotFoundException or InvalidOperationException)
        {
            // Metrics take for granted what every item of such a task has.
            throw new GlmException($"{Folder}: {Result.Task}.jsonl: expected what {name} is computed from, found items without it", error);
        }
        double[] replicates = Bootstrap.Replicates(items, ClusterOf, drawn => OverFiles(drawn, metric.Of), seed, cancellation);
        int prompts = items.Select(item => FileOf(item)?.Name.Split(PromptMark).ElementAtOrDefault(1)).Distinct().Count();
        int errors = category is null ? Result.Files.Where(file => group is null || file.Group == group).Sum(file => file.Errors) : chosen.Count - items.Count;
        return new Score(value, Bootstrap.Interval(replicates), chance, items.Count, errors, prompts, Result.Limit) { Replicates = replicates };
    }

    /// <summary>The metric of each file, weighted by its items, as the original averages.</summary>
    private static double OverFiles(IReadOnlyList<ItemResult> items, Func<IReadOnlyList<ItemResult>, double> metric)
    {
        int first = items[0].File;
        if (items.All(item => item.File == first)) return metric(items);
        return items.GroupBy(item => item.File).Sum(file => metric([.. file]) * file.Count()) / items.Count;
    }

    private FileResult? FileOf(ItemResult item) => item.File >= 0 && item.File < Result.Files.Count ? Result.Files[item.File] : null;

    /// <summary>The part of the data that a file is, such as a subject, in the name of the file.</summary>
    private string? Part(ItemResult item) => FileOf(item)?.Name.Split(PromptMark)[0].Split('/')[^1];

    /// <summary>The same item under another prompt is no new item.</summary>
    private (string? Data, string Item) ClusterOf(ItemResult item) =>
        (FileOf(item)?.Name.Split(PromptMark)[0], item.Cluster is { } cluster ? "cluster " + cluster : $"{item.Item}");
}
