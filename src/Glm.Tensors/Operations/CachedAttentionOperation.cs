namespace Glm.Tensors;

/// <summary>One sequence of a step of decoding: its new tokens, and where its keys and values lie.</summary>
/// <param name="Start">First row of its new tokens.</param>
/// <param name="Length">Number of new tokens.</param>
/// <param name="Past">Tokens already in the cache.</param>
/// <param name="Division">Length of the bidirectional context, counted from the first token of the sequence; 0 is causal attention.</param>
/// <param name="Pages">The sequence's pages, in order; enough of them for Past + Length tokens.</param>
public readonly record struct CachedSequence(int Start, int Length, int Past, int Division, int[] Pages);

/// <summary>Attention of new tokens over a paged cache of keys and values (spec 1.9), for generation.</summary>
public static unsafe class CachedAttentionOperation
{
    /// <summary>Tokens per page.</summary>
    public const int PageTokens = 64;

    private const int BlockRows = 64;

    /// <summary>
    /// Appends the keys and values of the new tokens to the cache, then lets every new token attend to what the rule lets it see: tokens below the
    /// division, itself and all before it.
    /// </summary>
    /// <param name="context">Where to run.</param>
    /// <param name="qkv">Rotated projection of the new tokens <c>[rows, …]</c>.</param>
    /// <param name="layout">Where the heads are in it.</param>
    /// <param name="pages">The pages of this layer <c>[pages, 2 (key, value), heads, 64, head size]</c>.</param>
    /// <param name="sequences">The sequences that the rows belong to. No two of them write to the same page.</param>
    /// <returns><c>[rows, heads x head size]</c>.</returns>
    public static Tensor CachedAttention(this Context context, Tensor qkv, HeadLayout layout, Tensor pages, CachedSequence[] sequences)
    {
        foreach (var s in sequences)
            if (s.Pages.Length * PageTokens < s.Past + s.Length || s.Start + s.Length > qkv.Rows)
                throw new ArgumentException($"{s} has too few pages or rows", nameof(sequences));
        var output = context.New(qkv.Rows, layout.Heads * layout.HeadSize);
        var pass = new Pass(context, qkv, output, layout, pages);
        context.Workers.For(sequences.Length * layout.KeyValueHeads, (item, worker) =>
            pass.Append(sequences[item / layout.KeyValueHeads], item % layout.KeyValueHeads, worker));
        context.Workers.For(sequences.Length * layout.Heads, (item, worker) =>
            pass.Attend(sequences[item / layout.Heads], item % layout.Heads, worker));
        return output;
    }

    private sealed class Pass(Context context, Tensor qkv, Tensor output, HeadLayout layout, Tensor pages)
    {
        private readonly float _scale = 1 / MathF.Sqrt(layout.HeadSize);

        public void Append(CachedSequence sequence, int group, int worker)
        {
            int size = layout.HeadSize;
            float* scratch = context.Scratch(worker, size);
            for (int i = 0; i < sequence.Length; i++)
            {
                int token = sequence.Past + i, page = sequence.Pages[token / PageTokens];
                for (int part = 0; part < 2; part++)
                {
                    int column = (part == 0 ? layout.KeyOffset : layout.ValueOffset) + group * layout.KeyValueStride;
                    byte* source = qkv.Data + qkv.Type.Bytes((long)(sequence.Start + i) * qkv.Columns + column);
                    TensorRows.ToFloats(source, qkv.Type, scratch, size);
                    long target = Offset(page, part, group) + (long)(token % PageTokens) * size;
                    TensorRows.FromFloats(scratch, pages.Data + pages.Type.Bytes(target), pages.Type, size);
                }
            }
        }

        public void Attend(CachedSequence sequence, int head, int worker)
        {
            int size = layout.HeadSize, group = head / (layout.Heads / layout.KeyValueHeads), total = sequence.Past + sequence.Length;
            float* scores = context.Scratch(worker, (long)BlockRows * total + (long)BlockRows * size), sums = scores + (long)BlockRows * total;
            var packing = context.Packing(worker);
            for (int begin = 0; begin < sequence.Length; begin += BlockRows)
            {
                int end = Math.Min(sequence.Length, begin + BlockRows), rows = end - begin;
                int keys = Math.Min(total, Math.Max(sequence.Division, sequence.Past + end));
                var query = qkv.AsMatrix().Part(sequence.Start + begin, layout.QueryOffset + head * layout.QueryStride, rows, size);
                for (int key = 0; key < keys; key += PageTokens)
                {
                    var target = Matrix.Dense(scores, rows, keys).Part(0, key, rows, Math.Min(PageTokens, keys - key));
                    MatMul.MultiplySingle(packing, query, Page(sequence, key, 0, group, target.Columns).Transposed, target, _scale, 0, null, Isa.Current);
                }
                for (int i = 0; i < rows; i++)
                {
                    float* row = scores + (long)i * keys;
                    int visible = Math.Min(keys, Math.Max(sequence.Division, sequence.Past + begin + i + 1));
                    float max = Vectors.Max(row, visible);
                    Vectors.Scale(1 / Vectors.ExpSum(row, max, visible), row, visible);
                    new Span<float>(row + visible, keys - visible).Clear();
                }
                for (int key = 0; key < keys; key += PageTokens)
                {
                    var part = Matrix.Dense(scores, rows, keys).Part(0, key, rows, Math.Min(PageTokens, keys - key));
                    MatMul.MultiplySingle(packing, part, Page(sequence, key, 1, group, part.Columns), Matrix.Dense(sums, rows, size), 1, key == 0 ? 0 : 1, null, Isa.Current);
                }
                for (int i = 0; i < rows; i++)
                {
                    long target = (long)(sequence.Start + begin + i) * output.Columns + head * size;
                    TensorRows.FromFloats(sums + (long)i * size, output.Data + output.Type.Bytes(target), output.Type, size);
                }
            }
        }

        private Matrix Page(CachedSequence sequence, int key, int part, int group, int tokens) => new(
            pages.Data + pages.Type.Bytes(Offset(sequence.Pages[key / PageTokens], part, group)), pages.Type, tokens, layout.HeadSize, layout.HeadSize);

        private long Offset(int page, int part, int group) => (((long)page * 2 + part) * layout.KeyValueHeads + group) * PageTokens * layout.HeadSize;
    }
}
