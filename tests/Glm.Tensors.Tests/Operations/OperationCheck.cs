using Glm.Tensors;

namespace Glm.Tests;

/// <summary>An input of an operation under test: random numbers, rounded to a type.</summary>
/// <param name="Type">How it is stored.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Factor">What the operation multiplies its gradient by on purpose (embedding-gradient shrink).</param>
/// <param name="Accumulates">Whether the operation adds to a gradient that is already there.</param>
internal sealed record Input(DType Type, int[] Shape, double Factor = 1, bool Accumulates = true)
{
    public static Input Of(DType type, params int[] shape) => new(type, shape);

    /// <summary>For operations whose input must have no other consumer.</summary>
    public static Input Single(DType type, params int[] shape) => new(type, shape, Accumulates: false);
}

/// <summary>
/// Compares an operation with a plain scalar twin in double precision: the forward pass by value, the backward pass with the twin's central differences of
/// L = sum of c y with random c; and requires the same bits from 1, 2 and 3 threads.
/// </summary>
internal static class OperationCheck
{
    private const double Step = 1e-4;

    /// <summary>Of the forward pass: what the output's type keeps, relative to the largest value.</summary>
    public static double Tolerance(DType type) => type == DType.Float32 ? 2e-5 : 5e-3;

    /// <param name="operation">The operation under test.</param>
    /// <param name="twin">The inputs' values to the output's.</param>
    /// <param name="activations">The type of activations.</param>
    /// <param name="inputs">What to give it.</param>
    /// <param name="gradientTolerance">Relative to the largest gradient. Backward passes compute in float32 from what the forward pass stored, but where products of bfloat16 round all that they read.</param>
    public static void Require(
        Func<Context, Tensor[], Tensor> operation, Func<double[][], double[]> twin, DType activations, Input[] inputs, double gradientTolerance = 5e-5)
    {
        if (activations == DType.BFloat16 && Isa.Extension >= CodeExtension.BFloat16) gradientTolerance = Math.Max(gradientTolerance, 2e-2);
        var random = new Random(inputs.Sum(input => input.Shape.Sum()));
        float[][] values = [.. inputs.Select(input => Values(input, random))];
        double[][] exact = [.. values.Select(v => Array.ConvertAll(v, x => (double)x))];
        double[] expected = twin(exact);
        float[] weights = [.. expected.Select(_ => random.NextSingle() * 2 - 1)];

        var one = Run(operation, activations, inputs, values, weights, threads: 1, preset: 0);
        RequireClose("output", expected, one.Output, Tolerance(one.Type));
        var accumulated = Run(operation, activations, inputs, values, weights, threads: 1, preset: 1);
        for (int i = 0; i < inputs.Length; i++)
        {
            double[] gradient = Array.ConvertAll(Differences(twin, exact, i, weights), g => g * inputs[i].Factor);
            RequireClose($"gradient of input {i}", gradient, one.Gradients[i], gradientTolerance);
            if (inputs[i].Accumulates) RequireClose($"gradient added to input {i}", Array.ConvertAll(gradient, g => g + 1), accumulated.Gradients[i], gradientTolerance);
        }
        foreach (int threads in new[] { 2, 3 })
        {
            var several = Run(operation, activations, inputs, values, weights, threads, preset: 0);
            Assert.True(one.Output.AsSpan().SequenceEqual(several.Output), $"output of {threads} threads");
            for (int i = 0; i < inputs.Length; i++) Assert.True(one.Gradients[i].AsSpan().SequenceEqual(several.Gradients[i]), $"gradient of input {i}, {threads} threads");
        }
    }

    public static float[] Values(Input input, Random random)
    {
        var tensor = Tensor.Allocate(DType.Float32, input.Shape);
        float[] values = new float[tensor.Count];
        for (int i = 0; i < values.Length; i++) values[i] = 3 * random.NextSingle() - 1.5f;
        tensor.CopyFrom(values);
        return tensor.To(input.Type).ToArray();
    }

    public static void RequireClose(string what, double[] expected, float[] found, double tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        double allowed = tolerance * (expected.Length == 0 ? 1 : Math.Max(1, expected.Max(Math.Abs)));
        for (int i = 0; i < expected.Length; i++)
            if (!(Math.Abs(expected[i] - found[i]) <= allowed)) Assert.Fail($"{what}: element {i} of {expected.Length}: expected {expected[i]:g9}, found {found[i]:g9}");
    }

    private static (float[] Output, DType Type, float[][] Gradients) Run(
        Func<Context, Tensor[], Tensor> operation, DType activations, Input[] inputs, float[][] values, float[] weights, int threads, float preset)
    {
        using var workers = new Workers(threads);
        var context = new Context(workers, activations) { Seed = 11 };
        var tensors = inputs.Zip(values, (input, v) =>
        {
            var tensor = Tensor.From(v, input.Shape).To(input.Type);
            tensor.RequiresGradient = true;
            if (preset != 0 && input.Accumulates)
            {
                tensor.Gradient = Tensor.Allocate(DType.Float32, input.Shape);
                TensorMath.Fill(tensor.Gradient, preset);
            }
            return tensor;
        }).ToArray();
        context.Record();
        var output = operation(context, tensors);
        float[] result = output.ToArray();
        Backward(context, output, weights);
        return (result, output.Type, [.. tensors.Select(tensor => tensor.Gradient!.ToArray())]);
    }

    /// <summary>Back-propagates from the sum of weights times outputs.</summary>
    public static void Backward(Context context, Tensor output, float[] weights)
    {
        var loss = Tensor.Zeros(DType.Float32, 1);
        context.Record(loss, true, () => context.GradientOf(output, out _).CopyFrom(weights));
        context.Backward(loss);
    }

    private static double[] Differences(Func<double[][], double[]> twin, double[][] values, int input, float[] weights)
    {
        var gradient = new double[values[input].Length];
        for (int i = 0; i < gradient.Length; i++)
        {
            double value = values[input][i];
            values[input][i] = value + Step;
            double above = Sum(twin(values));
            values[input][i] = value - Step;
            gradient[i] = (above - Sum(twin(values))) / (2 * Step);
            values[input][i] = value;
        }
        return gradient;

        double Sum(double[] output) => output.Zip(weights, (y, c) => y * c).Sum();
    }
}
