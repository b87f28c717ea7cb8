using Glm.Tensors;

namespace Glm.Tests;

/// <summary>Packed weights: what is packed, and products with them, against plain loops over the weights' values.</summary>
public sealed class KernelsPanelTests : IDisposable
{
    private static readonly int[] Outputs = [1, 2, 15, 16, 17, 33, 64, 100];
    private static readonly int[] Tokens = [1, 2, 3, 5, 8, 15, 16, 17, 31, 40];
    private readonly Workers workers = new(3);

    public static TheoryData<DType> Types => [DType.Q4_0, DType.Q8_0, DType.Int4, DType.Int8];

    public void Dispose() => workers.Dispose();

    [Theory]
    [MemberData(nameof(Types))]
    public void APackedWeightHasTheValuesOfItsRows(DType type)
    {
        var random = new Random(1);
        for (int trial = 0; trial < 60; trial++)
        {
            Tensor weight = Weight(type, Outputs[random.Next(Outputs.Length)], 1 + random.Next(5), random), packed = weight.Pack(workers);
            Assert.True(packed.IsPacked);
            Assert.Equal(weight.Shape, packed.Shape);
            for (int row = 0; row < weight.Rows; row++) Assert.Equal(Row(weight, row), Row(packed, row));
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void ProductsAgreeWithPlainSums(DType type)
    {
        var random = new Random(2);
        for (int trial = 0; trial < 40; trial++)
        {
            Tensor weight = Weight(type, Outputs[random.Next(Outputs.Length)], 1 + random.Next(9), random), packed = weight.Pack(workers);
            Tensor x = Inputs(Tokens[random.Next(Tokens.Length)], weight.Columns, random), bias = Inputs(1, weight.Rows, random).Reshape(weight.Rows);
            float[][] rows = [.. Enumerable.Range(0, weight.Rows).Select(row => Row(weight, row))];
            float[] inputs = x.ToArray(), biases = bias.ToArray();
            foreach (int bits in new[] { 8, 16 })
            {
                var context = new Context(workers) { InputBits = bits };
                float[] y = context.Linear(x, packed, bias).ToArray();
                for (int i = 0; i < x.Rows; i++)
                    for (int j = 0; j < weight.Rows; j++)
                    {
                        // An input is off by at most half a level of its block, a block by at most its largest input; binary16 weights by 2^-11.
                        double sum = biases[j], magnitude = Math.Abs(biases[j]), largest = 0;
                        for (int k = 0; k < weight.Columns; k++)
                        {
                            sum += (double)rows[j][k] * inputs[i * weight.Columns + k];
                            magnitude += Math.Abs((double)rows[j][k] * inputs[i * weight.Columns + k]);
                            largest += Math.Abs(rows[j][k]);
                        }
                        double tolerance = largest * (bits == 8 ? 4 / 254.0 : 4 / 65000.0) + magnitude * (type.IsBlock() ? 1e-5 : 1e-3) + 1e-7;
                        Assert.InRange(y[i * weight.Rows + j], sum - tolerance, sum + tolerance);
                    }
            }
        }
    }

    /// <summary>Every instruction set and generated code, any number of threads and rows together: the bits of plain loops.</summary>
    [Theory]
    [MemberData(nameof(Types))]
    public void EveryKernelGivesTheSameBits(DType type)
    {
        var random = new Random(3);
        using var one = new Workers(1);
        for (int trial = 0; trial < 40; trial++)
        {
            Tensor weight = Weight(type, Outputs[random.Next(Outputs.Length)], 1 + random.Next(9), random), packed = weight.Pack(workers);
            int tokens = Tokens[trial % Tokens.Length], planes = 1 + trial / Tokens.Length % 2;
            Tensor x = Inputs(tokens, packed.Columns, random);
            float[] expected = Plain(x, weight, planes);
            Assert.Equal(expected, Product(one, x, packed, planes, InstructionSet.Portable, CodeExtension.None));
            foreach (InstructionSet isa in Isa.Available)
                Assert.Equal(expected, Product(workers, x, packed, planes, isa, CodeExtension.None));
            if (Isa.HasVnni) Assert.Equal(expected, Product(workers, x, packed, planes, Isa.Current, CodeExtension.Vnni));
            if (Isa.HasAmx) Assert.Equal(expected, Product(workers, x, packed, planes, Isa.Current, CodeExtension.Amx));
            for (int row = 0; row < tokens; row += 3)
                Assert.Equal(expected[(row * packed.Rows)..((row + 1) * packed.Rows)], Product(workers, x.Slice(row, 1), packed, planes, Isa.Current, Isa.Extension));
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void WhatIsNotFiniteIsNotHidden(float value)
    {
        Tensor packed = Weight(DType.Q4_0, 20, 3, new Random(4)).Pack(workers), x = Inputs(3, packed.Columns, new Random(5));
        float[] inputs = x.ToArray();
        inputs[packed.Columns + 7] = value;
        x.CopyFrom(inputs);
        float[] y = new Context(workers).Linear(x, packed).ToArray();
        Assert.All(y[..20], number => Assert.True(float.IsFinite(number)));
        Assert.All(y[20..40], number => Assert.True(float.IsNaN(number)));
        Assert.All(y[40..], number => Assert.True(float.IsFinite(number)));
    }

    [Theory]
    [InlineData(DType.Float16)]
    [InlineData(DType.BFloat16)]
    public void SixteenBitActivationsAreReadAndWritten(DType activations)
    {
        var random = new Random(6);
        Tensor packed = Weight(DType.Q8_0, 50, 4, random).Pack(workers), x = Inputs(9, packed.Columns, random).To(activations);
        float[] expected = new Context(workers).Linear(x.To(DType.Float32), packed).ToArray();
        Tensor y = new Context(workers, activations).Linear(x, packed);
        Assert.Equal(activations, y.Type);
        Assert.Equal(Tensor.From(expected, 9, 50).To(activations).ToArray(), y.ToArray());
    }

    [Fact]
    public void OnlyQuantisedRowsArePacked()
    {
        Tensor packed = Weight(DType.Int8, 16, 1, new Random(7)).Pack(workers);
        Assert.Throws<InvalidOperationException>(() => packed.Pack(workers));
        Assert.Throws<InvalidOperationException>(() => Tensor.Zeros(DType.Float32, 4, 4).Pack(workers));
    }

    /// <summary>What reads elements in the order of rows refuses a packed weight instead of taking its bytes for rows.</summary>
    [Fact]
    public void PackedWeightsAreNotTakenForRows()
    {
        Tensor packed = Weight(DType.Q4_0, 16, 1, new Random(8)).Pack(workers);
        Assert.Throws<InvalidOperationException>(() => packed.ToArray());
        Assert.Throws<InvalidOperationException>(() => packed.CopyFrom(new float[packed.Count]));
        Assert.Throws<InvalidOperationException>(() => packed.Slice(0, 1));
        Assert.Throws<InvalidOperationException>(() => packed.Reshape(32, 16));
    }

    /// <summary>The definition, one number after another.</summary>
    private static float[] Plain(Tensor x, Tensor weight, int planes)
    {
        float[] inputs = x.ToArray(), scales = weight.Scales?.To(DType.Float32).ToArray() ?? [], y = new float[x.Rows * weight.Rows];
        int segments = weight.Scales is null ? 1 : scales.Length / weight.Rows, length = weight.Columns / segments;
        float levels = planes == 1 ? 127 : 32639;
        for (int i = 0; i < x.Rows; i++)
            for (int output = 0; output < weight.Rows; output++)
                for (int segment = 0; segment < segments; segment++)
                {
                    float sum = 0;
                    for (int first = segment * length; first < (segment + 1) * length; first += 32)
                    {
                        int last = Math.Min(first + 32, (segment + 1) * length), products = 0;
                        float largest = inputs[(i * weight.Columns + first)..(i * weight.Columns + last)].Max(Math.Abs), inverse = levels / largest;
                        for (int k = first; k < last; k++) products += Integer(weight, output, k) * (int)MathF.Round(inputs[i * weight.Columns + k] * inverse);
                        float product = weight.Type.IsBlock() ? products * BlockScale(weight, output, first) : products;
                        sum = MathF.FusedMultiplyAdd(product, largest / levels, sum);
                    }
                    ref float total = ref y[i * weight.Rows + output];
                    if (weight.Type.IsBlock()) total = sum;
                    else total = MathF.FusedMultiplyAdd(sum, scales[segment * weight.Rows + output], total);
                }
        return y;
    }

    /// <summary>The integer that stands for a weight that is not packed.</summary>
    private static unsafe int Integer(Tensor weight, int row, int column)
    {
        int place = column % 32;
        byte* integers = weight.Type.IsBlock() ? Block(weight, row, column) + 2 : weight.Data;
        long element = (long)row * weight.Columns + column;
        return weight.Type switch
        {
            DType.Q8_0 => (sbyte)integers[place],
            DType.Q4_0 => (place < 16 ? integers[place] & 15 : integers[place - 16] >> 4) - 8,
            DType.Int8 => (sbyte)integers[element],
            _ => element % 2 == 0 ? (sbyte)integers[element / 2] >> 4 : (sbyte)(integers[element / 2] << 4) >> 4,
        };
    }

    private static unsafe float BlockScale(Tensor weight, int row, int column) => (float)*(Half*)Block(weight, row, column);

    private static unsafe byte* Block(Tensor weight, int row, int column) => weight.Data + ((long)row * weight.Columns + column) / 32 * weight.Type.Bytes(32);

    private static unsafe float[] Product(Workers workers, Tensor x, Tensor packed, int planes, InstructionSet isa, CodeExtension extension)
    {
        Tensor y = Tensor.Zeros(DType.Float32, x.Rows, packed.Rows);
        new PanelProduct(x.AsMatrix(), packed, y.AsMatrix(), null, planes, isa, extension).Run(workers);
        return y.ToArray();
    }

    /// <summary>A random weight; those quantised by row have one to three segments, whose lengths are no multiples of a block.</summary>
    private static Tensor Weight(DType type, int outputs, int size, Random random)
    {
        if (type.IsBlock())
        {
            var blocks = Tensor.Allocate(type, outputs, size * 32);
            byte[] bytes = new byte[blocks.Bytes];
            random.NextBytes(bytes);
            int stride = (int)type.Bytes(32);
            for (int i = 0; i < bytes.Length; i += stride) BitConverter.TryWriteBytes(bytes.AsSpan(i), (Half)((random.NextSingle() - 0.5f) / 50));
            blocks.CopyBytesFrom(bytes);
            return blocks;
        }
        int segments = 1 + random.Next(3), columns = segments * 2 * (1 + random.Next(20 * size));
        var integers = Tensor.Allocate(DType.Int8, outputs, type == DType.Int4 ? columns / 2 : columns);
        byte[] data = new byte[integers.Bytes];
        random.NextBytes(data);
        integers.CopyBytesFrom(data);
        var scales = Tensor.From([.. Enumerable.Range(0, segments * outputs).Select(_ => random.NextSingle() / 100)], segments, outputs).To(DType.Float16);
        return integers.AsQuantized(outputs, columns, scales);
    }

    private static Tensor Inputs(int rows, int columns, Random random) =>
        Tensor.From([.. Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() * 2 - 1)], rows, columns);

    private static unsafe float[] Row(Tensor weight, int row)
    {
        float[] values = new float[weight.Columns];
        fixed (float* target = values)
        {
            if (weight.IsPacked) TensorRows.Read(weight, row, target);
            else Elements.Load(weight.AsMatrix(), row, 0, weight.Columns, target, Isa.Current);
        }
        return values;
    }
}
