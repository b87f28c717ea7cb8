namespace Glm.Tensors;

/// <summary>Where the tokens of one head lie in the pages of a cache (<see cref="CachedAttentionOperation"/>).</summary>
internal readonly unsafe struct HeadPages(Tensor pages, HeadLayout layout)
{
    private const int PageTokens = CachedAttentionOperation.PageTokens;

    public DType Type => pages.Type;

    public int ElementBytes => (int)Type.Bytes(1);

    /// <summary>The keys of a page <c>[head size, 64]</c>, beginning with the one of <paramref name="token"/>.</summary>
    public byte* Keys(in CachedSequence sequence, int token, int group) => Page(sequence, token, 0, group) + Type.Bytes(token % PageTokens);

    /// <summary>The values of a page <c>[64, head size]</c>, beginning with the one of <paramref name="token"/>.</summary>
    public byte* Values(in CachedSequence sequence, int token, int group) =>
        Page(sequence, token, 1, group) + Type.Bytes((long)(token % PageTokens) * layout.HeadSize);

    private byte* Page(in CachedSequence sequence, int token, int part, int group) =>
        pages.Data + Type.Bytes((((long)sequence.Pages[token / PageTokens] * 2 + part) * layout.KeyValueHeads + group) * PageTokens * layout.HeadSize);

    /// <summary>The keys of a whole page as float32, where they lie or in <paramref name="scratch"/>.</summary>
    public float* ReadKeys(in CachedSequence sequence, int token, int group, float* scratch) => Read(Keys(sequence, token, group), PageTokens, scratch);

    /// <summary>The first <paramref name="tokens"/> values of a page as float32, where they lie or in <paramref name="scratch"/>.</summary>
    public float* ReadValues(in CachedSequence sequence, int token, int tokens, int group, float* scratch) => Read(Values(sequence, token, group), tokens, scratch);

    private float* Read(byte* source, int tokens, float* scratch)
    {
        if (Type == DType.Float32) return (float*)source;
        TensorRows.ToFloats(source, Type, scratch, (long)tokens * layout.HeadSize);
        return scratch;
    }
}
