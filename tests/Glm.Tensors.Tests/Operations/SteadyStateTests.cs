using Glm.Tensors;

namespace Glm.Tests;

/// <summary>What is repeated allocates nothing on the managed heap.</summary>
public sealed unsafe class SteadyStateTests
{
    private const int Hidden = 64, Inner = 96, Heads = 8, Groups = 2, HeadSize = 8, Vocabulary = 50;

    [Theory]
    [InlineData(DType.Float32, DType.Float32, DType.Float32, 3)]
    [InlineData(DType.BFloat16, DType.BFloat16, DType.BFloat16, 3)]
    [InlineData(DType.BFloat16, DType.Int8, DType.BFloat16, 3)]
    [InlineData(DType.Float32, DType.Int4, DType.Int8, 3)]
    [InlineData(DType.BFloat16, DType.Float16, DType.Int8, 70)]
    public void Decoding_allocates_nothing(DType activations, DType weights, DType cache, int tokens)
    {
        using var workers = new Workers(2);
        var context = new Context(workers, activations);
        var layout = new HeadLayout(Heads, Groups, HeadSize, 0, Heads * HeadSize, (Heads + Groups) * HeadSize, HeadSize, HeadSize);
        Tensor embedding = Random(DType.BFloat16, Vocabulary, Hidden), gain = Random(DType.Float32, Hidden), bias = Random(DType.Float32, Hidden);
        Tensor qkvWeight = Weight(weights, (Heads + 2 * Groups) * HeadSize, Hidden), qkvBias = Random(DType.Float32, (Heads + 2 * Groups) * HeadSize);
        Tensor dense = Weight(weights, Hidden, Heads * HeadSize), up = Weight(weights, 2 * Inner, Hidden), down = Weight(weights, Hidden, Inner);
        Tensor cos = Random(DType.Float32, tokens, HeadSize / 2), sin = Random(DType.Float32, tokens, HeadSize / 2);
        var pages = CachedAttentionOperation.NewPages(cache, 8, layout);
        int[] ids = [.. Enumerable.Range(0, tokens).Select(i => i % Vocabulary)], positions = [.. Enumerable.Range(0, tokens)];
        CachedSequence[] sequences = [new(0, tokens - 1, 90, 0, new List<int> { 3, 0, 5, 1 }), new(tokens - 1, 1, 63, 20, [2])];
        float[] logits = new float[2 * Vocabulary];
        RequireSteady(workers, () =>
        {
            context.Reset();
            Tensor x = context.Dropout(context.Embedding(embedding, context.Integers(ids)), 0.1f), position = context.Integers(positions);
            for (int layer = 0; layer < 3; layer++)
            {
                var mark = context.Arena.Mark;
                var a = context.LayerNorm(x, gain, bias, 1e-5f);
                var qkv = context.Rotary(context.Linear(a, qkvWeight, qkvBias), layout, position, cos, sin);
                var m = context.Residual(a, context.Linear(context.CachedAttention(qkv, layout, pages, sequences), dense, bias), 2);
                x.CopyFrom(context.Residual(m, context.Linear(context.GeGlu(context.Linear(m, up)), down, bias), 2));
                context.Arena.Release(mark);
            }
            context.Linear(context.SelectRows(x, context.Integers([tokens - 2, tokens - 1])), embedding, outputType: DType.Float32).CopyTo(logits);
        });
        Assert.All(logits, logit => Assert.True(float.IsFinite(logit)));
    }

    [Fact]
    public void Scoring_allocates_nothing()
    {
        using var workers = new Workers(2);
        var context = new Context(workers);
        AttentionSegment[] segments = [new(0, 30, 10), new(30, 39, 0)];
        Tensor qkv = Random(DType.Float32, 70, 3 * Hidden), embedding = Random(DType.Float32, Vocabulary, Hidden);
        int[] targets = new int[70];
        float[] weights = new float[70];
        RequireSteady(workers, () =>
        {
            context.Reset();
            var attended = context.Attention(qkv, HeadLayout.Interleaved(Heads, HeadSize), segments);
            context.CrossEntropy(context.Linear(attended, embedding, outputType: DType.Float32), context.Integers(targets), context.Floats(weights, 70));
        });
    }

    [Fact]
    public void A_tensor_is_handed_out_again_as_new()
    {
        using var workers = new Workers(1);
        var context = new Context(workers);
        var first = context.Arena.Allocate(DType.Float32, 2, 3);
        var mark = context.Arena.Mark;
        var second = context.Arena.Allocate(DType.Float32, 4);
        (second.Gradient, second.RequiresGradient) = (first, true);
        context.Arena.Release(mark);
        Assert.Same(second, context.Arena.Allocate(DType.Float32, 4));
        Assert.Null(second.Gradient);
        Assert.False(second.RequiresGradient);
        context.Reset();
        var other = context.Arena.Allocate(DType.Float32, 3, 2);
        Assert.Equal([3, 2], other.Shape.ToArray());
        Assert.NotSame(second, context.Arena.Allocate(DType.BFloat16, 4));
        Assert.Equal([2, 3], first.Shape.ToArray());
    }

    /// <summary>
    /// After a warm-up, no thread of the pool allocates in a hundred repetitions. (The host of the tests has other threads, which do.) The runtime itself
    /// allocates a little, once, when it replaces code by faster code; so two more windows of a hundred may show that it was not the step.
    /// </summary>
    private static void RequireSteady(Workers workers, Action step)
    {
        long[] before = new long[workers.Threads], after = new long[workers.Threads];
        ReadAllocated(workers, after);
        for (int i = 0; i < 100; i++) step();
        for (int window = 0; window < 3; window++)
        {
            ReadAllocated(workers, before);
            for (int i = 0; i < 100; i++) step();
            ReadAllocated(workers, after);
            if (before.AsSpan().SequenceEqual(after)) return;
        }
        Assert.Equal(before, after);
    }

    private static void ReadAllocated(Workers workers, long[] bytes)
    {
        int arrived = 0;
        workers.For(workers.Threads, new AllocatedBytes(bytes, &arrived));
    }

    /// <summary>Every thread waits in its item for the others, so that each takes one.</summary>
    private readonly struct AllocatedBytes(long[] bytes, int* arrived) : ILoopBody
    {
        public void Invoke(int item, int worker)
        {
            Interlocked.Increment(ref *arrived);
            while (Volatile.Read(ref *arrived) < bytes.Length) Thread.SpinWait(10);
            bytes[worker] = GC.GetAllocatedBytesForCurrentThread();
        }
    }

    private static Tensor Random(DType type, params int[] shape) => Tensor.From(OperationCheck.Values(Input.Of(type, shape), new Random(1)), shape).To(type);

    private static Tensor Weight(DType type, int rows, int columns)
    {
        if (type.IsFloat()) return Random(type, rows, columns);
        byte[] packed = new byte[type.Bytes(rows * columns)];
        new Random(2).NextBytes(packed);
        var bytes = Tensor.Allocate(DType.Int8, rows, packed.Length / rows);
        bytes.CopyBytesFrom(packed);
        var scales = Tensor.Allocate(DType.Float32, rows);
        TensorMath.Fill(scales, 0.001f);
        return bytes.AsQuantized(rows, columns, scales.To(DType.Float16));
    }
}
