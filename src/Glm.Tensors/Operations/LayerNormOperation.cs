using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>Layer normalisation with gain and bias.</summary>
public static unsafe class LayerNormOperation
{
    /// <summary>
    /// y = (x - mean(x)) r g + b over the last dimension, r = 1 / sqrt(variance(x) + epsilon), statistics in float32.
    /// </summary>
    /// <remarks>
    /// With n = (x - mean) r and d = dy g: dx = r (d - mean(d) - n mean(d n)), dg = sum of dy n, db = sum of dy over the rows.
    /// </remarks>
    /// <param name="context">Where to run.</param>
    /// <param name="x">Input <c>[rows, hidden]</c>.</param>
    /// <param name="gain">Gain g <c>[hidden]</c>, float32.</param>
    /// <param name="bias">Bias b <c>[hidden]</c>, float32.</param>
    /// <param name="epsilon">Added to the variance.</param>
    public static Tensor LayerNorm(this Context context, Tensor x, Tensor gain, Tensor bias, float epsilon)
    {
        var y = context.New(x.Shape);
        var statistics = context.Arena.Allocate(DType.Float32, x.Rows, 2);
        context.ForRows(x.Rows, new ForwardBody(context, x, gain, bias, epsilon, y, statistics));
        if (context.Recording) RecordBackward(context, x, gain, bias, y, statistics);
        return y;
    }

    private static void RecordBackward(Context context, Tensor x, Tensor gain, Tensor bias, Tensor y, Tensor statistics) =>
        context.Record(y, x.RequiresGradient || gain.RequiresGradient, () =>
        {
            if (x.RequiresGradient) AddInputGradient(context, x, y.Gradient!, gain, statistics);
            if (gain.RequiresGradient) AddParameterGradients(context, x, y.Gradient!, gain, bias, statistics);
        });

    private static void AddInputGradient(Context context, Tensor x, Tensor dy, Tensor gain, Tensor statistics)
    {
        var gradient = context.GradientOf(x, out bool first);
        int hidden = x.Columns;
        float* g = gain.Floats, stats = statistics.Floats;
        context.ForRows(x.Rows, (start, end, worker) =>
        {
            float* scratch = context.Scratch(worker, hidden);
            for (int row = start; row < end; row++)
            {
                float* source = TensorRows.Read(x, row, scratch), upstream = dy.Floats + (long)row * hidden, target = gradient.Floats + (long)row * hidden;
                Vector512<float> mean = Vector512.Create(stats[2 * row]), r = Vector512.Create(stats[2 * row + 1]);
                Vector512<float> sumD = Vector512<float>.Zero, sumDN = sumD;
                for (int i = 0; i < hidden; i += Vectors.Width)
                {
                    var d = Vectors.Load(upstream + i, hidden - i) * Vectors.Load(g + i, hidden - i);
                    sumD += d;
                    sumDN = Vector512.FusedMultiplyAdd(d, (Vectors.Load(source + i, hidden - i) - mean) * r, sumDN);
                }
                Vector512<float> meanD = Vector512.Create(Vector512.Sum(sumD) / hidden), meanDN = Vector512.Create(Vector512.Sum(sumDN) / hidden);
                for (int i = 0; i < hidden; i += Vectors.Width)
                {
                    var d = Vectors.Load(upstream + i, hidden - i) * Vectors.Load(g + i, hidden - i);
                    var n = (Vectors.Load(source + i, hidden - i) - mean) * r;
                    var dx = r * (d - meanD - n * meanDN);
                    if (!first) dx += Vectors.Load(target + i, hidden - i);
                    Vectors.Store(dx, target + i, hidden - i);
                }
            }
        });
    }

    /// <summary>Column sums, the rows in order within each block of columns, so that the result does not depend on the threads.</summary>
    private static void AddParameterGradients(Context context, Tensor x, Tensor dy, Tensor gain, Tensor bias, Tensor statistics)
    {
        Tensor dg = context.GradientOf(gain, out bool firstGain), db = context.GradientOf(bias, out bool firstBias);
        if (firstGain) dg.Clear();
        if (firstBias) db.Clear();
        int hidden = x.Columns, rows = x.Rows;
        float* stats = statistics.Floats;
        context.ForRows(hidden, (start, end, worker) =>
        {
            float* part = context.Scratch(worker, end - start);
            for (int column = start; column < end; column += Vectors.Width)
            {
                int count = end - column;
                Vector512<float> sumG = Vectors.Load(dg.Floats + column, count), sumB = Vectors.Load(db.Floats + column, count);
                for (int row = 0; row < rows; row++)
                {
                    float* source = part;
                    if (x.Type == DType.Float32) source = x.Floats + (long)row * hidden + column;
                    else TensorRows.ToFloats(x.Data + x.Type.Bytes((long)row * hidden + column), x.Type, part, Math.Min(count, Vectors.Width));
                    var d = Vectors.Load(dy.Floats + (long)row * hidden + column, count);
                    var n = (Vectors.Load(source, count) - Vector512.Create(stats[2 * row])) * Vector512.Create(stats[2 * row + 1]);
                    sumG = Vector512.FusedMultiplyAdd(d, n, sumG);
                    sumB += d;
                }
                Vectors.Store(sumG, dg.Floats + column, count);
                Vectors.Store(sumB, db.Floats + column, count);
            }
        }, block: 64);
    }

    private static float SquaredDistance(float* x, float mean, int n)
    {
        var sum = Vector512<float>.Zero;
        var m = Vector512.Create(mean);
        for (int i = 0; i < n; i += Vectors.Width)
        {
            var d = Vectors.Load(x + i, n - i, mean) - m;
            sum = Vector512.FusedMultiplyAdd(d, d, sum);
        }
        return Vector512.Sum(sum);
    }

    private readonly struct ForwardBody(Context context, Tensor x, Tensor gain, Tensor bias, float epsilon, Tensor y, Tensor statistics) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int hidden = x.Columns;
            float* g = gain.Floats, b = bias.Floats, stats = statistics.Floats, scratch = context.Scratch(worker, 2L * hidden);
            for (long row = start; row < end; row++)
            {
                float* source = TensorRows.Read(x, row, scratch), target = TensorRows.Target(y, row, scratch + hidden);
                float mean = Vectors.Sum(source, hidden) / hidden;
                float inverse = 1 / MathF.Sqrt(SquaredDistance(source, mean, hidden) / hidden + epsilon);
                (stats[2 * row], stats[2 * row + 1]) = (mean, inverse);
                Vector512<float> m = Vector512.Create(mean), r = Vector512.Create(inverse);
                for (int i = 0; i < hidden; i += Vectors.Width)
                {
                    var n = (Vectors.Load(source + i, hidden - i) - m) * r;
                    Vectors.Store(Vector512.FusedMultiplyAdd(n, Vectors.Load(g + i, hidden - i), Vectors.Load(b + i, hidden - i)), target + i, hidden - i);
                }
                TensorRows.Write(y, row, target);
            }
        }
    }
}
