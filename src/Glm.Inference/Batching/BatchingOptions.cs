namespace Glm.Inference;

/// <summary>How <see cref="GenerationEngine"/> shares a model among requests.</summary>
public sealed record BatchingOptions
{
    /// <summary>Most requests that are generated together.</summary>
    public int MaxBatch { get; init; } = 16;

    /// <summary>Most requests that wait; more are refused.</summary>
    public int MaxQueue { get; init; } = 256;

    /// <summary>Tokens of contexts that a causal model reads in one step, beside the tokens that are generated in it; so long a step may take.</summary>
    public int PromptTokensPerStep { get; init; } = 256;

    /// <summary>Pages of 64 tokens that keys and values may take; <see cref="StandardPages"/> if null, unless whoever makes the engine knows better.</summary>
    public int? KvPages { get; init; }

    /// <summary>See <see cref="KvPages"/>.</summary>
    public const int StandardPages = 1024;

    /// <summary>Finished sequences whose keys and values are kept for later requests, as far as there is room.</summary>
    public int KeptSequences { get; init; } = 64;

    /// <summary>Tokens that are guessed, from what was read or by a draft model, and checked in one step, of all requests of a small batch together; 0 for none. Results are the same.</summary>
    public int DraftTokens { get; init; }

    internal BatchingOptions Validated()
    {
        if (MaxBatch < 1) throw new GlmException($"batch: expected at least 1, found {MaxBatch}");
        if (MaxQueue < 1) throw new GlmException($"queue: expected at least 1, found {MaxQueue}");
        if (PromptTokensPerStep < 1) throw new GlmException($"prompt tokens per step: expected at least 1, found {PromptTokensPerStep}");
        if (KvPages < 1) throw new GlmException($"pages of keys and values: expected at least 1, found {KvPages}");
        if (KeptSequences < 0) throw new GlmException($"kept sequences: expected 0 or more, found {KeptSequences}");
        if (DraftTokens is < 0 or > 64) throw new GlmException($"draft tokens: expected 0 to 64, found {DraftTokens}");
        return this;
    }
}
