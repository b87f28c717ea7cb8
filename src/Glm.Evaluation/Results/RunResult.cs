using System.Text.Json.Serialization;

namespace Glm.Evaluation;

/// <summary>What was run: <c>run.json</c>, written when a run begins and again when it ends.</summary>
public sealed record RunResult
{
    /// <summary>Version of the program.</summary>
    public required string Version { get; init; }

    /// <summary>The command line.</summary>
    public required string Command { get; init; }

    /// <summary>The model.</summary>
    public required ModelIdentity Model { get; init; }

    /// <summary>When it began first.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>Names of the tasks, in order.</summary>
    public required IReadOnlyList<string> Tasks { get; init; }

    /// <summary>Time all tasks took; null where the run did not end.</summary>
    public double? Seconds { get; init; }

    /// <summary>Tokens that the model read and wrote; null where the run did not end.</summary>
    public long? Tokens { get; init; }

    /// <summary>Tokens per second at which the model reads prompts in batches, measured after the tasks; null where they were few, or the model runs elsewhere.</summary>
    public double? ReadingSpeed { get; init; }

    /// <summary>Tokens per second over all tasks.</summary>
    [JsonIgnore]
    public double? Speed => Seconds > 0 && Tokens is { } tokens ? tokens / Seconds : null;
}
