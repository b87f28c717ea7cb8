namespace Glm.Training;

/// <summary>Learning rate by consumed samples: linear warm-up, cosine to the minimum, then constant (spec 4.1).</summary>
/// <param name="Peak">Rate at the end of the warm-up.</param>
/// <param name="Minimum">Rate after the decay.</param>
/// <param name="WarmupSamples">Samples of the warm-up, W.</param>
/// <param name="DecaySamples">Samples at which the minimum is reached, D.</param>
public sealed record LearningRateSchedule(double Peak, double Minimum, double WarmupSamples, double DecaySamples)
{
    private const double LeastFactor = 1e-8;

    /// <summary>Where the rate warms up once more.</summary>
    public IReadOnlyList<Rewarmup> Rewarmups { get; init; } = [];

    /// <summary>The rate after <paramref name="samples"/> consumed samples.</summary>
    public double At(long samples)
    {
        double rate = First(samples);
        foreach (var (from, length) in Rewarmups)
            if (samples >= from && samples < from + length) rate *= Math.Max(LeastFactor, (double)(samples - from) / length);
        return rate;
    }

    private double First(long samples)
    {
        if (samples <= WarmupSamples && WarmupSamples > 0) return Peak * samples / WarmupSamples;
        if (samples > DecaySamples) return Minimum;
        return Minimum + (Peak - Minimum) * 0.5 * (1 + Math.Cos(Math.PI * (samples - WarmupSamples) / (DecaySamples - WarmupSamples)));
    }
}

/// <summary>
/// A linear warm-up on top of the schedule, after a change of the data or of the objective (spec 4.1, 4.4). In absolute samples, so that it stays where it is
/// when a run is resumed.
/// </summary>
/// <param name="From">Consumed samples at which it begins.</param>
/// <param name="Samples">Samples over which the factor grows from 0 to 1.</param>
public sealed record Rewarmup(long From, long Samples);

/// <summary>Global batch size by consumed samples: from a start in equal increments to the full size (spec 4.1).</summary>
/// <param name="Start">Batch size at the beginning.</param>
/// <param name="Increment">Size of one step; 0 for a constant batch.</param>
/// <param name="RampSamples">Samples over which the ramp extends.</param>
/// <param name="Full">Batch size after the ramp.</param>
public sealed record BatchRamp(int Start, int Increment, double RampSamples, int Full)
{
    /// <summary>The batch size of the step that begins after <paramref name="samples"/> consumed samples.</summary>
    public int At(long samples)
    {
        if (Increment <= 0 || samples >= RampSamples || Start >= Full) return Full;
        double samplesPerIncrement = RampSamples / ((Full - Start) / (double)Increment);
        return Math.Min(Full, Start + Increment * (int)(samples / samplesPerIncrement));
    }
}

/// <summary>Embedding-gradient shrink by step: constant, then linear to 1 (spec 4.2).</summary>
/// <param name="Alpha">The factor at the beginning.</param>
/// <param name="ConstantSteps">Steps for which it stays; with <paramref name="RampSteps"/> 0, for ever.</param>
/// <param name="RampSteps">Steps over which it then grows to 1.</param>
public sealed record EmbeddingShrinkSchedule(double Alpha, long ConstantSteps = 0, long RampSteps = 0)
{
    /// <summary>Later beginnings, by step: from 33600 on, GLM-130B's factor was 0.5 (spec 4.4).</summary>
    public IReadOnlyList<ShrinkChange> Changes { get; init; } = [];

    /// <summary>The factor at a step (from 0).</summary>
    public double At(long step)
    {
        if (Changes.Where(change => change.FromStep <= step).MaxBy(change => change.FromStep) is { } latest)
            return new EmbeddingShrinkSchedule(latest.Alpha, latest.ConstantSteps, latest.RampSteps).At(step - latest.FromStep);
        if (RampSteps == 0 || step < ConstantSteps) return Alpha;
        return Math.Min(1, Alpha + (1 - Alpha) * (step - ConstantSteps) / RampSteps);
    }
}

/// <summary>A new beginning of the embedding-gradient shrink.</summary>
/// <param name="FromStep">Its first step.</param>
/// <param name="Alpha">The factor there.</param>
/// <param name="ConstantSteps">Steps for which it stays; with <paramref name="RampSteps"/> 0, for ever.</param>
/// <param name="RampSteps">Steps over which it then grows to 1.</param>
public sealed record ShrinkChange(long FromStep, double Alpha, long ConstantSteps = 0, long RampSteps = 0);
