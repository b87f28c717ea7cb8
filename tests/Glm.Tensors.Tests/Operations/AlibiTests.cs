using Glm.Tensors;

namespace Glm.Tests;

/// <summary>Attention whose scores fall with the distance of the key, against the scalar twin.</summary>
public sealed class AlibiTests
{
    [Theory]
    [InlineData(DType.Float32, 0)]
    [InlineData(DType.BFloat16, 0)]
    [InlineData(DType.Float32, 0.25f)]
    public void Whole_sequences(DType type, float dropout)
    {
        AttentionSegment[] segments = [new(0, 17, 5), new(17, 1, 0), new(20, 9, 0)];
        foreach (int size in new[] { 1, 3, 8 })
            foreach (var layout in OperationTests.Layouts(heads: 4, size)) Require(type, layout, 30, segments, dropout);
        Require(type, HeadLayout.Interleaved(2, 3), 70, [new(0, 70, 0)], dropout);
    }

    /// <summary>A sequence in parts over the cache, past the borders of pages, of blocks of rows and of the parts that a long past is cut into.</summary>
    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.Int8)]
    public void Cached_in_parts(DType type)
    {
        var random = new Random(3);
        using var workers = new Workers(2);
        foreach (var layout in OperationTests.Layouts(heads: 6, size: 5))
            foreach (int length in new[] { 1, 63, 65, 200, 1100 })
            {
                if (length > 1000 && layout.GroupHeads == 1) continue; // the scalar twin takes its time
                int width = OperationTests.Width(layout), outer = layout.Heads * layout.HeadSize;
                var slopes = Slopes(layout.Heads);
                float[] values = OperationCheck.Values(Input.Of(DType.Float32, length, width), random);
                double[] expected = ScalarTwins.Attention(AttentionTests.AsStored(values, type, layout), layout, length, [new(0, length, 0)], slopes: slopes.ToArray());
                var context = new Context(workers);
                int pages = (length + CachedAttentionOperation.PageTokens - 1) / CachedAttentionOperation.PageTokens;
                int[] table = [.. Enumerable.Range(0, pages).Reverse()];
                var cache = CachedAttentionOperation.NewPages(type, pages, layout);
                var found = new float[length * outer];
                for (int past = 0, count; past < length; past += count)
                {
                    count = past > 1040 ? 1 : Math.Min(length - past, 1 + random.Next(90));
                    var qkv = context.Floats(values.AsSpan(past * width, count * width), count, width);
                    context.CachedAttention(qkv, layout, cache, [new CachedSequence(0, count, past, 0, table)], slopes).CopyTo(found.AsSpan(past * outer, count * outer));
                }
                OperationCheck.RequireClose($"{layout}, {length} tokens", expected, found, 2e-5);
            }
    }

    private static void Require(DType type, HeadLayout layout, int rows, AttentionSegment[] segments, float dropout)
    {
        var slopes = Slopes(layout.Heads);
        OperationCheck.Require(
            (context, t) => context.Attention(t[0], layout, segments, dropout, slopes),
            x => ScalarTwins.Attention(x[0], layout, rows, segments,
                dropout == 0 ? null : (row, head, column) => OperationTests.Kept(11, 0, ((long)row * layout.Heads + head) * rows + column), slopes.ToArray()),
            type, [Input.Of(type, rows, OperationTests.Width(layout))], type == DType.Float32 ? 5e-5 : 1e-2);
    }

    private static Tensor Slopes(int heads) => Tensor.From([.. Enumerable.Range(1, heads).Select(head => MathF.Pow(0.6f, head))], heads);
}
