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
/// The query heads of a group share keys and values, so the queries of one piece of work are pairs of a token and a head of the group. Many of them go
/// through the pages together (<see cref="AttentionBlock"/>); few, as when one token is decoded, go one by one, and a long past is cut into parts of
/// <see cref="PartPages"/> pages, so that there is work for all threads, whose results are put together at last. No score outlives its page, so memory does
/// not grow with the context.
/// </remarks>
public static unsafe class CachedAttentionOperation
{
    /// <summary>Tokens per page.</summary>
    public const int PageTokens = AttentionBlock.Keys;

    /// <summary>Queries that are computed together, unless one token has more heads in a group.</summary>
    private const int BlockQueries = 4 * AttentionTile.Lanes;

    /// <summary>Up to so many queries of a sequence and group go through the pages one by one.</summary>
    private const int FewQueries = 32;

    /// <summary>Pages of a part of the past, where queries are few.</summary>
    private const int PartPages = 16;

    /// <summary>Cleared pages of one layer <c>[pages, 2 (key, value), heads, 64, …]</c>.</summary>
    /// <param name="type">A floating-point type; or int8, with a float32 scale for the key and one for the value of every token and head, max|x| / 127.</param>
    /// <param name="pages">How many.</param>
    /// <param name="layout">The heads.</param>
    public static Tensor NewPages(DType type, int pages, HeadLayout layout) =>
        Tensor.Zeros(type, pages, 2, layout.KeyValueHeads, PageTokens, HeadPages.TokenElements(type, layout.HeadSize));

    /// <summary>Bytes that the keys and values of one token take in such pages.</summary>
    public static long TokenBytes(DType type, HeadLayout layout) => type.Bytes(2L * layout.KeyValueHeads * HeadPages.TokenElements(type, layout.HeadSize));

    /// <summary>
    /// Appends the keys and values of the new tokens to the cache, then lets every new token attend to what the rule lets it see: tokens below the
    /// division, itself and all before it.
    /// </summary>
    /// <param name="context">Where to run.</param>
    /// <param name="qkv">Rotated projection of the new tokens <c>[rows, …]</c>.</param>
    /// <param name="layout">Where the heads are in it.</param>
    /// <param name="pages">The pages of this layer (<see cref="NewPages"/>), of which the keys are stored as <c>[head size, 64]</c>.</param>
    /// <param name="sequences">The sequences that the rows belong to. No two of them write to the same page.</param>
    /// <param name="slopes">Float32 slopes of ALiBi <c>[heads]</c>, if positions enter so: slope x (key - query) is added to each score.</param>
    /// <returns><c>[rows, heads x head size]</c>.</returns>
    public static Tensor CachedAttention(
        this Context context, Tensor qkv, HeadLayout layout, Tensor pages, ReadOnlySpan<CachedSequence> sequences, Tensor? slopes = null)
    {
        int items = 0, parts = 0;
        foreach (var s in sequences)
        {
            if (s.Pages.Count * PageTokens < s.Total || s.Start + s.Length > qkv.Rows)
                throw new ArgumentException($"{s} has too few pages or rows", nameof(sequences));
            var work = new SequenceWork(s, layout);
            items += work.Items;
            if (work.Parts > 1) parts += work.Parts;
        }
        var output = context.New(qkv.Rows, layout.Heads * layout.HeadSize);
        var cache = new HeadPages(pages, layout);
        context.Workers.For(sequences.Length * layout.KeyValueHeads, new AppendBody(context, qkv, layout, cache, sequences));
        var partial = parts == 0 ? null : context.Arena.Allocate(DType.Float32, parts * layout.KeyValueHeads, FewQueries, PartialAttention.Floats(layout.HeadSize));
        context.Workers.For(items * layout.KeyValueHeads, new AttendBody(context, qkv, output, layout, cache, partial, sequences, slopes));
        if (partial is not null) context.Workers.For(sequences.Length * layout.KeyValueHeads, new JoinBody(output, layout, partial, sequences));
        return output;
    }

    /// <summary>How the attention of one sequence, for one group of heads, is cut into pieces of work: blocks of queries, or parts of the past.</summary>
    private readonly struct SequenceWork
    {
        public SequenceWork(in CachedSequence sequence, HeadLayout layout)
        {
            IsFew = sequence.Length * layout.GroupHeads <= FewQueries;
            Parts = IsFew ? DivideUp(sequence.Visible(sequence.Length - 1), PartPages * PageTokens) : 1;
            BlockTokens = Math.Max(1, BlockQueries / layout.GroupHeads);
            Items = IsFew ? Parts : DivideUp(sequence.Length, BlockTokens);
        }

        public bool IsFew { get; }

        public int Parts { get; }

        public int BlockTokens { get; }

        public int Items { get; }

        private static int DivideUp(int value, int divisor) => (value + divisor - 1) / divisor;
    }

    /// <summary>Writes the new tokens' keys and values of one group of a sequence.</summary>
    private readonly ref struct AppendBody(Context context, Tensor qkv, HeadLayout layout, HeadPages cache, ReadOnlySpan<CachedSequence> sequences) : ILoopBody
    {
        private readonly ReadOnlySpan<CachedSequence> _sequences = sequences;

        public void Invoke(int item, int worker)
        {
            var sequence = _sequences[item / layout.KeyValueHeads];
            int group = item % layout.KeyValueHeads, size = layout.HeadSize;
            float* row = context.Scratch(worker, 2L * size);
            for (int i = 0; i < sequence.Length; i++)
            {
                int token = sequence.Past + i, column = group * layout.KeyValueStride;
                TensorRows.ToFloats(qkv.AsMatrix().At(sequence.Start + i, layout.ValueOffset + column), qkv.Type, row, size);
                cache.WriteValue(sequence, token, group, row);
                TensorRows.ToFloats(qkv.AsMatrix().At(sequence.Start + i, layout.KeyOffset + column), qkv.Type, row, size);
                cache.WriteKey(sequence, token, group, row, row + size);
            }
        }
    }

    /// <summary>One piece of work of one sequence, all heads of one group.</summary>
    private readonly ref struct AttendBody(
        Context context, Tensor qkv, Tensor output, HeadLayout layout, HeadPages cache, Tensor? partial, ReadOnlySpan<CachedSequence> sequences,
        Tensor? slopes) : ILoopBody
    {
        private readonly ReadOnlySpan<CachedSequence> _sequences = sequences;

        public void Invoke(int item, int worker)
        {
            int group = item % layout.KeyValueHeads, rest = item / layout.KeyValueHeads, firstPart = 0;
            for (int s = 0; ; s++)
            {
                var work = new SequenceWork(_sequences[s], layout);
                if (rest < work.Items)
                {
                    if (work.IsFew) AttendFew(_sequences[s], work, group, rest, firstPart, worker);
                    else AttendMany(_sequences[s], rest * work.BlockTokens, Math.Min(_sequences[s].Length, (rest + 1) * work.BlockTokens), group, worker);
                    return;
                }
                rest -= work.Items;
                if (work.Parts > 1) firstPart += work.Parts;
            }
        }

        private void AttendMany(in CachedSequence sequence, int begin, int end, int group, int worker)
        {
            int rows = (end - begin) * layout.GroupHeads, size = layout.HeadSize, padded = Math.Max(AttentionBlock.PaddedSize(size), AttentionBlock.PairPanel);
            // What is stored as bfloat16, or more coarsely, is multiplied in that type where the processor does so.
            bool pairs = cache.Type is DType.BFloat16 or DType.Int8 && Context.ArithmeticOf(DType.BFloat16) != Arithmetic.Float32 && size % 2 == 0;
            float* memory = context.Scratch(worker, PageTokens * (2L * size + padded) + Packing.StageSize + AttentionBlock.Floats(rows, size));
            float* keys = memory, values = keys + PageTokens * size, paddedValues = values + PageTokens * size, stage = paddedValues + PageTokens * padded;
            var block = new AttentionBlock(rows, size, stage + Packing.StageSize, withSlopes: slopes is not null, pairs);
            InstructionSet isa = Isa.Current;
            ReadQueries(sequence, begin, end, group, block.Rows);
            block.Begin(1 / MathF.Sqrt(size), isa);
            for (int row = 0; row < rows; row++) block.SetVisible(row, sequence.Visible(begin + row / layout.GroupHeads));
            if (slopes is not null)
                for (int row = 0; row < rows; row++) block.SetSlope(row, Slope(group, row));

            int visible = sequence.Visible(end - 1);
            for (int key = 0; key < visible; key += PageTokens)
            {
                int tokens = Math.Min(PageTokens, visible - key);
                if (pairs)
                {
                    cache.PackKeys(sequence, key, group, keys, values, stage);
                    cache.PackValues(sequence, key, tokens, group, paddedValues, values, stage);
                    block.Add(key, keys, paddedValues, isa);
                }
                else block.Add(key, cache.ReadKeys(sequence, key, group, keys), Padded(cache.ReadValues(sequence, key, tokens, group, values), tokens, paddedValues), isa);
            }
            block.End(isa);
            float* result = block.Rows;
            for (int i = begin; i < end; i++)
                for (int head = group * layout.GroupHeads; head < (group + 1) * layout.GroupHeads; head++, result += size) Write(sequence, i, head, result);
        }

        /// <summary>Values as the rows of a block, where they lie or in <paramref name="target"/>.</summary>
        private float* Padded(float* values, int tokens, float* target)
        {
            int size = layout.HeadSize, padded = AttentionBlock.PaddedSize(size);
            if (padded == size) return values;
            for (int token = 0; token < tokens; token++) new Span<float>(values + token * size, size).CopyTo(new Span<float>(target + token * padded, size));
            return target;
        }

        /// <summary>The queries of a group as float32, by token, then head.</summary>
        private void ReadQueries(in CachedSequence sequence, int begin, int end, int group, float* queries)
        {
            for (int i = begin; i < end; i++)
                for (int head = group * layout.GroupHeads; head < (group + 1) * layout.GroupHeads; head++, queries += layout.HeadSize)
                    TensorRows.ToFloats(
                        qkv.AsMatrix().At(sequence.Start + i, layout.QueryOffset + head * layout.QueryStride), qkv.Type, queries, layout.HeadSize);
        }

        /// <summary>All queries over one part of the past; the result goes to the output if there is no other part.</summary>
        private void AttendFew(in CachedSequence sequence, in SequenceWork work, int group, int part, int firstPart, int worker)
        {
            int heads = layout.GroupHeads, rows = sequence.Length * heads, size = layout.HeadSize;
            float* queries = context.Scratch(worker, (long)rows * (size + PartialAttention.Floats(size)) + heads * PageTokens);
            float* results = queries + rows * size, scores = results + rows * PartialAttention.Floats(size);
            if (work.Parts > 1) results = PartialRows(partial!, layout, firstPart + part, group);
            ReadQueries(sequence, 0, sequence.Length, group, queries);
            Vectors.Scale(1 / MathF.Sqrt(size), queries, rows * size);
            for (int row = 0; row < rows; row++) new PartialAttention(results, row, size).Clear();

            int last = Math.Min(sequence.Visible(sequence.Length - 1), (part + 1) * PartPages * PageTokens);
            for (int key = part * PartPages * PageTokens; key < last; key += PageTokens)
                for (int token = 0; token < sequence.Length; token++)
                {
                    // The heads of a group see the same keys.
                    int visible = Math.Min(PageTokens, Math.Min(last, sequence.Visible(token)) - key), first = token * heads;
                    if (visible <= 0) continue;
                    new Span<float>(scores, heads * PageTokens).Clear();
                    cache.Score(sequence, key, visible, group, queries + first * size, heads, scores);
                    for (int head = 0; head < heads; head++)
                    {
                        float* row = scores + head * PageTokens;
                        // The distance is counted from the last key that the query sees: what is the same for all keys of a query, the softmax takes out.
                        if (slopes is not null) Vectors.AddRamp(Slope(group, head), key + 1 - sequence.Visible(token), row, visible);
                        new PartialAttention(results, first + head, size).TakeScores(row, visible);
                    }
                    cache.AddWeightedValues(
                        sequence, key, visible, group, scores, heads, new PartialAttention(results, first, size).Sums, PartialAttention.Floats(size));
                }
            if (work.Parts > 1) return;
            for (int row = 0; row < rows; row++)
            {
                var result = new PartialAttention(results, row, size);
                Vectors.Scale(1 / *result.Total, result.Sums, size);
                Write(sequence, row / layout.GroupHeads, group * layout.GroupHeads + row % layout.GroupHeads, result.Sums);
            }
        }

        private float Slope(int group, int row) => slopes!.Floats[group * layout.GroupHeads + row % layout.GroupHeads];

        private void Write(in CachedSequence sequence, int token, int head, float* values) =>
            TensorRows.FromFloats(values, output.AsMatrix().At(sequence.Start + token, head * layout.HeadSize), output.Type, layout.HeadSize);
    }

    /// <summary>Puts the parts of one sequence and group together.</summary>
    private readonly ref struct JoinBody(Tensor output, HeadLayout layout, Tensor partial, ReadOnlySpan<CachedSequence> sequences) : ILoopBody
    {
        private readonly ReadOnlySpan<CachedSequence> _sequences = sequences;

        public void Invoke(int item, int worker)
        {
            int group = item % layout.KeyValueHeads, index = item / layout.KeyValueHeads, firstPart = 0, size = layout.HeadSize;
            var sequence = _sequences[index];
            var work = new SequenceWork(sequence, layout);
            if (work.Parts == 1) return;
            for (int s = 0; s < index; s++)
                if (new SequenceWork(_sequences[s], layout) is { Parts: > 1 } before) firstPart += before.Parts;
            for (int row = 0; row < sequence.Length * layout.GroupHeads; row++)
            {
                var result = Part(firstPart, group, row);
                for (int part = 1; part < work.Parts; part++) result.Add(Part(firstPart + part, group, row));
                Vectors.Scale(1 / *result.Total, result.Sums, size);
                int head = group * layout.GroupHeads + row % layout.GroupHeads;
                TensorRows.FromFloats(result.Sums, output.AsMatrix().At(sequence.Start + row / layout.GroupHeads, head * size), output.Type, size);
            }
        }

        private PartialAttention Part(int part, int group, int row) => new(PartialRows(partial, layout, part, group), row, layout.HeadSize);
    }

    /// <summary>Where the partial results of a part of the past and a group of heads lie.</summary>
    private static float* PartialRows(Tensor partial, HeadLayout layout, int part, int group) =>
        partial.Floats + ((long)part * layout.KeyValueHeads + group) * partial.Shape[1] * partial.Shape[2];
}
