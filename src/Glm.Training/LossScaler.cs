namespace Glm.Training;

/// <summary>Where the loss scale of a binary16 run stands.</summary>
/// <param name="Value">Factor on the loss, and so on every gradient.</param>
/// <param name="CleanSteps">Steps without an overflow since the scale last changed or a gradient last overflowed.</param>
/// <param name="Patience">Overflows that are still borne before the scale falls.</param>
public sealed record LossScale(double Value, int CleanSteps, int Patience);

/// <summary>
/// Dynamic loss scaling (spec 4.1): the scale doubles after a window of steps without overflow and halves once the overflows since then have used up the hysteresis.
/// </summary>
/// <param name="Start">Scale of the first step.</param>
/// <param name="Window">Steps without overflow after which it doubles.</param>
/// <param name="Hysteresis">Overflows until it halves.</param>
/// <param name="Minimum">Least scale.</param>
public sealed record LossScaler(double Start, int Window, int Hysteresis, double Minimum)
{
    /// <summary>Where a run begins.</summary>
    public LossScale Begin => new(Start, 0, Hysteresis);

    /// <summary>The scale of the next step, or null where a gradient overflowed at the least scale, from which a run does not come back.</summary>
    public LossScale? Next(LossScale scale, bool overflow)
    {
        if (!overflow) return scale.CleanSteps + 1 < Window ? scale with { CleanSteps = scale.CleanSteps + 1 } : new LossScale(scale.Value * 2, 0, Hysteresis);
        if (scale.Patience > 1) return new LossScale(scale.Value, 0, scale.Patience - 1);
        return scale.Value <= Minimum ? null : new LossScale(Math.Max(Minimum, scale.Value / 2), 0, Patience: 1);
    }
}
