using Glm.Tensors;

namespace Glm.Tests;

/// <summary>Forward and backward of every operation but attention, against its scalar twin.</summary>
public sealed class OperationTests
{
    private static readonly int[] Sizes = [1, 3, 17, 33];

    public static TheoryData<DType> Types => [DType.Float32, DType.BFloat16];

    public static TheoryData<DType, int, int> Shapes
    {
        get
        {
            var shapes = new TheoryData<DType, int, int>();
            foreach (var type in new[] { DType.Float32, DType.BFloat16 })
                foreach (int rows in Sizes)
                    foreach (int columns in Sizes) shapes.Add(type, rows, columns);
            return shapes;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Linear(DType type, int rows, int inner)
    {
        foreach (int outer in new[] { 1, 17, 33 })
            OperationCheck.Require(
                (context, t) => context.Linear(t[0], t[1], t[2], weightGradientScale: 0.25f),
                x => ScalarTwins.Linear(x[0], x[1], x[2], inner),
                type, [Input.Of(type, rows, inner), new(type, [outer, inner], Factor: 0.25), Input.Of(DType.Float32, outer)]);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Linear_without_bias_and_with_an_output_type(DType type) => OperationCheck.Require(
        (context, t) => context.Linear(t[0], t[1], outputType: DType.Float32),
        x => ScalarTwins.Linear(x[0], x[1], null, 17), type, [Input.Of(type, 3, 17), Input.Of(type, 33, 17)]);

    /// <summary>The addition of a frozen weight is two products more, which are trained.</summary>
    [Theory]
    [InlineData(1, 1, 1, 1)]
    [InlineData(5, 19, 33, 3)]
    [InlineData(40, 64, 17, 8)]
    public void Linear_with_an_addition(int rows, int inner, int outer, int rank)
    {
        float[] values = OperationCheck.Values(Input.Of(DType.Float32, outer, inner), new Random(7));
        var weight = Tensor.From(values, outer, inner);
        double[] exact = Array.ConvertAll(values, value => (double)value);
        OperationCheck.Require(
            (context, t) => context.Linear(t[0], weight.With(new LowRank(t[1], t[2])), t[3]),
            x => [.. ScalarTwins.Linear(x[0], exact, x[3], inner).Zip(ScalarTwins.Linear(ScalarTwins.Linear(x[0], x[1], null, inner), x[2], null, rank), (a, b) => a + b)],
            DType.Float32, [Input.Of(DType.Float32, rows, inner), Input.Of(DType.Float32, rank, inner), Input.Of(DType.Float32, outer, rank), Input.Of(DType.Float32, outer)]);
        Assert.Throws<ArgumentException>(() => weight.With(new LowRank(Tensor.Zeros(DType.Float32, rank, inner + 1), Tensor.Zeros(DType.Float32, outer, rank))));
    }

    /// <summary>A frozen quantised weight passes gradients on; its value is fp16(integer x scale), one scale per row and input segment.</summary>
    [Theory]
    [InlineData(DType.Float32, false, 1)]
    [InlineData(DType.Float32, true, 1)]
    [InlineData(DType.Float32, true, 3)]
    [InlineData(DType.BFloat16, false, 3)]
    [InlineData(DType.BFloat16, true, 1)]
    public void Linear_with_a_quantised_weight(DType type, bool int4, int segments)
    {
        const int Outer = 17, Inner = 36;
        var random = new Random(3);
        byte[] packed = new byte[Outer * (int4 ? Inner / 2 : Inner)];
        random.NextBytes(packed);
        float[] scales = [.. Enumerable.Range(0, segments * Outer).Select(_ => (float)(Half)(random.NextSingle() / 64))];
        double[] weight = [.. Enumerable.Range(0, Outer * Inner).Select(i =>
        {
            int row = i / Inner, column = i % Inner;
            int q = !int4 ? (sbyte)packed[i] : column % 2 == 0 ? (sbyte)packed[i / 2] >> 4 : (sbyte)(packed[i / 2] << 4) >> 4;
            return (double)(Half)(q * scales[column / (Inner / segments) * Outer + row]);
        })];
        var bytes = Tensor.Allocate(DType.Int8, Outer, packed.Length / Outer);
        bytes.CopyBytesFrom(packed);
        var quantized = bytes.AsQuantized(Outer, Inner, Tensor.From(scales, segments, Outer).To(DType.Float16));
        OperationCheck.Require(
            (context, t) => context.Linear(t[0], quantized, t[1]), x => ScalarTwins.Linear(x[0], weight, x[1], Inner),
            type, [Input.Of(type, 3, Inner), Input.Of(DType.Float32, Outer)]);
    }

    /// <summary>Gradients pass through weights of every packed kind as through the numbers that they stand for, several pieces of rows included.</summary>
    [Theory]
    [InlineData(DType.Q4_0, 33, 64)]
    [InlineData(DType.Q8_0, 600, 32)]
    [InlineData(DType.Int8, 530, 36)]
    [InlineData(DType.Int4, 40, 66)]
    public void Gradients_pass_through_packed_weights(DType type, int outer, int inner)
    {
        using var workers = new Workers(2);
        var context = new Context(workers);
        var random = new Random(6);
        byte[] bytes = new byte[type.Bytes((long)outer * inner)];
        random.NextBytes(bytes);
        Tensor weight;
        if (type.IsBlock())
        {
            weight = Tensor.Allocate(type, outer, inner);
            weight.CopyFrom(OperationCheck.Values(Input.Of(DType.Float32, outer, inner), random));
        }
        else
        {
            var stored = Tensor.Allocate(DType.Int8, outer, bytes.Length / outer);
            stored.CopyBytesFrom(bytes);
            weight = stored.AsQuantized(outer, inner, Tensor.From([.. Enumerable.Range(0, outer).Select(_ => random.NextSingle() / 64)], outer).To(DType.Float16));
        }
        float[] x = OperationCheck.Values(Input.Of(DType.Float32, 5, inner), random), dy = OperationCheck.Values(Input.Of(DType.Float32, 5, outer), random);
        float[] expected = Gradient(weight), found = Gradient(weight.Pack(workers));
        OperationCheck.RequireClose("gradient", Array.ConvertAll(expected, g => (double)g), found, 1e-6);
        Assert.Contains(expected, g => Math.Abs(g) > 0.1);

        float[] Gradient(Tensor matrix)
        {
            var input = Tensor.From(x, 5, inner);
            input.RequiresGradient = true;
            context.Reset();
            context.Record();
            // Twice, so that the second gradient is added to the first.
            var y = context.Residual(context.Linear(input, matrix), context.Linear(input, matrix), 0.5f);
            OperationCheck.Backward(context, y, dy);
            return input.Gradient!.ToArray();
        }
    }

    [Fact]
    public void Rows_put_before_others_have_their_part_of_the_gradient() => OperationCheck.Require(
        (context, t) => context.Prepend(t[0], t[1]), x => [.. x[0], .. x[1]], DType.Float32, [Input.Of(DType.Float32, 2, 17), Input.Of(DType.Float32, 3, 17)]);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void LayerNorm(DType type, int rows, int columns)
    {
        if (columns == 1) return; // a row of one number is all bias, and its gradient nothing but rounding
        OperationCheck.Require(
            (context, t) => context.LayerNorm(t[0], t[1], t[2], 1e-2f), x => ScalarTwins.LayerNorm(x[0], x[1], x[2], 1e-2f),
            type, [Input.Of(type, rows, columns), Input.Of(DType.Float32, columns), Input.Of(DType.Float32, columns)]);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void RmsNorm(DType type, int rows, int columns) => OperationCheck.Require(
        (context, t) => context.RmsNorm(t[0], t[1], 1e-2f), x => ScalarTwins.RmsNorm(x[0], x[1], 1e-2f),
        type, [Input.Of(type, rows, columns), Input.Of(DType.Float32, columns)]);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void SwiGlu(DType type, int rows, int inner) => OperationCheck.Require(
        (context, t) => context.SwiGlu(t[0]), x => ScalarTwins.SwiGlu(x[0], inner), type, [Input.Single(type, rows, 2 * inner)]);

    [Fact]
    public void SwiGlu_of_far_gates_is_finite()
    {
        using var workers = new Workers(1);
        var y = new Context(workers).SwiGlu(Tensor.From([-1e4f, -90, 90, 1e4f, 1, 1, 1, 1], 1, 8)).ToArray();
        Assert.Equal([0f, 0f, 90f, 1e4f], Array.ConvertAll(y, v => MathF.Abs(v) < 1e-30f ? 0 : v));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void GeGlu(DType type, int rows, int inner) => OperationCheck.Require(
        (context, t) => context.GeGlu(t[0]), x => ScalarTwins.GeGlu(x[0], inner), type, [Input.Single(type, rows, 2 * inner)]);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void GeluTanh(DType type, int rows, int columns) => OperationCheck.Require(
        (context, t) => context.GeluTanh(t[0]), x => ScalarTwins.GeluTanh(x[0]), type, [Input.Single(type, rows, columns)]);

    [Fact]
    public void GeluTanh_of_far_numbers_is_finite()
    {
        using var workers = new Workers(1);
        var y = new Context(workers).GeluTanh(Tensor.From([-1e4f, -90, 90, 1e4f], 1, 4)).ToArray();
        Assert.Equal([0f, 0f, 90f, 1e4f], Array.ConvertAll(y, v => MathF.Abs(v) < 1e-30f ? 0 : v));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Relu(DType type, int rows, int columns) => OperationCheck.Require(
        (context, t) => context.Relu(t[0]), x => Array.ConvertAll(x[0], v => Math.Max(0, v)), type, [Input.Single(type, rows, columns)]);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Residual(DType type, int rows, int columns) => OperationCheck.Require(
        (context, t) => context.Residual(t[0], t[1], 2.5f), x => [.. x[0].Zip(x[1], (a, f) => 2.5 * a + f)],
        type, [Input.Of(type, rows, columns), Input.Of(type, rows, columns)]);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Embedding(DType type, int count, int columns)
    {
        int[] ids = Ids(count, below: 7);
        OperationCheck.Require(
            (context, t) => context.Embedding(t[0], context.Integers(ids), 0.1f), x => ScalarTwins.Select(x[0], ids, columns),
            type, [new(type, [7, columns], Factor: 0.1f)]);
    }

    [Fact]
    public void Embedding_from_a_row_on()
    {
        int[] ids = Ids(9, below: 5);
        OperationCheck.Require(
            (context, t) => context.Embedding(t[0], context.Integers(ids), firstRow: 2), x => ScalarTwins.Select(x[0], Array.ConvertAll(ids, id => id + 2), 3),
            DType.Float32, [Input.Of(DType.Float32, 7, 3)]);
        using var workers = new Workers(1);
        var context = new Context(workers);
        Assert.Throws<GlmException>(() => context.Embedding(Tensor.Zeros(DType.Float32, 7, 3), context.Integers([5]), firstRow: 2));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void SelectRows(DType type, int count, int columns)
    {
        int[] rows = Ids(count, below: 33);
        OperationCheck.Require(
            (context, t) => context.SelectRows(t[0], context.Integers(rows)), x => ScalarTwins.Select(x[0], rows, columns), type, [Input.Of(type, 33, columns)]);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void CrossEntropy(DType type, int rows, int vocabulary)
    {
        int[] targets = Ids(rows, below: vocabulary);
        float[] weights = [.. Enumerable.Range(0, rows).Select(i => i % 3 / 2f)];
        OperationCheck.Require(
            (context, t) => context.CrossEntropy(t[0], context.Integers(targets), context.Floats(weights, rows)).Loss,
            x => ScalarTwins.CrossEntropy(x[0], targets, weights), type, [Input.Single(DType.Float32, rows, vocabulary)]);
    }

    [Fact]
    public void CrossEntropy_of_far_logits_is_finite()
    {
        using var workers = new Workers(1);
        var context = new Context(workers);
        var (_, losses) = context.CrossEntropy(Tensor.From([1e4f, -1e4f, 0, -1e30f, 1e30f, 0], 2, 3), context.Integers([1, 1]), context.Floats([1, 1], 2));
        Assert.Equal([2e4f, 0f], losses.ToArray());
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Dropout(DType type, int rows, int columns) => OperationCheck.Require(
        (context, t) => context.Dropout(t[0], 0.25f), x => [.. x[0].Select((v, i) => v * Kept(11, 0, i))], type, [Input.Of(type, rows, columns)]);

    [Fact]
    public void Dropout_drops_the_share_that_it_is_told_to_and_nothing_outside_training()
    {
        using var workers = new Workers(2);
        var context = new Context(workers) { Seed = 5 };
        var x = Tensor.Allocate(DType.Float32, 100, 1000);
        TensorMath.Fill(x, 1);
        Assert.Same(x, context.Dropout(x, 0.1f));
        context.Record();
        float[] y = context.Dropout(x, 0.1f).ToArray();
        Assert.InRange(y.Count(v => v == 0), 9_500, 10_500); // five standard deviations of 95
        Assert.All(y.Where(v => v != 0), v => Assert.Equal(1 / 0.9f, v));
        Assert.NotEqual(y, context.Dropout(x, 0.1f).ToArray());
    }

    [Theory]
    [InlineData(DType.Float32, 1, 1, 2)]
    [InlineData(DType.Float32, 33, 3, 6)]
    [InlineData(DType.Float32, 3, 2, 34)]
    [InlineData(DType.BFloat16, 17, 4, 8)]
    public void Rotary(DType type, int rows, int heads, int size)
    {
        foreach (var layout in Layouts(heads, size))
        {
            int[] positions = Ids(rows, below: 9);
            float[] angles = [.. Enumerable.Range(0, 9 * size / 2).Select(i => i * 0.37f)], cos = Array.ConvertAll(angles, MathF.Cos), sin = Array.ConvertAll(angles, MathF.Sin);
            Tensor cosines = Tensor.From(cos, 9, size / 2), sines = Tensor.From(sin, 9, size / 2);
            OperationCheck.Require(
                (context, t) => context.Rotary(t[0], layout, context.Integers(positions), cosines, sines), x => ScalarTwins.Rotary(x[0], layout, positions, cos, sin, size / 2),
                type, [Input.Single(type, rows, Width(layout))]);
        }
    }

    /// <summary>The first elements of every head alone, in pairs of both kinds.</summary>
    [Theory]
    [InlineData(DType.Float32, 3, 2, 34, 17)]
    [InlineData(DType.Float32, 33, 3, 6, 1)]
    [InlineData(DType.Float32, 2, 4, 128, 32)]
    [InlineData(DType.BFloat16, 17, 4, 16, 4)]
    public void Rotary_of_a_part_of_the_head(DType type, int rows, int heads, int size, int half)
    {
        int[] positions = Ids(rows, below: 9);
        float[] angles = [.. Enumerable.Range(0, 9 * half).Select(i => i * 0.37f)], cos = Array.ConvertAll(angles, MathF.Cos), sin = Array.ConvertAll(angles, MathF.Sin);
        Tensor cosines = Tensor.From(cos, 9, half), sines = Tensor.From(sin, 9, half);
        foreach (var layout in Layouts(heads, size))
            foreach (var pairing in Enum.GetValues<RotaryPairing>())
                OperationCheck.Require(
                    (context, t) => context.Rotary(t[0], layout, context.Integers(positions), cosines, sines, pairing),
                    x => ScalarTwins.Rotary(x[0], layout, positions, cos, sin, half, pairing), type, [Input.Single(type, rows, Width(layout))]);
    }

    [Fact]
    public void What_lies_outside_a_table_is_refused()
    {
        using var workers = new Workers(1);
        var context = new Context(workers);
        var table = Tensor.Zeros(DType.Float32, 4, 2);
        foreach (int outside in new[] { -1, 4, int.MinValue, int.MaxValue })
        {
            Assert.Throws<GlmException>(() => context.Embedding(table, context.Integers([0, outside])));
            Assert.Throws<GlmException>(() => context.Rotary(Tensor.Zeros(DType.Float32, 1, 12), HeadLayout.Interleaved(1, 4), context.Integers([outside]), table, table));
            Assert.Throws<GlmException>(() => context.CrossEntropy(Tensor.Zeros(DType.Float32, 1, 4), context.Integers([outside]), context.Floats([1], 1)));
        }
    }

    /// <summary>The interleaved layout of GLM-130B, and one with all queries first and shared keys and values.</summary>
    internal static IEnumerable<HeadLayout> Layouts(int heads, int size)
    {
        yield return HeadLayout.Interleaved(heads, size);
        int groups = heads % 2 == 0 ? heads / 2 : 1;
        yield return HeadLayout.Blocked(heads, groups, size);
    }

    internal static int Width(HeadLayout layout) => (layout.Heads + 2 * layout.KeyValueHeads) * layout.HeadSize;

    /// <summary>What dropout with probability 1/4 multiplies an element by: 0 if its random number lies in the lowest quarter.</summary>
    internal static double Kept(ulong seed, ulong stream, long element) => CounterRandom.At(seed, stream, (ulong)element) < 1u << 30 ? 0 : 1 / 0.75;

    private static int[] Ids(int count, int below)
    {
        var random = new Random(count);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(below))];
    }
}
