using Glm.Tensors;

namespace Glm.Tests;

public sealed class OrthogonalizerTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(8, 8)]
    [InlineData(17, 40)]
    [InlineData(61, 19)]
    [InlineData(96, 33)]
    public void Singular_values_come_near_one_and_vectors_stay(int rows, int columns)
    {
        using var workers = new Workers(2);
        var random = new Random(rows);
        float[] values = [.. Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.4f)];
        float[] result = new Orthogonalizer(workers).Orthogonalize(Tensor.From(values, rows, columns)).ToArray();
        double[,] expected = Twin(values, rows, columns);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) Assert.Equal(expected[i, j], result[i * columns + j], 0.05);
    }

    [Fact]
    public void A_step_moves_elements_by_a_fifth_of_the_rate_and_keeps_momentum()
    {
        using var workers = new Workers(2);
        const int rows = 24, columns = 40;
        var random = new Random(3);
        float[] gradient = [.. Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.5f)];
        Tensor weight = Tensor.Zeros(DType.Float32, rows, columns), g = Tensor.From(gradient, rows, columns), mean = Tensor.Zeros(DType.Float32, rows * columns);
        new Orthogonalizer(workers).Step(weight, g, mean, rate: 0.1f, momentum: 0.9f, decay: 0, gradientScale: 2);
        Assert.Equal(gradient.Select(x => 2 * x), mean.ToArray());
        // Singular values between 0.7 and 1.2, so elements of root mean square 0.2 rate x about 1.
        double size = Math.Sqrt(weight.ToArray().Average(x => (double)x * x));
        Assert.InRange(size, 0.7 * 0.02, 1.2 * 0.02);
        double descent = weight.ToArray().Zip(gradient, (w, x) => (double)w * x).Sum();
        Assert.True(descent < 0);
        float[] before = weight.ToArray();
        new Orthogonalizer(workers).Step(weight, g, mean, rate: 0, momentum: 0.9f, decay: 0.5f, gradientScale: 0);
        Assert.Equal(before, weight.ToArray());
        Assert.Equal(gradient.Select(x => 0.9f * (2 * x)), mean.ToArray());
    }

    /// <summary>The same iteration in double precision.</summary>
    private static double[,] Twin(float[] values, int rows, int columns)
    {
        double norm = Math.Sqrt(values.Sum(v => (double)v * v)) + 1e-7;
        double[,] x = new double[rows, columns];
        for (int i = 0; i < values.Length; i++) x[i / columns, i % columns] = values[i] / norm;
        for (int step = 0; step < 5; step++)
        {
            double[,] s = Product(x, Transposed(x)), ss = Product(s, s), p = new double[rows, rows];
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < rows; j++) p[i, j] = -4.7750 * s[i, j] + 2.0315 * ss[i, j];
            double[,] px = Product(p, x);
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < columns; j++) x[i, j] = 3.4445 * x[i, j] + px[i, j];
        }
        return x;
    }

    private static double[,] Transposed(double[,] a)
    {
        double[,] result = new double[a.GetLength(1), a.GetLength(0)];
        for (int i = 0; i < a.GetLength(0); i++)
            for (int j = 0; j < a.GetLength(1); j++) result[j, i] = a[i, j];
        return result;
    }

    private static double[,] Product(double[,] a, double[,] b)
    {
        double[,] result = new double[a.GetLength(0), b.GetLength(1)];
        for (int i = 0; i < a.GetLength(0); i++)
            for (int k = 0; k < b.GetLength(0); k++)
                for (int j = 0; j < b.GetLength(1); j++) result[i, j] += a[i, k] * b[k, j];
        return result;
    }
}
