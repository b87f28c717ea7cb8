namespace Glm.Evaluation;

/// <summary>One question, or one text.</summary>
internal sealed record TaskItem
{
    /// <summary>What the model reads.</summary>
    public required ItemText Prompt { get; init; }

    public string? Id { get; init; }

    public string? Category { get; init; }

    public string? Cluster { get; init; }

    /// <summary>Choices; none where text is generated or read.</summary>
    public IReadOnlyList<ItemText> Choices { get; init; } = [];

    /// <summary>The right choice.</summary>
    public int? Label { get; init; }

    /// <summary>How good each choice is, where there is not one right.</summary>
    public IReadOnlyList<double>? Grades { get; init; }

    /// <summary>Texts of which one is to be generated.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>What would be said without reading the prompt.</summary>
    public string? Guess { get; init; }

    /// <summary>Number of answers among which a generated one is, where there are so many.</summary>
    public int? Answers { get; init; }

    /// <summary>Of a text: words between spaces, as the original counts them.</summary>
    public long Words { get; init; }

    /// <summary>Of a text: bytes in UTF-8.</summary>
    public long Bytes { get; init; }

    /// <summary>How much work its answer is, in characters to be read.</summary>
    public long Effort { get; init; }

    /// <summary>How much work it is, roughly.</summary>
    public long Weight => Length(Prompt) + Choices.Sum(Length) + Effort;

    private static long Length(ItemText text) => text.Text?.Length ?? text.Ids!.Length;
}

/// <summary>The items of a data file with one prompt.</summary>
/// <param name="Group">Its group.</param>
/// <param name="Name">Its name in results.</param>
/// <param name="Items">The items.</param>
/// <param name="Faults">What could not be used, one line each.</param>
internal sealed record ItemFile(string Group, string Name, IReadOnlyList<TaskItem> Items, IReadOnlyList<string> Faults);
