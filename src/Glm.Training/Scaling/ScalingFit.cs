namespace Glm.Training;

/// <summary>
/// The loss of a model of N parameters after D tokens, L = E + A / N^alpha + B / D^beta (Hoffmann et al., Training Compute-Optimal Large Language Models,
/// arXiv 2203.15556, section 3.3), fitted to runs that each went to the end of their own schedule.
/// </summary>
/// <param name="Irreducible">E, nats per token.</param>
/// <param name="SizeFactor">A.</param>
/// <param name="SizeExponent">alpha.</param>
/// <param name="DataFactor">B.</param>
/// <param name="DataExponent">beta.</param>
/// <param name="FlopsPerParameterToken">Model FLOPs of a token through the model, per parameter: the mean of the runs.</param>
public sealed record ScalingFit(double Irreducible, double SizeFactor, double SizeExponent, double DataFactor, double DataExponent, double FlopsPerParameterToken)
{
    private const double ExponentStep = 0.02, LargestExponent = 1;

    /// <summary>The fewest runs that a fit can be made of.</summary>
    public const int MinRuns = 5;

    /// <summary>Loss of <paramref name="parameters"/> after <paramref name="tokens"/>, nats per token.</summary>
    public double Loss(double parameters, double tokens) =>
        Irreducible + SizeFactor * Math.Pow(parameters, -SizeExponent) + DataFactor * Math.Pow(tokens, -DataExponent);

    /// <summary>Tokens that so many FLOPs are enough for.</summary>
    public double Tokens(double parameters, double flops) => flops / (FlopsPerParameterToken * parameters);

    /// <summary>The number of parameters with the least loss for so many FLOPs, between the bounds.</summary>
    public double BestParameters(double flops, double least, double most)
    {
        double best = least;
        for (double n = least; n <= most; n *= 1.01)
            if (Loss(n, Tokens(n, flops)) < Loss(best, Tokens(best, flops))) best = n;
        return best;
    }

    /// <summary>
    /// The least squares of relative errors: for every pair of exponents on a grid the three factors, none of them negative, by linear least squares.
    /// </summary>
    /// <exception cref="GlmException">There are fewer than <see cref="MinRuns"/> runs, or all of one size or of one length.</exception>
    public static ScalingFit Of(IReadOnlyList<ScalingRun> runs)
    {
        if (runs.Count < MinRuns) throw new GlmException($"a fit of five numbers: expected {MinRuns} runs or more, found {runs.Count}");
        if (runs.Select(run => run.Parameters).Distinct().Count() < 2 || runs.Select(run => run.Tokens).Distinct().Count() < 2)
            throw new GlmException("a fit over sizes and tokens: expected runs of different sizes and of different lengths, found one size or one length");
        double perToken = runs.Average(run => run.Flops / (run.Parameters * run.Tokens));
        ScalingFit? best = null;
        double least = double.PositiveInfinity;
        for (double alpha = ExponentStep; alpha <= LargestExponent; alpha += ExponentStep)
            for (double beta = ExponentStep; beta <= LargestExponent; beta += ExponentStep)
            {
                // Relative errors: each row is divided by its loss, so that every right-hand side is 1.
                double[][] rows = [.. runs.Select(run => new[] { 1 / run.Loss, Math.Pow(run.Parameters, -alpha) / run.Loss, Math.Pow(run.Tokens, -beta) / run.Loss })];
                double[] factors = NonNegative(rows, out double error);
                if (error >= least) continue;
                least = error;
                best = new ScalingFit(factors[0], factors[1], alpha, factors[2], beta, perToken);
            }
        return best!;
    }

    /// <summary>Three numbers, none negative, with the least squares of rows · x - 1: the best of the solutions in which some of them are 0.</summary>
    private static double[] NonNegative(double[][] rows, out double error)
    {
        double[] best = [0, 0, 0];
        error = rows.Length;
        for (int used = 1; used < 8; used++)
        {
            int[] columns = [.. Enumerable.Range(0, 3).Where(column => (used >> column & 1) != 0)];
            if (Solve(rows, columns) is not { } part || part.Any(value => !(value >= 0))) continue;
            double squares = rows.Sum(row => Math.Pow(columns.Select((column, i) => row[column] * part[i]).Sum() - 1, 2));
            if (squares >= error) continue;
            error = squares;
            best = [0, 0, 0];
            for (int i = 0; i < columns.Length; i++) best[columns[i]] = part[i];
        }
        return best;
    }

    /// <summary>Least squares in some columns by the normal equations, columns scaled to length 1; null if they are dependent.</summary>
    private static double[]? Solve(double[][] rows, int[] columns)
    {
        int n = columns.Length;
        double[] lengths = [.. columns.Select(column => Math.Sqrt(rows.Sum(row => row[column] * row[column])))];
        double[,] m = new double[n, n + 1];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++) m[i, j] = rows.Sum(row => row[columns[i]] * row[columns[j]]) / (lengths[i] * lengths[j]);
            m[i, n] = rows.Sum(row => row[columns[i]]) / lengths[i];
        }
        for (int pivot = 0; pivot < n; pivot++)
        {
            if (m[pivot, pivot] < 1e-12) return null;
            for (int i = 0; i < n; i++)
            {
                if (i == pivot) continue;
                double factor = m[i, pivot] / m[pivot, pivot];
                for (int j = pivot; j <= n; j++) m[i, j] -= factor * m[pivot, j];
            }
        }
        return [.. Enumerable.Range(0, n).Select(i => m[i, n] / m[i, i] / lengths[i])];
    }
}
