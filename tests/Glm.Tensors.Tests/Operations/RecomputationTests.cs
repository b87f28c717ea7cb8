using Glm.Tensors;

namespace Glm.Tests;

public sealed class RecomputationTests
{
    /// <summary>A stack of small layers with dropout: values and gradients with and without recomputation are the same bits.</summary>
    [Theory]
    [InlineData(DType.Float32, 1)]
    [InlineData(DType.BFloat16, 1)]
    [InlineData(DType.Float32, 3)]
    public void Changes_no_bit(DType type, int threads)
    {
        var kept = Run(type, threads, recompute: false);
        var recomputed = Run(type, threads, recompute: true);
        Assert.Equal(kept.Output, recomputed.Output);
        for (int i = 0; i < kept.Gradients.Length; i++) Assert.True(kept.Gradients[i].AsSpan().SequenceEqual(recomputed.Gradients[i]), $"gradient {i}");
        Assert.All(kept.Gradients, gradient => Assert.Contains(gradient, g => g != 0));
    }

    [Fact]
    public void Keeps_less()
    {
        Assert.True(Run(DType.Float32, 1, recompute: true).Kept < Run(DType.Float32, 1, recompute: false).Kept / 2);
    }

    private static (float[] Output, float[][] Gradients, long Kept) Run(DType type, int threads, bool recompute)
    {
        const int Rows = 33, Width = 6;
        var random = new Random(4);
        Tensor Parameter(params int[] shape)
        {
            var tensor = Tensor.From(OperationCheck.Values(Input.Of(DType.Float32, shape), random), shape);
            tensor.RequiresGradient = true;
            tensor.Gradient = Tensor.Zeros(DType.Float32, shape);
            return tensor;
        }
        Tensor x = Parameter(Rows, Width), gain = Parameter(Width), bias = Parameter(Width), qkv = Parameter(3 * Width, Width), up = Parameter(4 * Width, Width), down = Parameter(Width, 2 * Width);
        using var workers = new Workers(threads);
        var context = new Context(workers, type) { Seed = 3 };
        Tensor Layer(Tensor input)
        {
            var a = context.LayerNorm(input, gain, bias, 1e-5f);
            var attended = context.Attention(context.Linear(a, qkv), HeadLayout.Interleaved(2, Width / 2), [new(0, Rows, 7)], dropout: 0.2f);
            var m = context.Residual(a, context.Dropout(attended, 0.1f), 2);
            return context.Residual(m, context.Dropout(context.Linear(context.GeGlu(context.Linear(m, up)), down), 0.1f), 2);
        }
        context.Record();
        Tensor y = context.Residual(x, x, 0);
        for (int layer = 0; layer < 3; layer++) y = recompute ? context.Recompute(y, Layer) : Layer(y);
        float[] output = y.ToArray();
        long kept = context.Arena.Mark.Used;
        OperationCheck.Backward(context, y, OperationCheck.Values(Input.Of(DType.Float32, Rows, Width), random));
        return (output, [.. new[] { x, gain, bias, qkv, up, down }.Select(t => t.Gradient!.ToArray())], kept);
    }
}
