namespace Glm.Tensors;

/// <summary>Where the tokens of one head lie in the pages of a cache (<see cref="CachedAttentionOperation"/>).</summary>
/// <remarks>
/// The part of a page that belongs to the keys, or the values, of one head lies together: its 64 x head size elements and, in int8 pages, the 64 float32 scales of
/// the tokens behind them. These make the last dimension of the tensor longer by four bytes.
/// </remarks>
internal readonly unsafe struct HeadPages(Tensor pages, HeadLayout layout)
{
    private const int PageTokens = CachedAttentionOperation.PageTokens, Key = 0, Value = 1;

    /// <summary>Type of their elements.</summary>
    public DType Type => pages.Type;

    /// <summary>Whether elements are bytes, which mean something with their tokens' scales alone.</summary>
    public bool IsInt8 => pages.Type == DType.Int8;

    /// <summary>Elements that one head takes for the key, or the value, of one token.</summary>
    public static int TokenElements(DType type, int headSize) =>
        type.IsFloat() ? headSize : type == DType.Int8 ? headSize + sizeof(float) : throw new ArgumentException($"keys and values cannot be stored as {type}", nameof(type));

    /// <summary>The keys of a page <c>[head size, 64]</c>, beginning with the one of <paramref name="token"/>.</summary>
    public byte* Keys(in CachedSequence sequence, int token, int group) => Part(sequence, token, Key, group) + pages.Type.Bytes(token % PageTokens);

    /// <summary>The values of a page <c>[64, head size]</c>, beginning with the one of <paramref name="token"/>.</summary>
    public byte* Values(in CachedSequence sequence, int token, int group) =>
        Part(sequence, token, Value, group) + pages.Type.Bytes((long)(token % PageTokens) * layout.HeadSize);

    /// <summary>The scales of an int8 page's keys, beginning with the one of <paramref name="token"/>.</summary>
    public float* KeyScales(in CachedSequence sequence, int token, int group) => Scales(sequence, token, Key, group);

    /// <summary>The scales of an int8 page's values, beginning with the one of <paramref name="token"/>.</summary>
    public float* ValueScales(in CachedSequence sequence, int token, int group) => Scales(sequence, token, Value, group);

    /// <summary>Stores the key of a token, rounded; <paramref name="scratch"/> has room for it.</summary>
    public void WriteKey(in CachedSequence sequence, int token, int group, float* key, float* scratch)
    {
        byte* target = Keys(sequence, token, group), narrow = (byte*)scratch;
        if (IsInt8) *KeyScales(sequence, token, group) = Int8Tokens.Quantize(key, layout.HeadSize, (sbyte*)narrow);
        else TensorRows.FromFloats(key, narrow, pages.Type, layout.HeadSize);
        switch (pages.Type.Bytes(1))
        {
            case 1:
                for (int j = 0; j < layout.HeadSize; j++) target[j * PageTokens] = narrow[j];
                break;
            case 2:
                for (int j = 0; j < layout.HeadSize; j++) ((ushort*)target)[j * PageTokens] = ((ushort*)narrow)[j];
                break;
            default:
                for (int j = 0; j < layout.HeadSize; j++) ((float*)target)[j * PageTokens] = scratch[j];
                break;
        }
    }

    /// <summary>Stores the value of a token, rounded.</summary>
    public void WriteValue(in CachedSequence sequence, int token, int group, float* value)
    {
        byte* target = Values(sequence, token, group);
        if (IsInt8) *ValueScales(sequence, token, group) = Int8Tokens.Quantize(value, layout.HeadSize, (sbyte*)target);
        else TensorRows.FromFloats(value, target, pages.Type, layout.HeadSize);
    }

    /// <summary>The keys of the whole page that begins with <paramref name="token"/> as float32, where they lie or in <paramref name="scratch"/>.</summary>
    public float* ReadKeys(in CachedSequence sequence, int token, int group, float* scratch)
    {
        byte* keys = Keys(sequence, token, group);
        if (!IsInt8) return Read(keys, PageTokens, scratch);
        Int8Tokens.ExpandKeys((sbyte*)keys, KeyScales(sequence, token, group), layout.HeadSize, scratch, Isa.Current);
        return scratch;
    }

    /// <summary>The first <paramref name="tokens"/> values of the page that begins with <paramref name="token"/> as float32, where they lie or in <paramref name="scratch"/>.</summary>
    public float* ReadValues(in CachedSequence sequence, int token, int tokens, int group, float* scratch)
    {
        byte* values = Values(sequence, token, group);
        if (!IsInt8) return Read(values, tokens, scratch);
        Int8Tokens.ExpandValues((sbyte*)values, ValueScales(sequence, token, group), tokens, layout.HeadSize, scratch, Isa.Current);
        return scratch;
    }

    /// <summary>
    /// The keys of a page as panels of pairs <c>[head size / 2, 32]</c>, rounded to bfloat16; <paramref name="scratch"/> has room for all keys, <paramref name="stage"/> for
    /// <see cref="Packing.StageSize"/> floats.
    /// </summary>
    public void PackKeys(in CachedSequence sequence, int token, int group, float* target, float* scratch, float* stage)
    {
        int size = layout.HeadSize;
        Matrix keys = IsInt8
            ? Matrix.Dense(ReadKeys(sequence, token, group, scratch), size, PageTokens)
            : new Matrix(Keys(sequence, token, group), pages.Type, size, PageTokens, PageTokens);
        PairPacking.Pack(keys.Transposed, 0, PageTokens, 0, size, size / 2, AttentionBlock.PairPanel, target, stage);
    }

    /// <summary>The first <paramref name="tokens"/> values of a page as panels of pairs <c>[32, 32]</c>, as <see cref="PackKeys"/> has them.</summary>
    public void PackValues(in CachedSequence sequence, int token, int tokens, int group, float* target, float* scratch, float* stage)
    {
        int size = layout.HeadSize;
        Matrix values = IsInt8
            ? Matrix.Dense(ReadValues(sequence, token, tokens, group, scratch), tokens, size)
            : new Matrix(Values(sequence, token, group), pages.Type, tokens, size, size);
        PairPacking.Pack(values.Transposed, 0, size, 0, tokens, PageTokens / 2, AttentionBlock.PairPanel, target, stage);
    }

    /// <summary>
    /// scores[r, i] = query r * key i for the first <paramref name="tokens"/> keys, at least, of the page that begins with <paramref name="token"/>, read where it lies, while its values are
    /// asked for; the scores begin at zero.
    /// </summary>
    public void Score(in CachedSequence sequence, int token, int tokens, int group, float* queries, int count, float* scores)
    {
        int columns = tokens > PageTokens / 2 ? PageTokens : PageTokens / 2; // whole vectors are faster
        WeightedRows.Add(
            queries, layout.HeadSize, count, Keys(sequence, token, group), pages.Type, PageTokens, layout.HeadSize, scores, PageTokens, columns, Values(sequence, token, group), Isa.Current);
        for (int row = 0; row < count && IsInt8; row++) Vectors.Multiply(KeyScales(sequence, token, group), scores + row * PageTokens, PageTokens);
    }

    /// <summary>sums[r] += sum over i of weights[r, i] * value i of a page, read where it lies, while the next page's keys are asked for; the weights are spent.</summary>
    public void AddWeightedValues(in CachedSequence sequence, int token, int tokens, int group, float* weights, int count, float* sums, nint stride)
    {
        for (int row = 0; row < count && IsInt8; row++) Vectors.Multiply(ValueScales(sequence, token, group), weights + row * PageTokens, tokens);
        WeightedRows.Add(
            weights, PageTokens, count, Values(sequence, token, group), pages.Type, layout.HeadSize, tokens, sums, stride, layout.HeadSize,
            Keys(sequence, token + PageTokens < sequence.Total ? token + PageTokens : token, group), Isa.Current);
    }

    private float* Read(byte* source, int tokens, float* scratch)
    {
        if (pages.Type == DType.Float32) return (float*)source;
        TensorRows.ToFloats(source, pages.Type, scratch, (long)tokens * layout.HeadSize);
        return scratch;
    }

    private float* Scales(in CachedSequence sequence, int token, int part, int group) =>
        (float*)(Part(sequence, token, part, group) + PageTokens * layout.HeadSize) + token % PageTokens;

    private byte* Part(in CachedSequence sequence, int token, int part, int group) =>
        pages.Data + pages.Type.Bytes((((long)sequence.Pages[token / PageTokens] * 2 + part) * layout.KeyValueHeads + group) * PageTokens * pages.Columns);
}
