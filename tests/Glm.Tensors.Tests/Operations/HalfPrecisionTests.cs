using Glm.Tensors;

namespace Glm.Tests;

/// <summary>Activations in binary16: what is stored, and the gradients of it, are rounded, with overflow to infinity; sums are float32.</summary>
public sealed class HalfPrecisionTests
{
    private const double Tolerance = 3e-3;
    private const DType Half16 = DType.Float16;

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 17)]
    [InlineData(33, 70)]
    public void Operations_and_their_gradients_are_those_of_their_twins(int rows, int columns)
    {
        Require((c, t) => c.Linear(t[0], t[1], t[2]), x => ScalarTwins.Linear(x[0], x[1], x[2], columns), Input.Of(Half16, rows, columns), Input.Of(Half16, 5, columns), Input.Of(DType.Float32, 5));
        Require((c, t) => c.LayerNorm(t[0], t[1], t[2], 1e-2f), x => ScalarTwins.LayerNorm(x[0], x[1], x[2], 1e-2), Input.Of(Half16, rows, columns), Input.Of(DType.Float32, columns), Input.Of(DType.Float32, columns));
        Require((c, t) => c.GeGlu(t[0]), x => ScalarTwins.GeGlu(x[0], columns), Input.Single(Half16, rows, 2 * columns));
        Require((c, t) => c.Residual(t[0], t[1], 1.5f), x => [.. x[0].Zip(x[1], (a, b) => 1.5 * a + b)], Input.Of(Half16, rows, columns), Input.Of(Half16, rows, columns));
        Require((c, t) => c.Recompute(t[0], x => c.Residual(x, c.Residual(x, x, 0.5f), 2)), x => Array.ConvertAll(x[0], a => 3.5 * a), Input.Of(Half16, rows, columns));

        static void Require(Func<Context, Tensor[], Tensor> operation, Func<double[][], double[]> twin, params Input[] inputs) =>
            OperationCheck.Require(operation, twin, Half16, inputs, Tolerance);
    }

    [Theory]
    [InlineData(1, false, 0)]
    [InlineData(3, false, 0.25f)]
    [InlineData(1, true, 0)]
    [InlineData(1, true, 0.25f)]
    public void Attention_is_that_of_its_twin(float layerScale, bool halfSoftmax, float dropout)
    {
        AttentionSegment[] segments = [new(0, 17, 5), new(17, 3, 0), new(20, 70, 30)];
        foreach (var layout in OperationTests.Layouts(heads: 2, size: 3))
            OperationCheck.Require(
                (context, t) => context.Attention(t[0], layout, segments, dropout, precision: new ScorePrecision(layerScale, halfSoftmax)),
                x => ScalarTwins.Attention(x[0], layout, 90, segments, dropout == 0 ? null : (row, head, column) => OperationTests.Kept(11, 0, ((long)row * layout.Heads + head) * 90 + column)),
                Half16, [Input.Of(Half16, 90, OperationTests.Width(layout))], gradientTolerance: 1e-2);
    }

    /// <summary>Scores so large that binary16 keeps them to the nearest 1/16 alone: a twin that rounds where the original does agrees, an exact one does not.</summary>
    [Theory]
    [InlineData(1, false)]
    [InlineData(7, false)]
    [InlineData(1, true)]
    public void Scores_are_rounded_as_they_are_stored(int layerScale, bool halfSoftmax)
    {
        const int Rows = 9, Size = 8;
        var layout = HeadLayout.Interleaved(1, Size);
        float[] values = OperationCheck.Values(Input.Of(Half16, Rows, 3 * Size), new Random(4));
        for (int i = 0; i < values.Length; i++)
            if (i % (3 * Size) < 2 * Size) values[i] = (float)(Half)(6 + values[i] / 10); // scores of about 100 that lie close together
        using var workers = new Workers(2);
        var context = new Context(workers, Half16);
        float[] found = context.Attention(context.Floats(values, Rows, 3 * Size).To(Half16), layout, [new(0, Rows, 0)], precision: new ScorePrecision(layerScale, halfSoftmax)).ToArray();
        double[] rounded = Twin(true), exact = Twin(false);
        OperationCheck.RequireClose("attention", rounded, found, 1e-3);
        Assert.Contains(exact.Zip(found), pair => Math.Abs(pair.First - pair.Second) > 3e-3);

        double[] Twin(bool rounds)
        {
            double c = halfSoftmax ? 1 : layerScale;
            var output = new double[Rows * Size];
            for (int i = 0; i < Rows; i++)
            {
                double[] scores = [.. Enumerable.Range(0, i + 1).Select(j =>
                    Step(Enumerable.Range(0, Size).Sum(k => (double)values[i * 3 * Size + k] * values[j * 3 * Size + Size + k]) / Math.Sqrt(Size) / c) * c)];
                double max = scores.Max();
                double[] e = [.. scores.Select(s => halfSoftmax ? Step(Math.Exp(Step(s - max))) : Math.Exp(s - max))];
                double sum = halfSoftmax ? Step(e.Sum()) : e.Sum();
                for (int k = 0; k < Size; k++) output[i * Size + k] = Step(Enumerable.Range(0, i + 1).Sum(j => Step(e[j] / sum) * values[j * 3 * Size + 2 * Size + k]));
            }
            return output;

            double Step(double x) => rounds ? (double)(Half)(float)x : x;
        }
    }

    /// <summary>What query-key layer scaling is for: a score of 90,000 overflows unless it is stored divided by the layer's number.</summary>
    [Fact]
    public void Layer_scaling_keeps_large_scores_finite()
    {
        using var workers = new Workers(1);
        var context = new Context(workers, Half16);
        float[] qkv = [300, 300, 1, 300, 299, 2];
        var x = context.Floats(qkv, 2, 3).To(Half16);
        Assert.Equal([1f, 1f], Attend(new ScorePrecision(LayerScale: 2)));
        Assert.Contains(Attend(new ScorePrecision()), float.IsNaN);
        Assert.Contains(Attend(new ScorePrecision(HalfSoftmax: true)), float.IsNaN);

        float[] Attend(ScorePrecision precision) => context.Attention(x, HeadLayout.Interleaved(1, 1), [new(0, 2, 0)], precision: precision).ToArray();
    }

    [Fact]
    public void Results_and_gradients_beyond_binary16_are_infinite_or_zero()
    {
        using var workers = new Workers(1);
        var context = new Context(workers, Half16);
        var x = Tensor.From([60000f, 1, -60000], 1, 3).To(Half16);
        x.RequiresGradient = true;
        context.Record();
        var y = context.Residual(x, x, 0.5f);
        Assert.Equal([float.PositiveInfinity, 1.5f, float.NegativeInfinity], y.ToArray());
        OperationCheck.Backward(context, y, [70000, 1e-8f, 1 + 1e-4f]);
        // dy is rounded before it goes on; the gradient of x itself, which no operation gave, is not.
        Assert.Equal([float.PositiveInfinity, 0, 1.5f], x.Gradient!.ToArray());
    }

    [Fact]
    public void Logits_are_rounded_as_activations_are()
    {
        using var workers = new Workers(1);
        foreach (var (type, expected, gradient) in new[] { (DType.Float32, 0.1f, 1e-9f), (Half16, (float)(Half)0.1f, 0f) })
        {
            var context = new Context(workers, type);
            var x = Tensor.From([0.1f], 1, 1);
            x.RequiresGradient = true;
            context.Record();
            var y = context.RoundAsActivation(context.Linear(x, Tensor.From([1f], 1, 1), outputType: DType.Float32));
            Assert.Equal([expected], y.ToArray());
            OperationCheck.Backward(context, y, [1e-9f]);
            Assert.Equal([gradient], x.Gradient!.ToArray());
        }
    }
}
