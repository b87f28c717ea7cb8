using Glm.Tensors;

namespace Glm.Tests;

public sealed unsafe class KernelsMatMulTests : IDisposable
{
    private static readonly int[] Sizes = [1, 2, 3, 5, 7, 9, 12, 13, 17, 24, 31, 33, 63, 65, 96, 127];
    private readonly Workers workers = new(3);
    private readonly Workers one = new(1);

    public void Dispose()
    {
        workers.Dispose();
        one.Dispose();
    }

    /// <summary>The definition: a triple loop in double.</summary>
    private static double[] Reference(Matrix a, Matrix b, Func<int, int, double> c, float alpha, float beta, float* bias)
    {
        var result = new double[a.Rows * b.Columns];
        for (int i = 0; i < a.Rows; i++)
            for (int j = 0; j < b.Columns; j++)
            {
                double sum = 0;
                for (int k = 0; k < a.Columns; k++) sum += (double)*(float*)a.At(i, k) * *(float*)b.At(k, j);
                result[i * b.Columns + j] = alpha * sum + (beta == 0 ? 0 : beta * c(i, j)) + (bias is null ? 0 : bias[j]);
            }
        return result;
    }

    [Fact]
    public void Float32ProductsOfAllLayoutsAgreeWithTheTripleLoop()
    {
        var random = new Random(1);
        for (int trial = 0; trial < 300; trial++)
        {
            int m = Sizes[random.Next(Sizes.Length)], n = Sizes[random.Next(Sizes.Length)], k = Sizes[random.Next(Sizes.Length)];
            if (trial % 20 == 0) k = 1000 + random.Next(100);
            if (trial % 20 == 1) m = 400 + random.Next(100);
            if (trial % 20 == 2) n = 400 + random.Next(100);
            using var memory = new KernelMemory();
            Matrix a = Random(memory, m, k, random), b = Random(memory, k, n, random);
            float alpha = random.Next(2) == 0 ? 1 : -0.7f, beta = random.Next(3) switch { 0 => 0, 1 => 1, _ => 0.3f };
            float* bias = random.Next(2) == 0 ? null : memory.RandomFloats(n, random);
            int stride = n + random.Next(4);
            float* before = memory.RandomFloats(m * stride, random);
            double[] expected = Reference(a, b, (i, j) => before[i * stride + j], alpha, beta, bias);

            float[]? bits = null;
            foreach (InstructionSet isa in Isa.Available)
                for (int way = 0; way < 3; way++)
                {
                    float* result = memory.Floats(m * stride);
                    new Span<float>(before, m * stride).CopyTo(new Span<float>(result, m * stride));
                    if (beta == 0) new Span<float>(result, m * stride).Fill(float.NaN);
                    var c = new Matrix(result, DType.Float32, m, n, stride);
                    if (way == 2)
                        using (var scratch = new Scratch()) MatMul.MultiplySingle(scratch, a, b, c, alpha, beta, bias, isa);
                    else
                        MatMul.Multiply(way == 0 ? workers : one, a, b, c, alpha, beta, bias, isa);
                    var found = new float[m * n];
                    for (int i = 0; i < m; i++) new Span<float>(result + i * stride, n).CopyTo(found.AsSpan(i * n));
                    for (int i = 0; i < found.Length; i++)
                        Assert.True(Math.Abs(found[i] - expected[i]) <= 1e-6 * (k + 2), $"{isa} {m}x{n}x{k} at {i}: expected {expected[i]}, found {found[i]}");
                    bits ??= found;
                    Assert.True(bits.AsSpan().SequenceEqual(found), $"{isa}, way {way}, {m}x{n}x{k}: other bits");
                }
            memory.CheckGuards();
        }
    }

    /// <summary>A random matrix, plain or transposed, part of a larger one, or with every second element skipped.</summary>
    private static Matrix Random(KernelMemory memory, int rows, int columns, Random random)
    {
        if (random.Next(2) == 0) return Random(memory, columns, rows, random, random.Next(3)).Transposed;
        return Random(memory, rows, columns, random, random.Next(3));
    }

    private static Matrix Random(KernelMemory memory, int rows, int columns, Random random, int kind)
    {
        int step = kind == 2 ? 2 : 1, stride = columns * step + (kind == 0 ? 0 : 5);
        return new Matrix(memory.RandomFloats(rows * stride, random), DType.Float32, rows, columns, stride, step);
    }
}
