using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference;

/// <summary>How the tokens of a text are scored.</summary>
public sealed record ScoringOptions
{
    /// <summary>Tokens of a window, what begins it (mask and sop) included; null for the model's maximum.</summary>
    public int? MaxSequenceLength { get; init; }

    /// <summary>Tokens by which the next window begins later, all of which it scores; null for half the window.</summary>
    public int? Stride { get; init; }

    /// <summary>Whether windows after the first see their context causally instead of bidirectionally.</summary>
    public bool Unidirectional { get; init; }

    /// <summary>Whether windows begin with <c>[MASK]</c> where they would with <c>[gMASK]</c>.</summary>
    public bool ShortMask { get; init; }

    /// <summary>Whether unidirectional windows count again what they share with the one before, as the original's language modelling task does (spec 8.6); <see cref="Scorer.Nats"/> alone.</summary>
    public bool RepeatsOverlap { get; init; }

    /// <summary>Lets attention read keys and values through a cache of this type, so that scores are those of cached decoding; null for keys and values as they are computed.</summary>
    public DType? CacheType { get; init; }
}

/// <summary>A part of a text as the model reads it to score it (spec 8.6).</summary>
/// <param name="Tokens">Token ids.</param>
/// <param name="Targets">The token that each one is to predict.</param>
/// <param name="Division">Length of the bidirectional context, the mask included.</param>
/// <param name="ScoredFrom">The first token whose prediction counts.</param>
public sealed record ScoringWindow(int[] Tokens, int[] Targets, int Division, int ScoredFrom)
{
    /// <summary>The blank that the window fills: the last token of the context.</summary>
    internal BlankPlace Place => new(Division, Division - 1, RunsOn: true);

    /// <summary>
    /// The windows of a text: with m = longest - 1 and stride g, window k covers the ids [k g, k g + m). The first reads <c>[gMASK] sop t0 t1 …</c> and
    /// scores everything; a later one reads its first m - g ids as context, then <c>[gMASK] sop</c>, and scores the rest. So every token is scored once.
    /// What begins a window may be any number of other tokens, m then being what fits; where nothing does, the first token of a text is in no target.
    /// </summary>
    /// <param name="ids">The text.</param>
    /// <param name="longest">Tokens of a window, those that begin it included.</param>
    /// <param name="stride">The stride, below <paramref name="longest"/>.</param>
    /// <param name="start">What begins a window: <c>[gMASK] sop</c>, the beginning of a text, or nothing.</param>
    /// <param name="unidirectional">Puts the start first and lets the context be causal.</param>
    public static IEnumerable<ScoringWindow> Of(ReadOnlyMemory<int> ids, int longest, int stride, int[] start, bool unidirectional = false)
    {
        if (longest < 2) throw new GlmException($"max_sequence_length: expected 2 or more, found {longest}");
        if (stride < 1 || stride >= longest) throw new GlmException($"stride: expected 1 to {longest - 1}, found {stride}");
        // The last token of a window is not read.
        int covered = longest + 1 - start.Length;
        for (int first = 0; first == 0 || first - stride + covered < ids.Length; first += stride)
        {
            if (ids.Length <= (start.Length == 0 ? 1 : 0)) yield break;
            var window = ids.Span.Slice(first, Math.Min(covered, ids.Length - first));
            int context = first == 0 ? 0 : covered - stride;
            int bidirectional = unidirectional ? 0 : context;
            yield return new ScoringWindow(
                [.. window[..bidirectional], .. start, .. window[bidirectional..^1]],
                start.Length == 0 ? [.. window[1..]] : [.. window[..bidirectional], .. start[..^1], .. window[bidirectional..]],
                bidirectional + Math.Max(0, start.Length - 1), Math.Max(0, context + start.Length - 1));
        }
    }
}
