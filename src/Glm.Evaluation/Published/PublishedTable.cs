using System.Text.Json;
using System.Text.Json.Serialization;

namespace Glm.Evaluation;

/// <summary>
/// A table of results that others published: <c>Published/Tables/*.json</c>, which come with the program. Rows are tasks or parts of them, columns are models;
/// a row says which task of ours measures the same.
/// </summary>
public sealed record PublishedTable
{
    private static readonly JsonSerializerOptions Form = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    /// <summary>All tables in the order of a report.</summary>
    public static IReadOnlyList<PublishedTable> All { get; } =
    [
        .. new[]
        {
            "lambada", "pile", "mmlu", "mmlu-training", "bigbench-lite", "bigbench-lite-0-shot", "bigbench-lite-1-shot", "bigbench-lite-3-shot", "clue", "fewclue", "commonsense", "nli",
            "quantisation", "quantisers", "crows-pairs", "stereoset", "ethos", "toxicity", "ada-leval-bestanswer", "ada-leval-tsort", "nlg", "chain-of-thought",
            "superglue-p-tuning", "ablation-attention", "ablation-perplexity", "ablation-units", "int4-reproduction", "cola-prompts",
        }.Select(Load),
    ];

    /// <summary>Name of the table, of letters and digits.</summary>
    public required string Id { get; init; }

    /// <summary>Its heading.</summary>
    public required string Title { get; init; }

    /// <summary>The benchmark's name in Chinese, where it is Chinese.</summary>
    public string? Chinese { get; init; }

    /// <summary>What the numbers are.</summary>
    public required string Measure { get; init; }

    /// <summary>Where the numbers stand, unless a row says otherwise.</summary>
    public required string Source { get; init; }

    /// <summary>What a reader must know to compare.</summary>
    public string? Note { get; init; }

    /// <summary>Whether the smaller number is the better one, unless a row says otherwise.</summary>
    public bool LowerIsBetter { get; init; }

    /// <summary>The number that would be perfect, where that is neither the largest nor the smallest, unless a row says otherwise.</summary>
    public double? Ideal { get; init; }

    /// <summary>Whether the mean of the rows says something.</summary>
    public bool Averages { get; init; }

    /// <summary>The models.</summary>
    public required IReadOnlyList<string> Columns { get; init; }

    /// <summary>The rows.</summary>
    public required IReadOnlyList<PublishedRow> Rows { get; init; }

    /// <summary>The published number of a row and column, or null.</summary>
    public double? Find(string row, string column)
    {
        int at = Columns.ToList().IndexOf(column);
        return at < 0 ? null : Rows.FirstOrDefault(candidate => candidate.Name == row)?.Values[at];
    }

    private static PublishedTable Load(string id)
    {
        using var stream = typeof(PublishedTable).Assembly.GetManifestResourceStream($"{id}.json") ?? throw new InvalidOperationException($"{id}.json: no such table");
        return JsonSerializer.Deserialize<PublishedTable>(stream, Form)!;
    }
}

/// <summary>A row of a <see cref="PublishedTable"/>.</summary>
public sealed record PublishedRow
{
    /// <summary>What is measured.</summary>
    public required string Name { get; init; }

    /// <summary>Its name in Chinese, where it is Chinese.</summary>
    public string? Chinese { get; init; }

    /// <summary>The task of ours that measures the same; null where there is none.</summary>
    public string? Task { get; init; }

    /// <summary>The metric of the task; null for its main one.</summary>
    public string? Metric { get; init; }

    /// <summary>The group of files that counts; null for all.</summary>
    public string? Group { get; init; }

    /// <summary>The category of items that counts; null for all.</summary>
    public string? Category { get; init; }

    /// <summary>Solved examples before each question; null where the table does not say.</summary>
    public int? Shots { get; init; }

    /// <summary>What the row counts in, where rows of the table differ; only rows alike stand in one chart.</summary>
    public string? Unit { get; init; }

    /// <summary>The table of which the row has the averages; null where it has results of tasks.</summary>
    public string? AverageOf { get; init; }

    /// <summary>Part of the table that the row belongs to.</summary>
    public string? Section { get; init; }

    /// <summary>Whether the row sums up others.</summary>
    public bool Summary { get; init; }

    /// <summary>Items of the whole test set, where the published numbers can be checked by them.</summary>
    public int? Items { get; init; }

    /// <summary>Whether the smaller number is the better one; null for what the table says.</summary>
    public bool? LowerIsBetter { get; init; }

    /// <summary>The number that would be perfect; null for what the table says.</summary>
    public double? Ideal { get; init; }

    /// <summary>Where the numbers of this row stand; null for where the table's do.</summary>
    public string? Source { get; init; }

    /// <summary>What a reader must know of this row.</summary>
    public string? Note { get; init; }

    /// <summary>Numbers of the models, null where none was published.</summary>
    public required IReadOnlyList<double?> Values { get; init; }
}
