namespace Glm.Training;

/// <summary>The share of prompted samples in a run (spec 3.1, 3.5).</summary>
public sealed record MultitaskOptions
{
    /// <summary>The folder that <c>glm data prepare-tasks</c> made, relative to the configuration file.</summary>
    public required string Path { get; init; }

    /// <summary>Share of the samples.</summary>
    public double Ratio { get; init; } = 0.05;

    /// <summary>Samples, counted as they are drawn, before the first prompted one.</summary>
    public long FromSamples { get; init; }

    /// <summary>
    /// Samples over which the share then grows from 0. When prompts came into GLM-130B's run at once it diverged; a gradual change together with a new warm-up of
    /// the learning rate was the cure (spec 4.4, 28 to 30 May).
    /// </summary>
    public long RampSamples { get; init; }

    private const ulong ChoiceDomain = 0x6D6978; // keeps these draws apart from others of the same seed

    /// <summary>The share at a sample.</summary>
    public double RatioAt(long sample) => sample < FromSamples ? 0 : sample >= FromSamples + RampSamples ? Ratio : Ratio * (sample - FromSamples) / RampSamples;

    /// <summary>Whether a sample is a prompted one: a pure function of (seed, sample).</summary>
    public bool IsPrompted(ulong seed, long sample) => new CounterRandom(seed ^ ChoiceDomain, (ulong)sample).NextDouble() < RatioAt(sample);
}
