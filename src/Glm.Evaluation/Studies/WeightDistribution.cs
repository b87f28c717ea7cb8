using Glm.Models;
using Glm.Tensors;

namespace Glm.Evaluation;

/// <summary>How the numbers of a matrix lie: what they cost when they are quantised follows from how far the largest lie out.</summary>
/// <param name="Name">The matrix.</param>
/// <param name="Deviation">Standard deviation s.</param>
/// <param name="Skewness">Third moment over s^3, 0 where both sides are alike.</param>
/// <param name="Kurtosis">Fourth moment over s^4, less the 3 of a normal distribution.</param>
/// <param name="Largest">Largest magnitude over s.</param>
/// <param name="LargestOfRow">Largest magnitude of a row (an output) over the root mean square of the row, mean of all rows.</param>
/// <param name="LargestOfColumn">The same of columns (inputs).</param>
public sealed record MatrixStatistics(string Name, double Deviation, double Skewness, double Kurtosis, double Largest, double LargestOfRow, double LargestOfColumn);

/// <summary>The distribution of one kind of matrix over all layers of a model.</summary>
/// <param name="Model">Name of the model.</param>
/// <param name="Kind">What the matrices do.</param>
/// <param name="Matrices">Each of them.</param>
/// <param name="Counts">Weights by distance from the mean of their matrix, in bins of <see cref="BinWidth"/> standard deviations; what lies outside is in the first and last.</param>
public sealed record WeightDistribution(string Model, string Kind, IReadOnlyList<MatrixStatistics> Matrices, IReadOnlyList<long> Counts)
{
    /// <summary>Width of a bin in standard deviations.</summary>
    public const double BinWidth = 0.25;

    private const int BinsPerSide = 80, RowsAtOnce = 256;

    /// <summary>The two kinds of matrix that the paper compares between GLM and BLOOM, by how names of parameters end.</summary>
    private static (string Kind, string[] Endings)[] Kinds { get; } =
        [("attention dense", ["attention.dense.weight", "out_proj.weight"]), ("W2", ["dense_4h_to_h.weight", "fc2.weight"])];

    /// <summary>Middle of a bin, in standard deviations.</summary>
    public static double Middle(int bin) => (bin - BinsPerSide + 0.5) * BinWidth;

    /// <summary>The distributions of a model's attention dense and W2, as far as the architecture has such.</summary>
    public static IEnumerable<WeightDistribution> Of(string model, LanguageModel weights)
    {
        foreach (var (kind, endings) in Kinds)
        {
            var matrices = weights.Parameters.Where(parameter => endings.Any(ending => parameter.Name.EndsWith(ending, StringComparison.Ordinal)) && parameter.Tensor.Type.IsFloat()).ToList();
            if (matrices.Count == 0) continue;
            long[] counts = new long[2 * BinsPerSide];
            yield return new WeightDistribution(model, kind, [.. matrices.Select(matrix => Statistics(matrix.Name, matrix.Tensor, counts))], counts);
        }
    }

    private static MatrixStatistics Statistics(string name, Tensor matrix, long[] counts)
    {
        int columns = matrix.Columns;
        double sum = 0, squares = 0, largest = 0, ofRows = 0;
        double[] columnSquares = new double[columns], columnLargest = new double[columns];
        foreach (float[] row in Rows(matrix))
        {
            double rowSquares = 0, rowLargest = 0;
            for (int i = 0; i < columns; i++)
            {
                double x = row[i], square = x * x, size = Math.Abs(x);
                sum += x;
                rowSquares += square;
                columnSquares[i] += square;
                rowLargest = Math.Max(rowLargest, size);
                columnLargest[i] = Math.Max(columnLargest[i], size);
            }
            squares += rowSquares;
            largest = Math.Max(largest, rowLargest);
            ofRows += Ratio(rowLargest, rowSquares, columns);
        }
        double mean = sum / matrix.Count, deviation = Math.Sqrt(Math.Max(0, (squares / matrix.Count) - (mean * mean)));
        double third = 0, fourth = 0;
        if (deviation > 0)
            foreach (float[] row in Rows(matrix))
                foreach (float x in row)
                {
                    double distance = (x - mean) / deviation, square = distance * distance;
                    third += square * distance;
                    fourth += square * square;
                    counts[(int)Math.Clamp(Math.Floor(distance / BinWidth) + BinsPerSide, 0, counts.Length - 1)]++;
                }
        double count = matrix.Count, ofColumns = Enumerable.Range(0, columns).Average(i => Ratio(columnLargest[i], columnSquares[i], matrix.Rows));
        return deviation > 0 ? new MatrixStatistics(name, deviation, third / count, (fourth / count) - 3, largest / deviation, ofRows / matrix.Rows, ofColumns)
            : new MatrixStatistics(name, 0, 0, 0, 0, 0, 0);

        static double Ratio(double largest, double squares, int numbers) => squares > 0 ? largest / Math.Sqrt(squares / numbers) : 0;
    }

    /// <summary>The rows, one after another, some decoded at once.</summary>
    private static IEnumerable<float[]> Rows(Tensor matrix)
    {
        for (int start = 0; start < matrix.Rows; start += RowsAtOnce)
            foreach (float[] row in matrix.Slice(start, Math.Min(RowsAtOnce, matrix.Rows - start)).ToArray().Chunk(matrix.Columns)) yield return row;
    }
}
