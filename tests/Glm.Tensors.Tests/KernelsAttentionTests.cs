using Glm.Tensors;

namespace Glm.Tests;

/// <summary>The innermost loop of attention against its scalar twin, bit for bit, on every instruction set.</summary>
public sealed unsafe class KernelsAttentionTests
{
    [Fact]
    public void Tiles_equal_their_scalar_twin()
    {
        var random = new Random(3);
        using var memory = new KernelMemory();
        foreach (int depth in new[] { 0, 1, 2, 7, 64, 131 })
            foreach (bool begins in new[] { true, false })
            {
                int stride = AttentionTile.Rows + random.Next(5);
                float* a = memory.RandomFloats((depth + 1) * stride, random), b = memory.RandomFloats((depth + 1) * AttentionTile.Lanes, random);
                float* factors = memory.RandomFloats(AttentionTile.Lanes, random), sums = memory.RandomFloats(AttentionTile.Rows * AttentionTile.Lanes, random);
                var expected = new float[AttentionTile.Rows * AttentionTile.Lanes];
                for (int i = 0; i < AttentionTile.Rows; i++)
                    for (int lane = 0; lane < AttentionTile.Lanes; lane++)
                    {
                        int at = i * AttentionTile.Lanes + lane;
                        expected[at] = begins ? 0 : factors[lane] * sums[at];
                        for (int k = 0; k < depth; k++) expected[at] = MathF.FusedMultiplyAdd(a[k * stride + i], b[k * AttentionTile.Lanes + lane], expected[at]);
                    }
                foreach (InstructionSet isa in Isa.Available)
                {
                    float* found = (float*)memory.Bytes(expected.Length * sizeof(float), 64);
                    new Span<float>(sums, expected.Length).CopyTo(new Span<float>(found, expected.Length));
                    AttentionTile.Run(depth, a, stride, b, begins ? null : factors, found, isa);
                    Assert.Equal(expected, new Span<float>(found, expected.Length).ToArray());
                }
            }
        memory.CheckGuards();
    }

    [ExtensionFact(CodeExtension.BFloat16)]
    public void Tiles_of_pairs_equal_their_scalar_twin()
    {
        var random = new Random(5);
        using var memory = new KernelMemory();
        foreach (int depth in new[] { 0, 1, 2, 7, 64, 131 })
            foreach (bool begins in new[] { true, false })
            {
                int stride = AttentionTile.Rows + random.Next(5);
                float* a = Pairs((depth + 1) * stride), b = Pairs((depth + 1) * AttentionTile.Lanes), factors = Integers(AttentionTile.Lanes), sums = Integers(AttentionTile.Rows * AttentionTile.Lanes);
                var expected = new float[AttentionTile.Rows * AttentionTile.Lanes];
                for (int i = 0; i < AttentionTile.Rows; i++)
                    for (int lane = 0; lane < AttentionTile.Lanes; lane++)
                    {
                        int at = i * AttentionTile.Lanes + lane;
                        expected[at] = begins ? 0 : factors[lane] * sums[at];
                        for (int k = 0; k < depth; k++)
                            for (int half = 0; half < 2; half++) expected[at] += Half(a + k * stride + i, half) * Half(b + k * AttentionTile.Lanes + lane, half);
                    }
                AttentionPairTile.Run(depth, a, stride, b, begins ? null : factors, sums);
                Assert.Equal(expected, new Span<float>(sums, expected.Length).ToArray());
            }
        memory.CheckGuards();

        // Small integers, which every order of additions gives the same sums of.
        float* Integers(int count)
        {
            float* numbers = memory.Floats(count);
            for (int i = 0; i < count; i++) numbers[i] = random.Next(-9, 10);
            return numbers;
        }

        float* Pairs(int count)
        {
            var halves = (ushort*)memory.Floats(count);
            for (int i = 0; i < 2 * count; i++) halves[i] = Conversion.ToBFloat16(random.Next(-9, 10));
            return (float*)halves;
        }

        static float Half(float* pair, int half) => Conversion.FromBFloat16(((ushort*)pair)[half]);
    }

    [Fact]
    public void Bytes_with_scales_equal_their_scalar_twins()
    {
        var random = new Random(4);
        using var memory = new KernelMemory();
        foreach (int size in new[] { 1, 7, 16, 33, 64, 80, 130 })
            foreach (int rows in new[] { 1, 2, 64 })
            {
                sbyte* codes = (sbyte*)memory.Bytes(64 * size, 1);
                for (int i = 0; i < 64 * size; i++) codes[i] = (sbyte)random.Next(-127, 128);
                float* scales = memory.RandomFloats(64, random);
                float[] keys = new float[64 * size], values = new float[rows * size];
                for (int i = 0; i < keys.Length; i++) keys[i] = scales[i % 64] * codes[i];
                for (int i = 0; i < values.Length; i++) values[i] = scales[i / size] * codes[i];
                foreach (InstructionSet isa in Isa.Available)
                {
                    float* found = memory.Floats(64 * size);
                    Int8Tokens.ExpandKeys(codes, scales, size, found, isa);
                    Assert.Equal(keys, new Span<float>(found, keys.Length).ToArray());
                    found = memory.Floats(values.Length);
                    Int8Tokens.ExpandValues(codes, scales, rows, size, found, isa);
                    Assert.Equal(values, new Span<float>(found, values.Length).ToArray());
                }
            }
        memory.CheckGuards();
    }

    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.BFloat16)]
    [InlineData(DType.Float16)]
    [InlineData(DType.Int8)]
    public void Weighted_rows_equal_their_scalar_twin(DType type)
    {
        var random = new Random(7);
        using var memory = new KernelMemory();
        foreach (int n in new[] { 1, 7, 16, 33, 64, 80, 130 })
            foreach (int depth in new[] { 0, 1, 5, 64 })
                foreach (int count in new[] { 1, 3, 4, 9 })
                {
                    int weightStride = depth + random.Next(4), stride = n + random.Next(4), xStride = n + random.Next(4);
                    float* w = memory.RandomFloats(count * weightStride + 1, random), start = memory.RandomFloats(count * stride, random);
                    byte* x = (byte*)memory.Bytes((int)type.Bytes(depth * xStride + 1), (int)type.Bytes(1));
                    float[] values = [.. Enumerable.Range(0, depth * xStride).Select(_ => (float)random.Next(-127, 128))]; // exact in every type
                    for (int i = 0; i < values.Length; i++) Put(x, type, i, values[i]);
                    float[] expected = new Span<float>(start, count * stride).ToArray();
                    for (int row = 0; row < count; row++)
                        for (int i = 0; i < n; i++)
                        {
                            float sum = 0;
                            for (int j = 0; j < depth; j++) sum = MathF.FusedMultiplyAdd(w[row * weightStride + j], values[j * xStride + i], sum);
                            expected[row * stride + i] += sum;
                        }
                    foreach (InstructionSet isa in Isa.Available)
                    {
                        float* found = memory.Floats(count * stride);
                        new Span<float>(start, count * stride).CopyTo(new Span<float>(found, count * stride));
                        WeightedRows.Add(w, weightStride, count, x, type, xStride, depth, found, stride, n, x, isa);
                        Assert.Equal(expected, new Span<float>(found, count * stride).ToArray());
                    }
                }
        memory.CheckGuards();
    }

    private static void Put(byte* x, DType type, int index, float value)
    {
        switch (type)
        {
            case DType.Float32: ((float*)x)[index] = value; break;
            case DType.BFloat16: ((ushort*)x)[index] = Conversion.ToBFloat16(value); break;
            case DType.Float16: ((Half*)x)[index] = (Half)value; break;
            default: ((sbyte*)x)[index] = (sbyte)value; break;
        }
    }

    [Fact]
    public void A_token_is_rounded_to_nearest_even()
    {
        var random = new Random(5);
        using var memory = new KernelMemory();
        foreach (int size in new[] { 1, 5, 16, 17, 128 })
            foreach (float factor in new[] { 1e-20f, 1, 1e20f })
            {
                float* x = memory.RandomFloats(size, random);
                for (int i = 0; i < size; i++) x[i] *= factor;
                sbyte* codes = (sbyte*)memory.Bytes(size, 1);
                float scale = Int8Tokens.Quantize(x, size, codes), largest = 0;
                for (int i = 0; i < size; i++) largest = MathF.Max(largest, MathF.Abs(x[i]));
                Assert.Equal(largest / 127, scale);
                for (int i = 0; i < size; i++) Assert.Equal(MathF.Round(x[i] * (127 / largest)), codes[i]);
            }
        float* small = memory.Floats(4);
        sbyte* rounded = (sbyte*)memory.Bytes(4, 1);
        new float[] { 254, 1, 3, -5 }.CopyTo(new Span<float>(small, 4)); // halves: 0.5, 1.5, -2.5
        Assert.Equal(2, Int8Tokens.Quantize(small, 4, rounded));
        Assert.Equal(new sbyte[] { 127, 0, 2, -2 }, new Span<sbyte>(rounded, 4).ToArray());
        new Span<float>(small, 4).Fill(1e-31f);
        Assert.Equal(0, Int8Tokens.Quantize(small, 4, rounded));
        Assert.Equal(new sbyte[4], new Span<sbyte>(rounded, 4).ToArray());
        memory.CheckGuards();
    }
}
