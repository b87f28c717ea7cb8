namespace Glm.Training;

/// <summary>
/// Settings of the blank-infilling objective, under the names of the original's arguments; the defaults are those of the 130B run
/// (spec section 3).
/// </summary>
public sealed record GlmObjectiveOptions
{
    /// <summary>Id of <c>[MASK]</c>, a short span.</summary>
    public required int MaskId { get; init; }

    /// <summary>Id of <c>[gMASK]</c>, a long suffix.</summary>
    public required int GmaskId { get; init; }

    /// <summary>Id of <c>[sMASK]</c>, a sentence.</summary>
    public required int SmaskId { get; init; }

    /// <summary>Id of <c>sop</c>, which opens a span.</summary>
    public required int SopId { get; init; }

    /// <summary>Id of <c>eop</c>, which closes a span.</summary>
    public required int EopId { get; init; }

    /// <summary>Id that separates documents; no masked sentence crosses it.</summary>
    public required int EodId { get; init; }

    /// <summary>Ids whose piece ends a sentence; needed where <see cref="SentProb"/> is above 0.</summary>
    public IReadOnlySet<int> SentenceEndIds { get; init; } = new HashSet<int>();

    /// <summary>Tokens of a row that the model sees.</summary>
    public int MaxSeqLength { get; init; } = 2048;

    /// <summary>Independent samples packed into one row (<c>aggregated_samples_per_sequence</c>).</summary>
    public int SamplesPerRow { get; init; } = 4;

    /// <summary>Share of <c>[gMASK]</c> rows; the rest, less <see cref="SentProb"/>, are <c>[MASK]</c> rows.</summary>
    public double GptProb { get; init; } = 0.7;

    /// <summary>Share of <c>[sMASK]</c> rows.</summary>
    public double SentProb { get; init; }

    /// <summary>Probability that a packed sample is cut to a random length.</summary>
    public double ShortSeqProb { get; init; } = 0.02;

    /// <summary>Probability that a packed sample has one span only.</summary>
    public double SingleSpanProb { get; init; } = 0.02;

    /// <summary>Share of tokens that the short spans, or the sentences, cover at least (<c>mask_ratio</c>).</summary>
    public double MaskProb { get; init; } = 0.15;

    /// <summary>Mean of the Poisson distribution of span lengths (before length 0 is excluded).</summary>
    public double AverageBlockLength { get; init; } = 3;

    /// <summary>Shortest suffix of a <c>[gMASK]</c> row, as a share of the row.</summary>
    public double MinGmaskRatio { get; init; } = 0.2;

    /// <summary>One row of positions (rotary encoding); otherwise two, the second counting inside the spans.</summary>
    public bool No2dEncoding { get; init; } = true;

    /// <summary>Packs <see cref="SamplesPerRow"/> samples into a <c>[gMASK]</c> row too.</summary>
    public bool AggregateGptSample { get; init; }

    /// <summary>Multi-task targets: mask and sop share a position, numbering goes on from there.</summary>
    public bool UnifiedMultitaskEncoding { get; init; }

    /// <summary>As <see cref="UnifiedMultitaskEncoding"/>, but short targets are likely to stay at the mask's position.</summary>
    public bool AdaptiveMultitaskEncoding { get; init; }

    /// <summary>Mean of the Poisson distribution that tells which targets are short.</summary>
    public double AdaptiveMultitaskEncodingLength { get; init; } = 5;

    /// <summary>Tokens of each of the packed parts.</summary>
    internal int PartLength => MaxSeqLength / SamplesPerRow;

    /// <summary>Throws where the settings contradict themselves.</summary>
    /// <exception cref="GlmException">A setting is out of range; the message names it.</exception>
    internal void Validate()
    {
        Require(SamplesPerRow >= 1, nameof(SamplesPerRow), "at least 1", SamplesPerRow);
        bool divisible = MaxSeqLength >= SamplesPerRow && MaxSeqLength % SamplesPerRow == 0;
        Require(divisible, nameof(MaxSeqLength), $"a multiple of {nameof(SamplesPerRow)} = {SamplesPerRow}", MaxSeqLength);
        RequireShare(GptProb, nameof(GptProb));
        RequireShare(SentProb, nameof(SentProb));
        Require(GptProb + SentProb <= 1 + 1e-9, nameof(SentProb), $"at most 1 - {nameof(GptProb)}", SentProb);
        RequireShare(ShortSeqProb, nameof(ShortSeqProb));
        RequireShare(SingleSpanProb, nameof(SingleSpanProb));
        RequireShare(MaskProb, nameof(MaskProb));
        RequireShare(MinGmaskRatio, nameof(MinGmaskRatio));
        Require(AverageBlockLength > 0, nameof(AverageBlockLength), "above 0", AverageBlockLength);
        Require(AdaptiveMultitaskEncodingLength > 0, nameof(AdaptiveMultitaskEncodingLength), "above 0", AdaptiveMultitaskEncodingLength);
        Require(SentProb == 0 || SentenceEndIds.Count > 0, nameof(SentenceEndIds), $"not empty where {nameof(SentProb)} is above 0", 0);
    }

    private static void RequireShare(double value, string name) => Require(value is >= 0 and <= 1, name, "between 0 and 1", value);

    private static void Require(bool holds, string name, string expected, double found)
    {
        if (!holds) throw new GlmException($"training objective: {name} must be {expected}, found {found}");
    }
}
