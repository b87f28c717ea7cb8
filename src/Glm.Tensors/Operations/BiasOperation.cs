namespace Glm.Tensors;

/// <summary>Adding a bias to what has been summed up elsewhere.</summary>
public static unsafe class BiasOperation
{
    /// <summary>y = x + b for every row, with x <c>[rows, out]</c> and b <c>[out]</c>, float32: dx = dy, db = the column sums of dy. Stored as activations are.</summary>
    public static Tensor AddBias(this Context context, Tensor x, Tensor bias)
    {
        var y = context.New(x.Shape);
        context.ForRows(x.Rows, new ForwardBody(context, x, bias, y));
        if (context.Recording) RecordBackward(context, x, bias, y);
        return y;
    }

    private static void RecordBackward(Context context, Tensor x, Tensor bias, Tensor y) =>
        context.Record(y, x.RequiresGradient || bias.RequiresGradient, () =>
        {
            if (bias.RequiresGradient) LinearOperation.AddColumnSums(context, y.Gradient!, bias);
            if (x.RequiresGradient) ResidualOperation.AddScaled(context, x, y.Gradient!, 1);
        });

    private readonly struct ForwardBody(Context context, Tensor x, Tensor bias, Tensor y) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int columns = x.Columns;
            float* scratch = context.Scratch(worker, 2L * columns), b = bias.Floats;
            for (long row = start; row < end; row++)
            {
                float* source = TensorRows.Read(x, row, scratch), target = TensorRows.Target(y, row, scratch + columns);
                for (int i = 0; i < columns; i += Vectors.Width)
                    Vectors.Store(Vectors.Load(source + i, columns - i) + Vectors.Load(b + i, columns - i), target + i, columns - i);
                TensorRows.Write(y, row, target);
            }
        }
    }
}
