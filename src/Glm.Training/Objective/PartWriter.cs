using Glm.Tensors;

namespace Glm.Training;

/// <summary>A blank: the stretch [Start, End) of the text that is replaced by one <paramref name="Mask"/> and told after <paramref name="Sop"/>.</summary>
internal readonly record struct Blank(int Start, int End, int Mask, int Sop);

/// <summary>
/// Writes one part (one attention segment) of a <see cref="TrainingSample"/>, token by token. What does not fit into the part is
/// cut off, as in the original, where most full <c>[MASK]</c> parts lose the end of their targets (spec section 3.3); what stays
/// unwritten is padding.
/// </summary>
internal struct PartWriter(TrainingSample sample, int start, int length)
{
    private int _written;

    /// <summary>
    /// Writes a text with blanks (spec section 3.3): the context with one mask for each blank, then for each blank, in the given
    /// order, sop and its tokens; labels are its tokens and <paramref name="eop"/>. Positions number the context; the tokens of a
    /// blank repeat its mask's position, or take <paramref name="targetPosition"/>. Returns the length of the context.
    /// </summary>
    public int WriteBlanks(ReadOnlySpan<int> text, List<Blank> blanks, int eop, bool countInBlanks = true, int? targetPosition = null)
    {
        var starts = new int[blanks.Count];
        var inTextOrder = new int[blanks.Count];
        for (int i = 0; i < blanks.Count; i++) (starts[i], inTextOrder[i]) = (blanks[i].Start, i);
        Array.Sort(starts, inTextOrder);

        var maskPositions = new int[blanks.Count];
        int from = 0;
        foreach (int i in inTextOrder)
        {
            WriteContext(text[from..blanks[i].Start]);
            maskPositions[i] = _written;
            WriteContext([blanks[i].Mask]);
            from = blanks[i].End;
        }
        WriteContext(text[from..]);
        int context = _written;

        for (int i = 0; i < blanks.Count; i++)
            WriteTarget(blanks[i].Sop, text[blanks[i].Start..blanks[i].End], eop, targetPosition ?? maskPositions[i], countInBlanks);
        return context;
    }

    /// <summary>
    /// Writes a text whose end is asked for (spec section 3.4): prefix, mask, sop, suffix without its last token; labels are the
    /// suffix, without eop. The loss is taken on the whole suffix, or where <paramref name="lossMask"/> is 1. Returns the length
    /// of the context, the mask included.
    /// </summary>
    public int WriteSuffix(ReadOnlySpan<int> prefix, ReadOnlySpan<int> suffix, int mask, int sop, bool countInBlank = true, ReadOnlySpan<byte> lossMask = default)
    {
        WriteContext(prefix);
        WriteContext([mask]);
        for (int i = 0; i < suffix.Length; i++)
            Write(i == 0 ? sop : suffix[i - 1], suffix[i], prefix.Length, countInBlank ? i + 1 : 1, lossMask.IsEmpty ? (byte)1 : lossMask[i]);
        return prefix.Length + 1;
    }

    /// <summary>Tokens of the context: label and token are the same, and there is no loss.</summary>
    public void WriteContext(ReadOnlySpan<int> tokens)
    {
        foreach (int token in tokens) Write(token, token, _written, 0, loss: 0);
    }

    /// <summary>Input <c>sop t1 … tn</c>, labels <c>t1 … tn eop</c>, all at one position.</summary>
    public void WriteTarget(int sop, ReadOnlySpan<int> tokens, int eop, int position, bool countInBlank = true)
    {
        for (int i = 0; i <= tokens.Length; i++)
            Write(i == 0 ? sop : tokens[i - 1], i < tokens.Length ? tokens[i] : eop, position, countInBlank ? i + 1 : 1, loss: 1);
    }

    /// <summary>Replaces the positions from index <paramref name="from"/> to before <paramref name="to"/> of the part by consecutive numbers.</summary>
    public readonly void NumberPositions(int from, int to, int first)
    {
        for (int i = from; i < Math.Min(to, length); i++) sample.Positions[start + i] = first + i - from;
    }

    /// <summary>Gives one position to everything from index <paramref name="from"/> of the part, padding included.</summary>
    public readonly void RepeatPosition(int from, int position) => sample.Positions.AsSpan(start..(start + length))[from..].Fill(position);

    /// <summary>Closes the part: the sample gets its segment.</summary>
    public readonly void Close(int division) => sample.Segments.Add(new AttentionSegment(start, length, division));

    private void Write(int token, int target, int position, int blockPosition, byte loss)
    {
        if (_written < length)
        {
            int at = start + _written;
            sample.Tokens[at] = token;
            sample.Targets[at] = target;
            sample.Positions[at] = position;
            sample.LossMask[at] = loss;
            if (sample.BlockPositions is { } blockPositions) blockPositions[at] = blockPosition;
        }
        _written++;
    }
}
