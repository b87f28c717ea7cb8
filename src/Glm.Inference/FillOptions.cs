namespace Glm.Inference;

/// <summary>How tokens are chosen.</summary>
public enum StrategyKind
{
    /// <summary>Always the most probable token.</summary>
    Greedy,

    /// <summary>A draw: <see cref="SamplingStrategy"/>.</summary>
    Sample,

    /// <summary>Beam search: <see cref="BeamSearchStrategy"/>.</summary>
    Beam,
}

/// <summary>Options of <see cref="BlankFiller"/>; the defaults are those of the original's launch script (spec 5.1), with beam search deterministic.</summary>
public sealed record FillOptions
{
    /// <summary>How tokens are chosen.</summary>
    public StrategyKind Strategy { get; init; } = StrategyKind.Sample;

    /// <inheritdoc cref="SamplingOptions.Temperature"/>
    public double Temperature { get; init; } = 1;

    /// <inheritdoc cref="SamplingOptions.TopK"/>
    public int TopK { get; init; }

    /// <inheritdoc cref="SamplingOptions.TopP"/>
    public double TopP { get; init; } = 0.7;

    /// <inheritdoc cref="BeamSearchOptions.NumBeams"/>
    public int NumBeams { get; init; } = 4;

    /// <inheritdoc cref="BeamSearchOptions.LengthPenalty"/>
    public double LengthPenalty { get; init; } = 1;

    /// <inheritdoc cref="BeamSearchOptions.NoRepeatNgramSize"/>
    public int NoRepeatNgram { get; init; } = 3;

    /// <inheritdoc cref="BeamSearchOptions.MinGenLength"/>
    public int MinGenLength { get; init; }

    /// <inheritdoc cref="BeamSearchOptions.Deterministic"/>
    public bool Deterministic { get; init; } = true;

    /// <summary>Most tokens per blank.</summary>
    public int MaxNewTokens { get; init; } = 256;

    /// <summary>The original's limit: most tokens per blank, the text before and after it included; null for none but the model's.</summary>
    public int? OutSeqLength { get; init; }

    /// <summary>A blank ends before the first of these strings in it.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Key of the random numbers.</summary>
    public ulong Seed { get; init; } = 1234;

    /// <summary>The strategy.</summary>
    /// <exception cref="GlmException">An option is impossible.</exception>
    public DecodingStrategy CreateStrategy(IReadOnlyList<int> endTokens) => Strategy == StrategyKind.Beam
        ? new BeamSearchStrategy(new BeamSearchOptions
        {
            NumBeams = NumBeams,
            LengthPenalty = LengthPenalty,
            NoRepeatNgramSize = NoRepeatNgram,
            MinGenLength = MinGenLength,
            Deterministic = Deterministic,
            EndTokens = endTokens,
            Seed = Seed,
        })
        : new SamplingStrategy(new SamplingOptions
        {
            Temperature = Strategy == StrategyKind.Greedy ? 0 : Temperature,
            TopK = TopK,
            TopP = TopP,
            EndTokens = endTokens,
            Seed = Seed,
        });

    internal FillOptions Validated()
    {
        if (MaxNewTokens < 1) throw new GlmException($"max_new_tokens: expected 1 or more, found {MaxNewTokens}");
        if (OutSeqLength < 1) throw new GlmException($"out_seq_length: expected 1 or more, found {OutSeqLength}");
        if (Stop.Any(string.IsNullOrEmpty)) throw new GlmException("stop: expected some text, found none");
        return this;
    }
}
