namespace Glm.Evaluation;

/// <summary>What a task gave: <c>TASK.json</c>.</summary>
public sealed record TaskResult
{
    /// <summary>The task's name, which is that of its files; with a slash in it, they lie in a folder.</summary>
    public required string Task { get; init; }

    /// <summary>The task's title, such as <c>AFQMC</c>.</summary>
    public string? Title { get; init; }

    /// <summary><c>mul</c>, <c>gen</c> or <c>lm</c>.</summary>
    public required string Type { get; init; }

    /// <summary>Table of the report that it belongs to, such as <c>mmlu</c>, <c>clue</c>, <c>bigbench-lite</c>; null for none.</summary>
    public string? Suite { get; init; }

    /// <summary>Hash of the task's definition.</summary>
    public required string Version { get; init; }

    /// <summary>Hash of the data that was read.</summary>
    public required string Data { get; init; }

    /// <summary>Solved examples before each question.</summary>
    public int Shots { get; init; }

    /// <summary>Most items of a file that were asked for; null for all.</summary>
    public int? Limit { get; init; }

    /// <summary>Names of the metrics (<see cref="Metric.Find"/>), the main one first.</summary>
    public required IReadOnlyList<string> Metrics { get; init; }

    /// <summary>Every file: a data file with a prompt.</summary>
    public required IReadOnlyList<FileResult> Files { get; init; }

    /// <summary>The groups of files, as the original reports them.</summary>
    public required IReadOnlyList<GroupResult> Groups { get; init; }

    /// <summary>All files as one group.</summary>
    public required GroupResult Overall { get; init; }

    /// <summary>Items that could not be used: file, line and reason; the first hundred.</summary>
    public IReadOnlyList<string> Errors { get; init; } = [];

    /// <summary>Time it took, interruptions not counted.</summary>
    public double Seconds { get; init; }

    /// <summary>Tokens that the model read and wrote.</summary>
    public long Tokens { get; init; }
}

/// <summary>A data file read with one prompt.</summary>
/// <param name="Group">Its group.</param>
/// <param name="Name">Path of the data file below the root of the data, and the prompt's name.</param>
/// <param name="Items">Items with an answer.</param>
/// <param name="Errors">Items without: malformed ones, and those that the model could not answer.</param>
/// <param name="Metrics">Its numbers.</param>
/// <param name="Chance">What guessing would give, for those metrics where that is known.</param>
/// <param name="Categories">The same by category (subject, bias type), where the data has such.</param>
public sealed record FileResult(
    string Group, string Name, int Items, int Errors, IReadOnlyDictionary<string, double> Metrics, IReadOnlyDictionary<string, double> Chance,
    IReadOnlyDictionary<string, CategoryResult>? Categories = null);

/// <summary>The items of one category of a file.</summary>
/// <param name="Items">How many they are.</param>
/// <param name="Metrics">Their numbers.</param>
/// <param name="Chance">What guessing would give.</param>
public sealed record CategoryResult(int Items, IReadOnlyDictionary<string, double> Metrics, IReadOnlyDictionary<string, double> Chance);

/// <summary>Several files (prompts) together.</summary>
/// <param name="Name">The group's name; <c>all</c> where the task names none.</param>
/// <param name="Items">Items of all files.</param>
/// <param name="Errors">Errors of all files.</param>
/// <param name="Metrics">Each metric over the files.</param>
/// <param name="Chance">What guessing would give, averaged over the items.</param>
public sealed record GroupResult(
    string Name, int Items, int Errors, IReadOnlyDictionary<string, FileStatistics> Metrics, IReadOnlyDictionary<string, double> Chance);

/// <summary>A metric over files, as the original reports it.</summary>
/// <param name="Max">Of the best file.</param>
/// <param name="Median">The middle, or the mean of the two in the middle.</param>
/// <param name="Average">Weighted by the number of items.</param>
public readonly record struct FileStatistics(double Max, double Median, double Average)
{
    /// <summary>The statistics of values with their weights.</summary>
    public static FileStatistics Of(IReadOnlyList<(double Value, int Items)> files)
    {
        double[] sorted = [.. files.Select(file => file.Value).Order()];
        int middle = sorted.Length / 2;
        double median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new FileStatistics(sorted[^1], median, files.Sum(file => file.Value * file.Items) / files.Sum(file => file.Items));
    }
}
