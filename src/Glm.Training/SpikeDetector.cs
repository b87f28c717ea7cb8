using System.Text.Json.Serialization;

namespace Glm.Training;

/// <summary>What to do about a spike.</summary>
public enum SpikeReaction
{
    /// <summary>Say so and go on.</summary>
    [JsonStringEnumMemberName("warn")]
    Warn,

    /// <summary>Do not take the step; discard its data and the samples after it.</summary>
    [JsonStringEnumMemberName("skip")]
    Skip,

    /// <summary>Go back to the last checkpoint; discard the data from there to the spike and the samples after it (spec 4.4: 40700, 42400).</summary>
    [JsonStringEnumMemberName("rollback")]
    Rollback,
}

/// <summary>What counts as a spike, and what follows. Gradient norms rise some steps before the loss (spec 4.4), so both are watched.</summary>
public sealed record SpikeOptions
{
    /// <summary>What follows.</summary>
    public SpikeReaction Reaction { get; init; } = SpikeReaction.Warn;

    /// <summary>Steps before the present one that it is compared with; until there are as many, nothing is a spike.</summary>
    public int Window { get; init; } = 50;

    /// <summary>A gradient norm so many times the median of the window is a spike.</summary>
    public double NormFactor { get; init; } = 6;

    /// <summary>A loss so many nats above the median of the window is a spike.</summary>
    public double LossRise { get; init; } = 1;

    /// <summary>Samples that are discarded after those of the spike.</summary>
    public long SkipSamples { get; init; }

    /// <summary>Spikes without a checkpoint between them that are borne; one more ends the run.</summary>
    public int Limit { get; init; } = 10;
}

/// <summary>The steps that the next one is compared with, oldest first.</summary>
/// <param name="Losses">Their losses.</param>
/// <param name="Norms">Their gradient norms.</param>
public sealed record RecentSteps(double[] Losses, double[] Norms)
{
    /// <summary>No step yet.</summary>
    public static RecentSteps None { get; } = new([], []);
}

/// <summary>Tells spikes of the loss and of the gradient norm from what the steps before were like.</summary>
public sealed class SpikeDetector(SpikeOptions options)
{
    /// <summary>Why a step is a spike, or null. What is not a number is one at once.</summary>
    public string? Reason(RecentSteps recent, double loss, double norm)
    {
        if (!double.IsFinite(loss)) return $"the loss is {loss}";
        if (!double.IsFinite(norm)) return $"the gradient norm is {norm}";
        if (recent.Losses.Length < options.Window) return null;
        double usualLoss = Median(recent.Losses), usualNorm = Median(recent.Norms);
        if (norm > options.NormFactor * usualNorm) return FormattableString.Invariant($"the gradient norm is {norm:g4}, {norm / usualNorm:f1} times the median of {options.Window} steps");
        return loss > usualLoss + options.LossRise ? FormattableString.Invariant($"the loss is {loss:f4}, {loss - usualLoss:f2} above the median of {options.Window} steps") : null;
    }

    /// <summary>The steps that the one after this is compared with.</summary>
    public RecentSteps With(RecentSteps recent, double loss, double norm)
    {
        int from = Math.Max(0, recent.Losses.Length + 1 - options.Window);
        return new RecentSteps([.. recent.Losses[from..], loss], [.. recent.Norms[from..], norm]);
    }

    private static double Median(double[] values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
