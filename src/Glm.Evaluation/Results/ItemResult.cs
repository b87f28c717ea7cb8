namespace Glm.Evaluation;

/// <summary>
/// What one item gave: a line of <c>TASK.jsonl</c>. It holds what metrics need, so that they can be computed again over any selection of items
/// (<see cref="Metric.Of"/>), and no text of the data set.
/// </summary>
public sealed record ItemResult
{
    /// <summary>Index of its file (data file and prompt) in <see cref="TaskResult.Files"/>.</summary>
    public required int File { get; init; }

    /// <summary>Index in the file, from 0.</summary>
    public required int Item { get; init; }

    /// <summary>Its name in the data set, where it has one.</summary>
    public string? Id { get; init; }

    /// <summary>Category in the data set (subject, bias type, subset of the Pile), where there are such.</summary>
    public string? Category { get; init; }

    /// <summary>Items with the same value were not drawn independently and count together (the candidates of a question, the questions about a paragraph).</summary>
    public string? Cluster { get; init; }

    /// <summary>The right choice.</summary>
    public int? Label { get; init; }

    /// <summary>Number of choices.</summary>
    public int? Choices { get; init; }

    /// <summary>The model's choice; -1 where its words name none.</summary>
    public int? Prediction { get; init; }

    /// <summary>Sum of log-probabilities of each choice.</summary>
    public IReadOnlyList<double>? Scores { get; init; }

    /// <summary>Tokens of each choice.</summary>
    public IReadOnlyList<int>? ChoiceTokens { get; init; }

    /// <summary>What metrics count of this item alone, by name: exact match and F1 of a generated text, as fractions.</summary>
    public IReadOnlyDictionary<string, double>? Values { get; init; }

    /// <summary>Of a text that was read: nats.</summary>
    public double? Nats { get; init; }

    /// <summary>Of a text that was read: tokens predicted.</summary>
    public long? Tokens { get; init; }

    /// <summary>Of a text that was read: words between spaces.</summary>
    public long? Words { get; init; }

    /// <summary>Of a text that was read: bytes in UTF-8.</summary>
    public long? Bytes { get; init; }

    /// <summary>What the model generated.</summary>
    public IReadOnlyList<string>? Generated { get; init; }

    /// <summary>Why the model gave no answer; such an item counts as wrong nowhere, but as an error.</summary>
    public string? Error { get; init; }
}
