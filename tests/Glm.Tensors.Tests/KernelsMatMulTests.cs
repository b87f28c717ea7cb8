using Glm.Tensors;

namespace Glm.Tests;

public sealed unsafe class KernelsMatMulTests : IDisposable
{
    private static readonly int[] Sizes = [1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 17, 24, 31, 33, 63, 65, 96, 127];
    private static readonly DType[] Types = [DType.Float32, DType.BFloat16, DType.Float16, DType.Int8, DType.Int4];
    private readonly Workers workers = new(3);
    private readonly Workers one = new(1);

    public void Dispose()
    {
        workers.Dispose();
        one.Dispose();
    }

    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.BFloat16)]
    [InlineData(DType.Float16)]
    [InlineData(DType.Int8)]
    [InlineData(DType.Int4)]
    public void ProductsAgreeWithTheTripleLoop(DType typeOfB)
    {
        var random = new Random(1 + (int)typeOfB);
        for (int trial = 0; trial < 200; trial++)
        {
            int m = Sizes[random.Next(Sizes.Length)], n = Sizes[random.Next(Sizes.Length)], k = Sizes[random.Next(Sizes.Length)];
            if (trial % 20 == 0) k = 700 + random.Next(100);
            if (trial % 20 == 1) m = 400 + random.Next(100);
            if (trial % 20 == 2) n = 400 + random.Next(100);
            using var memory = new KernelMemory();
            Matrix a = KernelMatrices.Random(memory, Types[random.Next(3)], m, k, random);
            Matrix b = typeOfB.IsFloat() ? KernelMatrices.Random(memory, typeOfB, k, n, random)
                : random.Next(3) > 0 ? KernelMatrices.Quantized(memory, typeOfB, n, k, random).Transposed
                : KernelMatrices.Quantized(memory, typeOfB, k, n, random);
            n = b.Columns;
            if (b.Rows != k) a = KernelMatrices.Random(memory, a.Type, m, k = b.Rows, random);
            Check(memory, a, b, random);
            memory.CheckGuards();
        }
    }

    [ExtensionFact(CodeExtension.BFloat16)]
    public void ProductsOfBFloat16AgreeWithTheTripleLoopOverRoundedNumbers() => CheckRounded(Arithmetic.BFloat16);

    [ExtensionFact(CodeExtension.Amx)]
    public void ProductsOfTilesAgreeWithTheTripleLoopOverRoundedNumbers() => CheckRounded(Arithmetic.BFloat16Tiles);

    private void CheckRounded(Arithmetic arithmetic)
    {
        var random = new Random(7);
        for (int trial = 0; trial < 300; trial++)
        {
            int m = Sizes[random.Next(Sizes.Length)], n = Sizes[random.Next(Sizes.Length)], k = Sizes[random.Next(Sizes.Length)];
            if (trial % 20 == 0) k = 1500 + random.Next(100);
            if (trial % 20 == 1) m = 400 + random.Next(100);
            if (trial % 20 == 2) n = 400 + random.Next(100);
            using var memory = new KernelMemory();
            Matrix a = KernelMatrices.Random(memory, Types[random.Next(3)], m, k, random), b = KernelMatrices.Random(memory, Types[random.Next(3)], k, n, random);
            if (trial % 10 == 3) b = KernelMatrices.Quantized(memory, Types[3 + random.Next(2)], n, k, random).Transposed;
            if (b.Rows != k) a = KernelMatrices.Random(memory, a.Type, m, k = b.Rows, random);
            n = b.Columns;
            DType type = Types[random.Next(2)];
            float alpha = random.Next(2) == 0 ? 1 : -0.7f, beta = type == DType.Float32 ? random.Next(2) : 0;
            float* bias = random.Next(2) == 0 ? null : memory.RandomFloats(n, random), before = memory.RandomFloats(m * n, random);
            double[] expected = Reference(a, b, before, n, alpha, beta, bias, value => Conversion.FromBFloat16(Conversion.ToBFloat16(value)));
            double unit = type == DType.Float32 ? 1e-6 : 1.0 / 256;
            float[]? bits = null;
            for (int way = 0; way < 3; way++)
            {
                void* result = memory.Bytes(m * n * sizeof(float), type == DType.Float32 ? 4 : 2);
                if (type == DType.Float32) new Span<float>(before, m * n).CopyTo(new Span<float>(result, m * n));
                var c = new Matrix(result, type, m, n, n);
                if (way == 2)
                    using (var scratch = new Scratch()) MatMul.MultiplySingle(scratch, a, b, c, alpha, beta, bias, InstructionSet.Avx512, arithmetic);
                else
                    MatMul.Multiply(way == 0 ? workers : one, a, b, c, alpha, beta, bias, InstructionSet.Avx512, arithmetic);
                float[] found = KernelMatrices.Values(c);
                // Products of few rows keep binary32.
                double rounding = m <= RowDots.MaxRows ? k / 64.0 : 0;
                for (int i = 0; i < found.Length; i++)
                    Assert.True(Math.Abs(found[i] - expected[i]) <= 1e-6 * (k + 2) + unit * Math.Abs(expected[i]) + rounding,
                        $"way {way}, {a.Type} x {b.Type} -> {type}, {m}x{n}x{k} at {i}: expected {expected[i]}, found {found[i]}");
                bits ??= found;
                Assert.True(bits.AsSpan().SequenceEqual(found), $"way {way}, {a.Type} x {b.Type} -> {type}, {m}x{n}x{k}: other bits");
            }
            memory.CheckGuards();
        }
    }

    [Fact]
    public void AnEmptySumLeavesBetaTimesTheResultAndTheBias()
    {
        float* result = stackalloc float[] { 1, 2, 3, 4 };
        float* bias = stackalloc float[] { 10, 20 };
        var nothing = new Matrix(null, DType.Float32, 2, 0, 0);
        MatMul.Multiply(workers, nothing, nothing.Transposed, Matrix.Dense(result, 2, 2), 1, 2, bias, Isa.Current);
        Assert.Equal([12f, 24, 16, 28], new Span<float>(result, 4).ToArray());
    }

    [Theory]
    [InlineData(0, 5)]
    [InlineData(5, 0)]
    [InlineData(20, 0)]
    [InlineData(0, 0)]
    public void ProductsWithoutElementsDoNothing(int m, int n)
    {
        using var memory = new KernelMemory();
        float* data = memory.RandomFloats(200, new Random(6));
        Matrix a = Matrix.Dense(data, m, 10), b = Matrix.Dense(data, n, 10).Transposed, c = Matrix.Dense(null, m, n);
        using var scratch = new Scratch();
        MatMul.Multiply(workers, a, b, c, 1, 0, null, Isa.Current);
        MatMul.MultiplySingle(scratch, a, b, c, 1, 0, null, Isa.Current);
        memory.CheckGuards();
    }

    [Fact]
    public void RowsDoNotDependOnHowManyAreMultipliedTogether()
    {
        var random = new Random(3);
        using var memory = new KernelMemory();
        foreach (DType type in Types)
            foreach (InstructionSet isa in Isa.Available)
            {
                const int n = 37, most = RowDots.MaxRows;
                Matrix weight = type.IsFloat() ? KernelMatrices.Random(memory, type, n, 230, random, 1) : KernelMatrices.Quantized(memory, type, n, 230, random);
                int k = weight.Columns;
                float* x = memory.RandomFloats(most * k, random), together = memory.Floats(most * n), alone = memory.Floats(n);
                for (int m = 1; m <= most; m++)
                {
                    MatMul.Multiply(workers, Matrix.Dense(x, m, k), weight.Transposed, Matrix.Dense(together, m, n), 1, 0, null, isa);
                    for (int row = 0; row < m; row++)
                    {
                        MatMul.Multiply(one, Matrix.Dense(x + row * k, 1, k), weight.Transposed, Matrix.Dense(alone, 1, n), 1, 0, null, isa);
                        Assert.True(new Span<float>(alone, n).SequenceEqual(new Span<float>(together + row * n, n)), $"{type} {isa}: row {row} of {m}");
                    }
                }
            }
    }

    /// <summary>All ways to compute one product: near the definition in double, and equal to each other bit for bit.</summary>
    private void Check(KernelMemory memory, Matrix a, Matrix b, Random random)
    {
        int m = a.Rows, n = b.Columns, k = a.Columns, stride = n + random.Next(4);
        DType type = Types[random.Next(3)];
        float alpha = random.Next(2) == 0 ? 1 : -0.7f, beta = type != DType.Float32 ? 0 : random.Next(3) switch { 0 => 0, 1 => 1, _ => 0.3f };
        float* bias = random.Next(2) == 0 ? null : memory.RandomFloats(n, random);
        float* before = memory.RandomFloats(m * stride, random);
        double[] expected = Reference(a, b, before, stride, alpha, beta, bias);
        double unit = type switch { DType.Float32 => 1e-6, DType.Float16 => 1.0 / 2048, _ => 1.0 / 256 };

        float[]? bits = null;
        foreach (InstructionSet isa in Isa.Available)
        {
            if (m <= RowDots.MaxRows) bits = null; // these depend on the width of vectors
            for (int way = 0; way < 3; way++)
            {
                void* result = memory.Bytes(m * stride * sizeof(float), type == DType.Float32 ? 4 : 2);
                if (type == DType.Float32)
                    for (int i = 0; i < m * stride; i++) ((float*)result)[i] = beta == 0 ? float.NaN : before[i];
                var c = new Matrix(result, type, m, n, stride);
                if (way == 2)
                    using (var scratch = new Scratch()) MatMul.MultiplySingle(scratch, a, b, c, alpha, beta, bias, isa);
                else
                    MatMul.Multiply(way == 0 ? workers : one, a, b, c, alpha, beta, bias, isa);
                float[] found = KernelMatrices.Values(c);
                for (int i = 0; i < found.Length; i++)
                    Assert.True(Math.Abs(found[i] - expected[i]) <= 1e-6 * (k + 2) + unit * Math.Abs(expected[i]),
                        $"{isa}, way {way}, {a.Type} x {b.Type} -> {type}, {m}x{n}x{k} at {i}: expected {expected[i]}, found {found[i]}");
                bits ??= found;
                Assert.True(bits.AsSpan().SequenceEqual(found), $"{isa}, way {way}, {a.Type} x {b.Type} -> {type}, {m}x{n}x{k}: other bits");
            }
        }
    }

    /// <summary>The definition: a triple loop in double.</summary>
    private static double[] Reference(Matrix a, Matrix b, float* c, int stride, float alpha, float beta, float* bias, Func<float, float>? round = null)
    {
        round ??= value => value;
        var result = new double[a.Rows * b.Columns];
        float[] left = KernelMatrices.Values(a), right = KernelMatrices.Values(b);
        for (int i = 0; i < a.Rows; i++)
            for (int j = 0; j < b.Columns; j++)
            {
                double sum = 0;
                for (int k = 0; k < a.Columns; k++) sum += (double)round(left[i * a.Columns + k]) * round(right[k * b.Columns + j]);
                result[i * b.Columns + j] = alpha * sum + (beta == 0 ? 0 : beta * c[i * stride + j]) + (bias is null ? 0 : bias[j]);
            }
        return result;
    }
}
