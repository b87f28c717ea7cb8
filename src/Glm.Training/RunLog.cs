using System.Text.Json;

namespace Glm.Training;

/// <summary>One line of a run's log, written after each optimiser step.</summary>
/// <param name="Step">Step, from 1.</param>
/// <param name="Samples">Samples consumed.</param>
/// <param name="Loss">Mean loss of the micro-batches, nats per token.</param>
/// <param name="SpanLoss">Mean loss of [MASK] rows, or null if there was none.</param>
/// <param name="SuffixLoss">Mean loss of [gMASK] rows, or null if there was none.</param>
/// <param name="GradientNorm">Global norm before clipping.</param>
/// <param name="Rate">Learning rate.</param>
/// <param name="Batch">Samples of the step.</param>
/// <param name="TokensPerSecond">Tokens through the model per second, padding included.</param>
/// <param name="FlopsPerSecond">Model FLOPs per second: multiply-adds that the loss needs, forward and backward, without recomputation.</param>
/// <param name="Validation">Loss of each validation source, where it was measured.</param>
public sealed record StepLog(
    long Step, long Samples, double Loss, double? SpanLoss, double? SuffixLoss, double GradientNorm, double Rate, int Batch,
    double TokensPerSecond, double FlopsPerSecond, double[]? Validation = null)
{
    /// <summary>Mean loss of prompted samples, or null if there was none.</summary>
    public double? MultitaskLoss { get; init; }

    /// <summary>Scale of the loss in this step; null where there is none.</summary>
    public double? LossScale { get; init; }

    /// <summary>Steps up to this one whose gradients overflowed.</summary>
    public long Overflows { get; init; }

    /// <summary>Samples drawn up to this step and not trained on.</summary>
    public long Discarded { get; init; }

    /// <summary>Model FLOPs per second as a share of what the machine's multipliers were measured to do; null where they were not.</summary>
    public double? PeakShare { get; init; }

    /// <summary>Share of the step that communication held up computation, waiting for others included, the mean of all ranks; null for one process.</summary>
    public double? CommunicationShare { get; init; }

    /// <summary>Bytes that all ranks sent in the step; null for one process.</summary>
    public double? SentBytes { get; init; }
}

/// <summary>The log of a run: one JSON object a line. Resuming drops the lines after the step that is resumed.</summary>
public sealed class RunLog
{
    /// <summary>The log's name in the folder of a run.</summary>
    public const string FileName = "log.jsonl";

    private readonly string _path;

    /// <summary>The log at a path, keeping the lines up to a step.</summary>
    public RunLog(string path, long keepSteps)
    {
        _path = path;
        Rewind(keepSteps);
    }

    private static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals, // the loss of a step that overflowed
    };

    /// <summary>The lines of a log; a last line cut off by a crash is left out.</summary>
    public static IReadOnlyList<StepLog> Read(string path) => JsonLines.Read<StepLog>(path, Json);

    /// <summary>Drops the lines after a step, to which the run has gone back.</summary>
    public void Rewind(long keepSteps) => JsonLines.Write(_path, Read(_path).Where(line => line.Step <= keepSteps), Json);

    /// <summary>Appends a line.</summary>
    /// <exception cref="GlmException">The file cannot be written.</exception>
    public void Append(StepLog step) => JsonLines.Append(_path, step, Json);
}
