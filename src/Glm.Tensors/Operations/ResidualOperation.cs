using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>The DeepNorm residual connection (spec 1.2, 1.3).</summary>
public static unsafe class ResidualOperation
{
    /// <summary>y = alpha x + f, with x and f <c>[rows, hidden]</c>: dx = alpha dy, df = dy. Its type is the context's activation type, unless another is given.</summary>
    public static Tensor Residual(this Context context, Tensor x, Tensor f, float alpha, DType? outputType = null)
    {
        var y = context.Arena.Allocate(outputType ?? context.ActivationType, x.Shape);
        context.ForRows(x.Rows, new ForwardBody(context, x, f, y, alpha));
        if (context.Recording) RecordBackward(context, x, f, y, alpha);
        return y;
    }

    private static void RecordBackward(Context context, Tensor x, Tensor f, Tensor y, float alpha) =>
        context.Record(y, x.RequiresGradient || f.RequiresGradient, () =>
        {
            AddScaled(context, x, y.Gradient!, alpha);
            AddScaled(context, f, y.Gradient!, 1);
        });

    internal static void AddScaled(Context context, Tensor input, Tensor dy, float factor)
    {
        if (!input.RequiresGradient) return;
        var gradient = context.GradientOf(input, out bool first);
        int columns = input.Columns;
        context.ForRows(input.Rows, (start, end, _) =>
        {
            for (int row = start; row < end; row++)
                Vectors.Axpby(factor, dy.Floats + (long)row * columns, first ? 0 : 1, gradient.Floats + (long)row * columns, columns);
        });
    }

    private readonly struct ForwardBody(Context context, Tensor x, Tensor f, Tensor y, float alpha) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int columns = x.Columns;
            float* scratch = context.Scratch(worker, 3L * columns);
            var factor = Vector512.Create(alpha);
            for (long row = start; row < end; row++)
            {
                float* a = TensorRows.Read(x, row, scratch), b = TensorRows.Read(f, row, scratch + columns), target = TensorRows.Target(y, row, scratch + 2 * columns);
                for (int i = 0; i < columns; i += Vectors.Width)
                {
                    var sum = Vector512.FusedMultiplyAdd(factor, Vectors.Load(a + i, columns - i), Vectors.Load(b + i, columns - i));
                    Vectors.Store(sum, target + i, columns - i);
                }
                TensorRows.Write(y, row, target);
            }
        }
    }
}
