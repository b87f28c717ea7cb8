using Glm.Tensors;

namespace Glm.Tests;

/// <summary>Attention over whole sequences against its scalar twin, and attention over the cache against both.</summary>
public sealed class AttentionTests
{
    // D = rowsum(dO O) reads O as it was stored.
    private static double GradientTolerance(DType type) => type == DType.Float32 ? 5e-5 : 1e-2;

    public static TheoryData<DType, float> TypesAndDropout => new() { { DType.Float32, 0 }, { DType.BFloat16, 0 }, { DType.Float32, 0.25f }, { DType.BFloat16, 0.25f } };

    [Theory]
    [MemberData(nameof(TypesAndDropout))]
    public void Short_segments(DType type, float dropout)
    {
        // Rows 21 and 34 to 36 belong to none; causal, partly and wholly bidirectional ones, and a division beyond the end.
        AttentionSegment[] segments = [new(0, 17, 5), new(17, 1, 0), new(18, 3, 0), new(22, 3, 3), new(25, 9, 40)];
        foreach (int size in new[] { 1, 3, 8 })
            foreach (var layout in OperationTests.Layouts(heads: 4, size))
                Require(type, layout, 37, segments, dropout);
    }

    [Theory]
    [MemberData(nameof(TypesAndDropout))]
    public void Segments_longer_than_a_block(DType type, float dropout)
    {
        foreach (int division in new[] { 0, 33, 66, 70 })
            Require(type, HeadLayout.Interleaved(1, 3), 70, [new(0, 70, division)], dropout);
    }

    [Fact]
    public void Large_scores_do_not_overflow()
    {
        using var workers = new Workers(2);
        var context = new Context(workers);
        float[] qkv = [100, 100, 1, 100, 90, 2, -100, -100, 3];
        Assert.Equal([1f, 1f, 3f], context.Attention(context.Floats(qkv, 3, 3), HeadLayout.Interleaved(1, 1), [new(0, 3, 0)]).ToArray());
    }

    [Fact]
    public void Segments_outside_the_rows_are_refused()
    {
        using var workers = new Workers(1);
        var context = new Context(workers);
        var qkv = Tensor.Zeros(DType.Float32, 4, 6);
        foreach (var segment in new AttentionSegment[] { new(-1, 2, 0), new(3, 2, 0), new(0, -1, 0) })
            Assert.Throws<ArgumentException>(() => context.Attention(qkv, HeadLayout.Interleaved(1, 2), [segment]));
    }

    /// <summary>Two sequences, cut at random places after their contexts, decoded together over shuffled pages.</summary>
    [Theory]
    [InlineData(DType.Float32, DType.Float32, 1e-5)]
    [InlineData(DType.BFloat16, DType.Float32, 1e-2)]
    [InlineData(DType.Float32, DType.BFloat16, 2e-2)]
    [InlineData(DType.Float32, DType.Int8, 1e-5)]
    [InlineData(DType.BFloat16, DType.Int8, 1e-2)]
    public void Cached_attention_in_parts_is_attention_of_the_whole(DType activations, DType pages, double tolerance)
    {
        var random = new Random(8);
        for (int trial = 0; trial < 12; trial++)
            foreach (var layout in OperationTests.Layouts(heads: 1 + trial % 4, size: 1 + 4 * (trial % 3)))
            {
                int[] lengths = [1 + random.Next(200), 1 + random.Next(90)], divisions = [.. lengths.Select(length => random.Next(length + 1))];
                RequireCached(activations, pages, layout, lengths, divisions, random, tolerance);
            }
    }

    /// <summary>One step of sequences whose pasts end before, at and after the borders of pages, against the scalar twin of their whole.</summary>
    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.BFloat16)]
    [InlineData(DType.Float16)]
    [InlineData(DType.Int8)]
    public void A_cached_step_is_the_end_of_the_whole(DType pages)
    {
        var random = new Random(5);
        foreach (int heads in new[] { 1, 4, 12, 70 })
            foreach (int groups in new[] { 1, 2, 4 })
                foreach (int size in new[] { 1, 7, 33, 80 })
                {
                    if (heads % groups != 0 || (heads == 70 && size > 7)) continue;
                    var layout = new HeadLayout(heads, groups, size, 0, heads * size, (heads + groups) * size, size, size);
                    int[] pasts = [0, 63, 64, 65, random.Next(200)], lengths = [1 + random.Next(3), 1, 1, 1 + random.Next(70), 1];
                    for (int s = 0; s < pasts.Length; s++) (pasts[s], lengths[s]) = (Math.Min(pasts[s], 900 / heads), Math.Min(lengths[s], 300 / heads));
                    RequireStep(pages, layout, pasts, lengths, [.. pasts.Zip(lengths, (past, length) => random.Next(past + length + 2))], random);
                }
    }

    /// <summary>Few queries over a past that is cut into parts, beside one that is not.</summary>
    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.Int8)]
    public void A_long_past_is_put_together_from_parts(DType pages)
    {
        var random = new Random(6);
        foreach (var (heads, groups, size) in new[] { (4, 2, 5), (16, 1, 8), (3, 3, 16) })
            RequireStep(pages, new HeadLayout(heads, groups, size, 0, heads * size, (heads + groups) * size, size, size), [1023, 1024, 2200, 40], [1, 1, 1, 1], [0, 0, 1500, 3], random);
    }

    /// <summary>
    /// With d the largest error of a score, rounding the keys changes each weight by a factor from e^-2d to e^2d; rounding the values adds half a scale.
    /// </summary>
    [Fact]
    public void Int8_pages_stay_within_the_bound_of_their_rounding()
    {
        var random = new Random(9);
        using var workers = new Workers(2);
        foreach (int size in new[] { 1, 8, 33, 64 })
            foreach (var layout in OperationTests.Layouts(heads: 4, size))
                foreach (int tokens in new[] { 1, 3, 64, 150 })
                {
                    int width = OperationTests.Width(layout);
                    float[] values = OperationCheck.Values(Input.Of(DType.Float32, tokens, width), random);
                    float[] exact = Attend(DType.Float32), rounded = Attend(DType.Int8);
                    double largest = values.Max(Math.Abs), scoreError = largest * size * (largest / 254) / Math.Sqrt(size);
                    double bound = (Math.Exp(2 * scoreError) - 1) * largest + largest / 254 + (Isa.HasBFloat16 ? 5e-3 : 1e-5);
                    for (int i = 0; i < exact.Length; i++) Assert.InRange(rounded[i], exact[i] - bound, exact[i] + bound);
                    if (tokens > 1) Assert.NotEqual(exact, rounded);

                    float[] Attend(DType type)
                    {
                        var context = new Context(workers);
                        var pages = CachedAttentionOperation.NewPages(type, 3, layout);
                        return context.CachedAttention(context.Floats(values, tokens, width), layout, pages, [new(0, tokens, 0, tokens / 2, [2, 0, 1])]).ToArray();
                    }
                }
    }

    /// <summary>What is not a number stays visible: it does not become a number by being rounded to bytes.</summary>
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Int8_pages_hide_nothing_that_is_not_finite(float value)
    {
        using var workers = new Workers(1);
        var context = new Context(workers);
        var layout = HeadLayout.Interleaved(1, 3);
        float[] qkv = [1, 2, 3, 1, 1, 1, 4, value, 5, 1, 2, 3, 0, 0, 0, 0, 1e-38f, 0];
        float[] found = context.CachedAttention(context.Floats(qkv, 2, 9), layout, CachedAttentionOperation.NewPages(DType.Int8, 1, layout), [new(0, 2, 0, 0, [0])]).ToArray();
        Assert.All(found, x => Assert.False(float.IsFinite(x)));
    }

    [Fact]
    public void Pages_of_other_types_are_refused() =>
        Assert.Throws<ArgumentException>(() => CachedAttentionOperation.NewPages(DType.Int4, 1, HeadLayout.Interleaved(1, 2)));

    private static void RequireStep(DType pageType, HeadLayout layout, int[] pasts, int[] lengths, int[] divisions, Random random)
    {
        int width = OperationTests.Width(layout), outer = layout.Heads * layout.HeadSize;
        int pagesOfEach = Math.Max(5, pasts.Zip(lengths, (past, length) => past + length).Max() / CachedAttentionOperation.PageTokens + 1);
        using var workers = new Workers(2);
        var context = new Context(workers);
        var pages = CachedAttentionOperation.NewPages(pageType, pagesOfEach * pasts.Length, layout);
        var step = new List<CachedSequence>();
        var rows = new List<float>();
        var expected = new List<double>();
        for (int s = 0; s < pasts.Length; s++)
        {
            int past = pasts[s], length = lengths[s], total = past + length;
            float[] values = OperationCheck.Values(Input.Of(pageType.IsFloat() ? pageType : DType.Float32, total, width), random); // what the pages can hold, so that storing rounds nothing
            double[] whole = ScalarTwins.Attention(AsStored(values, pageType, layout), layout, total, [new(0, total, divisions[s])]);
            expected.AddRange(whole[(past * outer)..]);
            int[] table = [.. Enumerable.Range(0, pagesOfEach).Select(i => i * pasts.Length + s)];
            if (past > 0) context.CachedAttention(context.Floats(values.AsSpan(0, past * width), past, width), layout, pages, [new(0, past, 0, divisions[s], table)]);
            step.Add(new CachedSequence(rows.Count / width, length, past, divisions[s], table));
            rows.AddRange(values[(past * width)..]);
        }
        float[] found = context.CachedAttention(context.Floats([.. rows], rows.Count / width, width), layout, pages, [.. step]).ToArray();
        // Processors that multiply bfloat16 round queries and weights to it, each by a part of 2^-9 at most.
        OperationCheck.RequireClose($"{layout}", [.. expected], found, pageType is DType.BFloat16 or DType.Int8 && Isa.HasBFloat16 ? 5e-3 : 1e-5);
    }

    /// <summary>Where all weights are 0 or 1 and sums are integers, rounding to bfloat16 changes nothing: what is seen must be right to the last bit.</summary>
    [Theory]
    [InlineData(DType.BFloat16)]
    [InlineData(DType.Float32)]
    public void Weights_without_rounding_give_exact_results(DType pageType)
    {
        var random = new Random(8);
        using var workers = new Workers(2);
        foreach (int size in new[] { 2, 16, 34, 64, 128 })
            foreach (int past in new[] { 0, 1, 63, 100 })
                foreach (int length in new[] { 33, 64, 131 })
                    foreach (bool one in new[] { false, true })
                    {
                        // Either all keys score alike, or each query scores one key that it sees far above the others, whose keys are its opposite.
                        var layout = new HeadLayout(2, 1, size, 0, 2 * size, 3 * size, size, size);
                        int total = past + length, width = 4 * size, seen = random.Next(past + 1); // which all queries see
                        float[] qkv = new float[total * width];
                        for (int row = 0; row < total; row++)
                        {
                            float[] value = [.. Enumerable.Range(0, size).Select(_ => (float)random.Next(-9, 10))];
                            value.CopyTo(qkv, row * width + 3 * size);
                            if (!one) continue;
                            Array.Fill(qkv, 16, row * width, 2 * size);
                            Array.Fill(qkv, row == seen ? 16 : -16, row * width + 2 * size, size);
                        }
                        int pageCount = (total + CachedAttentionOperation.PageTokens - 1) / CachedAttentionOperation.PageTokens;
                        var pages = CachedAttentionOperation.NewPages(pageType, pageCount, layout);
                        var context = new Context(workers);
                        int[] table = [.. Enumerable.Range(0, pageCount).Reverse()];
                        if (past > 0) context.CachedAttention(context.Floats(qkv.AsSpan(0, past * width), past, width), layout, pages, [new(0, past, 0, 0, table)]);
                        float[] found = context.CachedAttention(context.Floats(qkv.AsSpan(past * width), length, width), layout, pages, [new(0, length, past, 0, table)]).ToArray();
                        for (int i = 0; i < length; i++)
                            for (int column = 0; column < 2 * size; column++)
                            {
                                float Value(int row) => qkv[row * width + 3 * size + column % size];
                                int visible = past + i + 1;
                                float expected = one ? Value(seen) : Enumerable.Range(0, visible).Sum(Value) * (1f / visible);
                                Assert.Equal(expected, found[i * 2 * size + column]);
                            }
                    }
    }

    /// <summary>A projection whose keys and values are what int8 pages hold of them; that of float pages as it is.</summary>
    internal static double[] AsStored(float[] qkv, DType pageType, HeadLayout layout)
    {
        double[] stored = Array.ConvertAll(qkv, x => (double)x);
        if (pageType.IsFloat()) return stored;
        for (int row = 0; row < qkv.Length; row += OperationTests.Width(layout))
            for (int group = 0; group < layout.KeyValueHeads; group++)
                foreach (int offset in new[] { layout.KeyOffset, layout.ValueOffset })
                {
                    int start = row + offset + group * layout.KeyValueStride;
                    var values = qkv.AsSpan(start, layout.HeadSize);
                    float largest = 0;
                    foreach (float value in values) largest = Math.Max(largest, Math.Abs(value));
                    for (int i = 0; i < layout.HeadSize; i++) stored[start + i] = (double)MathF.Round(values[i] * (127 / largest)) * (largest / 127);
                }
        return stored;
    }

    private static void Require(DType type, HeadLayout layout, int rows, AttentionSegment[] segments, float dropout) => OperationCheck.Require(
        (context, t) => context.Attention(t[0], layout, segments, dropout),
        x => ScalarTwins.Attention(x[0], layout, rows, segments,
            dropout == 0 ? null : (row, head, column) => OperationTests.Kept(11, 0, ((long)row * layout.Heads + head) * rows + column)),
        type, [Input.Of(type, rows, OperationTests.Width(layout))], GradientTolerance(type));

    private static void RequireCached(DType activations, DType pageType, HeadLayout layout, int[] lengths, int[] divisions, Random random, double tolerance)
    {
        int width = OperationTests.Width(layout), total = lengths.Sum();
        float[] values = OperationCheck.Values(Input.Of(activations, total, width), random);
        AttentionSegment[] segments = [new(0, lengths[0], divisions[0]), new(lengths[0], lengths[1], divisions[1])];
        double[] expected = ScalarTwins.Attention(AsStored(values, pageType, layout), layout, total, segments);
        const int PageTokens = CachedAttentionOperation.PageTokens;
        int[] pagesOf = [.. lengths.Select(length => (length + PageTokens - 1) / PageTokens)];
        int[] shuffled = [.. Enumerable.Range(0, pagesOf.Sum() + 1)];
        random.Shuffle(shuffled);
        int[][] tables = [shuffled[..pagesOf[0]], shuffled[pagesOf[0]..pagesOf.Sum()]];
        float[][] found = [.. new[] { 1, 3 }.Select(threads => Decode(threads, new Random(total)))];
        OperationCheck.RequireClose("cached attention", expected, found[0], tolerance);
        Assert.Equal(found[0], found[1]);

        float[] Decode(int threads, Random cuts)
        {
            using var workers = new Workers(threads);
            var context = new Context(workers, activations);
            var pages = CachedAttentionOperation.NewPages(pageType, shuffled.Length, layout);
            int[] done = [0, 0];
            var output = new float[expected.Length];
            while (done[0] < lengths[0] || done[1] < lengths[1])
            {
                context.Reset();
                var parts = new List<CachedSequence>();
                var rows = new List<int>();
                for (int s = 0; s < 2; s++)
                {
                    int left = lengths[s] - done[s];
                    if (left == 0) continue;
                    int part = Math.Min(left, Math.Max(1 + cuts.Next(cuts.Next(2) * left + 1), done[s] == 0 ? divisions[s] : 0));
                    parts.Add(new CachedSequence(rows.Count, part, done[s], divisions[s], tables[s]));
                    rows.AddRange(Enumerable.Range(segments[s].Start + done[s], part));
                    done[s] += part;
                }
                var qkv = context.Floats([.. rows.SelectMany(row => values[(row * width)..((row + 1) * width)])], rows.Count, width).To(activations);
                float[] result = context.CachedAttention(qkv, layout, pages, [.. parts]).ToArray();
                int outer = layout.Heads * layout.HeadSize;
                for (int i = 0; i < rows.Count; i++) result.AsSpan(i * outer, outer).CopyTo(output.AsSpan(rows[i] * outer));
            }
            return output;
        }
    }
}
