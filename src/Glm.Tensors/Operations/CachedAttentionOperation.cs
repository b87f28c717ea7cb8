namespace Glm.Tensors;

/// <summary>One sequence of a step of decoding: its new tokens, and where its keys and values lie.</summary>
/// <param name="Start">First row of its new tokens.</param>
/// <param name="Length">Number of new tokens.</param>
/// <param name="Past">Tokens already in the cache.</param>
/// <param name="Division">Length of the bidirectional context, counted from the first token of the sequence; 0 is causal attention.</param>
/// <param name="Pages">
/// The sequence's pages, in order; enough of them for Past + Length tokens. It is read while the operation runs, so that its owner may go on with the
/// same list.
/// </param>
public readonly record struct CachedSequence(int Start, int Length, int Past, int Division, IReadOnlyList<int> Pages)
{
    /// <summary>Tokens in the cache when the new ones have been appended.</summary>
    internal int Total => Past + Length;

    /// <summary>How many keys the new token <paramref name="i"/> sees: those below the division, its own and all before it.</summary>
    internal int Visible(int i) => Math.Min(Total, Math.Max(Division, Past + i + 1));
}

/// <summary>Attention of new tokens over a paged cache of keys and values (spec 1.9), for generation.</summary>
/// <remarks>
/// The query heads of a group share keys and values, so the rows of one piece of work are pairs of a token and a head of the group. A page of keys at a
/// time, each row keeps the maximum m of its scores s so far, the sum l of e^(s - m) and the vector o of e^(s - m) v; a page that raises m to m' multiplies
/// l and o by e^(m - m'). At last the result is o / l. So no score outlives its page, and memory does not grow with the context (Milakov and Gimelshein,
/// Online normalizer calculation for softmax, 2018).
/// </remarks>
public static unsafe class CachedAttentionOperation
{
    /// <summary>Tokens per page.</summary>
    public const int PageTokens = 64;

    /// <summary>Pairs of a token and a head that are computed together, unless one token has more heads in a group.</summary>
    private const int BlockRows = 192;

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
    public static Tensor CachedAttention(this Context context, Tensor qkv, HeadLayout layout, Tensor pages, ReadOnlySpan<CachedSequence> sequences)
    {
        int blockTokens = Math.Max(1, BlockRows / layout.GroupHeads), blocks = 0;
        foreach (var s in sequences)
        {
            if (s.Pages.Count * PageTokens < s.Total || s.Start + s.Length > qkv.Rows)
                throw new ArgumentException($"{s} has too few pages or rows", nameof(sequences));
            blocks += Blocks(s, blockTokens);
        }
        var output = context.New(qkv.Rows, layout.Heads * layout.HeadSize);
        var cache = new HeadPages(pages, layout);
        context.Workers.For(sequences.Length * layout.KeyValueHeads, new AppendBody(context, qkv, layout, cache, sequences));
        context.Workers.For(blocks * layout.KeyValueHeads, new AttendBody(context, qkv, output, layout, cache, sequences, blockTokens));
        return output;
    }

    private static int Blocks(in CachedSequence sequence, int blockTokens) => (sequence.Length + blockTokens - 1) / blockTokens;

    /// <summary>Where the tokens of one head lie in the pages.</summary>
    private readonly struct HeadPages(Tensor pages, HeadLayout layout)
    {
        public const int Keys = 0, Values = 1;

        public DType Type => pages.Type;

        public byte* Token(in CachedSequence sequence, int token, int part, int group)
        {
            long head = ((long)sequence.Pages[token / PageTokens] * 2 + part) * layout.KeyValueHeads + group;
            return pages.Data + pages.Type.Bytes((head * PageTokens + token % PageTokens) * layout.HeadSize);
        }

        /// <summary>Tokens of one page, from its first on.</summary>
        public Matrix Page(in CachedSequence sequence, int first, int tokens, int part, int group) =>
            new(Token(sequence, first, part, group), pages.Type, tokens, layout.HeadSize, layout.HeadSize);
    }

    /// <summary>Writes the new tokens' keys and values of one group of a sequence.</summary>
    private readonly ref struct AppendBody(Context context, Tensor qkv, HeadLayout layout, HeadPages cache, ReadOnlySpan<CachedSequence> sequences) : ILoopBody
    {
        private readonly ReadOnlySpan<CachedSequence> _sequences = sequences;

        public void Invoke(int item, int worker)
        {
            var sequence = _sequences[item / layout.KeyValueHeads];
            int group = item % layout.KeyValueHeads;
            float* scratch = context.Scratch(worker, layout.HeadSize);
            for (int i = 0; i < sequence.Length; i++)
            {
                Append(sequence, i, layout.KeyOffset, HeadPages.Keys, group, scratch);
                Append(sequence, i, layout.ValueOffset, HeadPages.Values, group, scratch);
            }
        }

        private void Append(in CachedSequence sequence, int i, int column, int part, int group, float* scratch)
        {
            byte* source = qkv.AsMatrix().At(sequence.Start + i, column + group * layout.KeyValueStride);
            TensorRows.ToFloats(source, qkv.Type, scratch, layout.HeadSize);
            TensorRows.FromFloats(scratch, cache.Token(sequence, sequence.Past + i, part, group), cache.Type, layout.HeadSize);
        }
    }

    /// <summary>Attention of a block of tokens of one sequence, all heads of one group.</summary>
    private readonly ref struct AttendBody(
        Context context, Tensor qkv, Tensor output, HeadLayout layout, HeadPages cache, ReadOnlySpan<CachedSequence> sequences, int blockTokens) : ILoopBody
    {
        /// <summary>Up to so many rows, values are multiplied where they lie instead of being packed first.</summary>
        private const int FewRows = 8;

        private readonly ReadOnlySpan<CachedSequence> _sequences = sequences;

        public void Invoke(int item, int worker)
        {
            int group = item % layout.KeyValueHeads, block = item / layout.KeyValueHeads, s = 0;
            for (; block >= Blocks(_sequences[s], blockTokens); s++) block -= Blocks(_sequences[s], blockTokens);
            var sequence = _sequences[s];
            int begin = block * blockTokens, end = Math.Min(sequence.Length, begin + blockTokens);
            int rows = (end - begin) * layout.GroupHeads, size = layout.HeadSize;

            float* queries = context.Scratch(worker, 2L * rows * (size + 1) + (long)PageTokens * (rows + size));
            float* sums = queries + (long)rows * size, maxima = sums + (long)rows * size, totals = maxima + rows;
            float* scores = totals + rows, values = scores + (long)rows * PageTokens;
            ReadQueries(sequence, begin, end, group, queries);
            new Span<float>(sums, rows * size).Clear();
            new Span<float>(maxima, rows).Fill(float.NegativeInfinity);
            new Span<float>(totals, rows).Clear();

            float scale = 1 / MathF.Sqrt(size);
            int keys = sequence.Visible(end - 1);
            for (int key = 0; key < keys; key += PageTokens)
            {
                int tokens = Math.Min(PageTokens, keys - key);
                var page = cache.Page(sequence, key, tokens, HeadPages.Keys, group);
                MatMul.MultiplySingle(
                    context.Packing(worker), Matrix.Dense(queries, rows, size), page.Transposed, Matrix.Dense(scores, rows, tokens), scale, 0, null, Isa.Current);
                for (int row = 0; row < rows; row++)
                {
                    int visible = Math.Clamp(sequence.Visible(begin + row / layout.GroupHeads) - key, 0, tokens);
                    Exponentiate(scores + row * tokens, visible, tokens, maxima + row, totals + row, sums + (long)row * size);
                }
                AddValues(scores, rows, cache.Page(sequence, key, tokens, HeadPages.Values, group), sums, values, worker);
            }
            WriteOutput(sequence, begin, end, group, sums, totals);
        }

        /// <summary>The queries of the block as float32, by token, then head of the group.</summary>
        private void ReadQueries(in CachedSequence sequence, int begin, int end, int group, float* queries)
        {
            for (int i = begin; i < end; i++)
                for (int head = group * layout.GroupHeads; head < (group + 1) * layout.GroupHeads; head++, queries += layout.HeadSize)
                    TensorRows.ToFloats(
                        qkv.AsMatrix().At(sequence.Start + i, layout.QueryOffset + head * layout.QueryStride), qkv.Type, queries, layout.HeadSize);
        }

        /// <summary>Turns a row of scores into e^(s - m), of which the first <paramref name="visible"/> count, and brings the row's m, l and o up to it.</summary>
        private void Exponentiate(float* scores, int visible, int tokens, float* max, float* total, float* sums)
        {
            new Span<float>(scores + visible, tokens - visible).Clear();
            if (visible == 0) return;
            float larger = Math.Max(*max, Vectors.Max(scores, visible)), factor = MathF.Exp(*max - larger);
            *total = *total * factor + Vectors.ExpSum(scores, larger, visible);
            *max = larger;
            if (factor != 1) Vectors.Scale(factor, sums, layout.HeadSize);
        }

        /// <summary>sums += weights x page.</summary>
        private void AddValues(float* weights, int rows, in Matrix page, float* sums, float* scratch, int worker)
        {
            int tokens = page.Rows, size = layout.HeadSize;
            if (rows > FewRows)
            {
                MatMul.MultiplySingle(
                    context.Packing(worker), Matrix.Dense(weights, rows, tokens), page, Matrix.Dense(sums, rows, size), 1, 1, null, Isa.Current);
                return;
            }
            float* values = page.Type == DType.Float32 ? (float*)page.Data : scratch;
            if (values == scratch) TensorRows.ToFloats(page.At(0, 0), page.Type, scratch, (long)tokens * size);
            for (int row = 0; row < rows; row++) Vectors.AddWeightedRows(weights + row * tokens, values, tokens, sums + (long)row * size, size);
        }

        private void WriteOutput(in CachedSequence sequence, int begin, int end, int group, float* sums, float* totals)
        {
            int size = layout.HeadSize;
            for (int i = begin; i < end; i++)
                for (int head = group * layout.GroupHeads; head < (group + 1) * layout.GroupHeads; head++, sums += size, totals++)
                {
                    Vectors.Scale(1 / *totals, sums, size);
                    TensorRows.FromFloats(sums, output.AsMatrix().At(sequence.Start + i, head * size), output.Type, size);
                }
        }
    }
}
