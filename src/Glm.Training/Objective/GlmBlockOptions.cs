namespace Glm.Training;

/// <summary>
/// Settings of the objective of the small GLM models, under the names of the original's arguments
/// (<c>ConstructBlockStrategy</c> of THUDM/GLM).
/// </summary>
public sealed record GlmBlockOptions
{
    /// <summary>Id of <c>[MASK]</c>.</summary>
    public required int MaskId { get; init; }

    /// <summary>Id of <c>[gMASK]</c>.</summary>
    public required int GmaskId { get; init; }

    /// <summary>Id of <c>[sMASK]</c>.</summary>
    public required int SmaskId { get; init; }

    /// <summary>Id of <c>sop</c>, which opens a span.</summary>
    public required int SopId { get; init; }

    /// <summary>Id of <c>eop</c>, which closes a span.</summary>
    public required int EopId { get; init; }

    /// <summary>Id of <c>ENC</c>, the first token of every sample.</summary>
    public required int EncId { get; init; }

    /// <summary>Id of <c>eos</c>, which separates documents; no masked span crosses it.</summary>
    public required int EosId { get; init; }

    /// <summary>Ids whose piece ends a sentence.</summary>
    public IReadOnlySet<int> SentenceEndIds { get; init; } = new HashSet<int>();

    /// <summary>With <see cref="SentinelToken"/>: the masks and sops of the second and later spans.</summary>
    public IReadOnlyList<(int MaskId, int SopId)> Sentinels { get; init; } = [];

    /// <summary>Longest sample.</summary>
    public int MaxSeqLength { get; init; } = 512;

    /// <summary>Share of batches with short spans.</summary>
    public double BertProb { get; init; } = 1;

    /// <summary>Share of batches with whole sentences; what is left has one long span.</summary>
    public double GapSentenceProb { get; init; }

    /// <summary>Share of long spans that are the rest of the text.</summary>
    public double GptInfillProb { get; init; } = 0.5;

    /// <summary>Shortest long span, as a share of the text.</summary>
    public double GptMinRatio { get; init; } = 0.5;

    /// <summary>Share of tokens that short spans cover.</summary>
    public double BertRatio { get; init; } = 0.15;

    /// <summary>Share of tokens that masked sentences cover.</summary>
    public double GapSentenceRatio { get; init; } = 0.15;

    /// <summary>Mean of the Poisson distribution of span lengths (before length 0 is excluded).</summary>
    public double AverageBlockLength { get; init; } = 3;

    /// <summary>Probability that a batch has one short span in each sample.</summary>
    public double SingleSpanProb { get; init; }

    /// <summary>Probability that a batch is cut into shorter samples.</summary>
    public double ShortSeqProb { get; init; }

    /// <summary>The second row of positions counts inside a span (otherwise it is 1 there).</summary>
    public bool BlockPositionEncoding { get; init; } = true;

    /// <summary>Spans are told in random order (otherwise in the order of the text).</summary>
    public bool ShuffleBlocks { get; init; } = true;

    /// <summary>Every span has its own mask and sop, and its tokens stand at position <see cref="MaxSeqLength"/>.</summary>
    public bool SentinelToken { get; init; }

    /// <summary>Long spans and sentences have masks of their own (otherwise <c>[MASK]</c>).</summary>
    public bool TaskMask { get; init; }
}
