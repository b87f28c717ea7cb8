using Glm.Models;

namespace Glm.Inference;

/// <summary>How the tokens of a text are scored.</summary>
public sealed record ScoringOptions
{
    /// <summary>Tokens of a window, its mask and sop included; null for the model's maximum.</summary>
    public int? MaxSequenceLength { get; init; }

    /// <summary>Tokens by which the next window begins later, all of which it scores; null for half the window.</summary>
    public int? Stride { get; init; }

    /// <summary>Whether windows after the first see their context causally instead of bidirectionally.</summary>
    public bool Unidirectional { get; init; }
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
    /// </summary>
    /// <param name="ids">The text.</param>
    /// <param name="longest">Tokens of a window, mask and sop included.</param>
    /// <param name="stride">The stride, below <paramref name="longest"/>.</param>
    /// <param name="mask">Id of the blank that the text fills, <c>[gMASK]</c>.</param>
    /// <param name="sop">Id of sop.</param>
    /// <param name="unidirectional">Puts the mask first and lets the context be causal.</param>
    public static IEnumerable<ScoringWindow> Of(ReadOnlyMemory<int> ids, int longest, int stride, int mask, int sop, bool unidirectional = false)
    {
        if (longest < 2) throw new GlmException($"max_sequence_length: expected 2 or more, found {longest}");
        if (stride < 1 || stride >= longest) throw new GlmException($"stride: expected 1 to {longest - 1}, found {stride}");
        int covered = longest - 1;
        for (int start = 0; start == 0 || start - stride + covered < ids.Length; start += stride)
        {
            if (ids.IsEmpty) yield break;
            var window = ids.Span.Slice(start, Math.Min(covered, ids.Length - start));
            int context = start == 0 ? 0 : covered - stride;
            int bidirectional = unidirectional ? 0 : context;
            yield return new ScoringWindow(
                [.. window[..bidirectional], mask, sop, .. window[bidirectional..^1]],
                [.. window[..bidirectional], mask, .. window[bidirectional..]],
                bidirectional + 1, context + 1);
        }
    }
}
