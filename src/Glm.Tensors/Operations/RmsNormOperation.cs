using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>Root-mean-square normalisation with a gain (ChatGLM spec 3.2).</summary>
public static unsafe class RmsNormOperation
{
    /// <summary>y = x r g over the last dimension, r = 1 / sqrt(mean(x^2) + epsilon), statistics in float32.</summary>
    /// <remarks>With n = x r and d = dy g: dx = r (d - n mean(d n)), dg = sum of dy n over the rows.</remarks>
    /// <param name="context">Where to run.</param>
    /// <param name="x">Input <c>[rows, hidden]</c>.</param>
    /// <param name="gain">Gain g <c>[hidden]</c>, float32.</param>
    /// <param name="epsilon">Added to the mean of the squares.</param>
    public static Tensor RmsNorm(this Context context, Tensor x, Tensor gain, float epsilon)
    {
        var y = context.New(x.Shape);
        var inverse = context.Arena.Allocate(DType.Float32, x.Rows);
        context.ForRows(x.Rows, new ForwardBody(context, x, gain, y, inverse, epsilon));
        if (context.Recording) RecordBackward(context, x, gain, y, inverse);
        return y;
    }

    private static void RecordBackward(Context context, Tensor x, Tensor gain, Tensor y, Tensor inverse) =>
        context.Record(y, x.RequiresGradient || gain.RequiresGradient, () =>
        {
            if (x.RequiresGradient) AddInputGradient(context, x, y.Gradient!, gain, inverse);
            if (gain.RequiresGradient) AddGainGradient(context, x, y.Gradient!, gain, inverse);
        });

    private static void AddInputGradient(Context context, Tensor x, Tensor dy, Tensor gain, Tensor inverse)
    {
        var gradient = context.GradientOf(x, out bool first);
        int hidden = x.Columns;
        float* g = gain.Floats;
        context.ForRows(x.Rows, (start, end, worker) =>
        {
            float* scratch = context.Scratch(worker, hidden);
            for (int row = start; row < end; row++)
            {
                float* source = TensorRows.Read(x, row, scratch), upstream = dy.Floats + (long)row * hidden, target = gradient.Floats + (long)row * hidden;
                var r = Vector512.Create(inverse.Floats[row]);
                var sum = Vector512<float>.Zero;
                for (int i = 0; i < hidden; i += Vectors.Width)
                    sum = Vector512.FusedMultiplyAdd(Vectors.Load(upstream + i, hidden - i) * Vectors.Load(g + i, hidden - i), Vectors.Load(source + i, hidden - i) * r, sum);
                var mean = Vector512.Create(Vector512.Sum(sum) / hidden);
                for (int i = 0; i < hidden; i += Vectors.Width)
                {
                    var d = Vectors.Load(upstream + i, hidden - i) * Vectors.Load(g + i, hidden - i);
                    var dx = r * (d - Vectors.Load(source + i, hidden - i) * r * mean);
                    if (!first) dx += Vectors.Load(target + i, hidden - i);
                    Vectors.Store(dx, target + i, hidden - i);
                }
            }
        });
    }

    /// <summary>Column sums, the rows in order within each block of columns, so that the result does not depend on the threads.</summary>
    private static void AddGainGradient(Context context, Tensor x, Tensor dy, Tensor gain, Tensor inverse)
    {
        var dg = context.GradientOf(gain, out bool first);
        if (first) dg.Clear();
        int hidden = x.Columns, rows = x.Rows;
        context.ForRows(hidden, (start, end, worker) =>
        {
            int count = end - start;
            float* part = context.Scratch(worker, count);
            for (int row = 0; row < rows; row++)
            {
                TensorRows.ToFloats(x.Data + x.Type.Bytes((long)row * hidden + start), x.Type, part, count);
                float* upstream = dy.Floats + (long)row * hidden + start, target = dg.Floats + start;
                var r = Vector512.Create(inverse.Floats[row]);
                for (int i = 0; i < count; i += Vectors.Width)
                    Vectors.Store(Vector512.FusedMultiplyAdd(Vectors.Load(upstream + i, count - i), Vectors.Load(part + i, count - i) * r, Vectors.Load(target + i, count - i)),
                        target + i, count - i);
            }
        }, block: 64);
    }

    private readonly struct ForwardBody(Context context, Tensor x, Tensor gain, Tensor y, Tensor inverse, float epsilon) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int hidden = x.Columns;
            float* scratch = context.Scratch(worker, 2L * hidden), g = gain.Floats;
            for (long row = start; row < end; row++)
            {
                float* source = TensorRows.Read(x, row, scratch), target = TensorRows.Target(y, row, scratch + hidden);
                float factor = inverse.Floats[row] = 1 / MathF.Sqrt(Vectors.Dot(source, source, hidden) / hidden + epsilon);
                var r = Vector512.Create(factor);
                for (int i = 0; i < hidden; i += Vectors.Width)
                    Vectors.Store(Vectors.Load(source + i, hidden - i) * r * Vectors.Load(g + i, hidden - i), target + i, hidden - i);
                TensorRows.Write(y, row, target);
            }
        }
    }
}
