namespace Glm.Training;

/// <summary>Learning rate by consumed samples: linear warm-up, cosine to the minimum, then constant (spec 4.1).</summary>
/// <param name="Peak">Rate at the end of the warm-up.</param>
/// <param name="Minimum">Rate after the decay.</param>
/// <param name="WarmupSamples">Samples of the warm-up, W.</param>
/// <param name="DecaySamples">Samples at which the minimum is reached, D.</param>
public sealed record LearningRateSchedule(double Peak, double Minimum, double WarmupSamples, double DecaySamples)
{
    /// <summary>The rate after <paramref name="samples"/> consumed samples.</summary>
    public double At(long samples)
    {
        if (samples <= WarmupSamples && WarmupSamples > 0) return Peak * samples / WarmupSamples;
        if (samples > DecaySamples) return Minimum;
        return Minimum + (Peak - Minimum) * 0.5 * (1 + Math.Cos(Math.PI * (samples - WarmupSamples) / (DecaySamples - WarmupSamples)));
    }
}

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
    /// <summary>The factor at a step (from 0).</summary>
    public double At(long step)
    {
        if (RampSteps == 0 || step < ConstantSteps) return Alpha;
        return Math.Min(1, Alpha + (1 - Alpha) * (step - ConstantSteps) / RampSteps);
    }
}
