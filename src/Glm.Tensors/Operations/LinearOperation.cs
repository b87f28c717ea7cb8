namespace Glm.Tensors;

/// <summary>y = x W^T + b, plus what an adapter of the weight adds.</summary>
public static unsafe class LinearOperation
{
    /// <summary>Rows of a packed weight that a backward pass unpacks at a time.</summary>
    private const int UnpackedRows = 256;

    /// <summary>
    /// y = x W^T + b with x <c>[rows, in]</c>, W <c>[out, in]</c> (dense or quantised by output row) and b <c>[out]</c> or null.
    /// </summary>
    /// <remarks>
    /// dx = dy W, dW = s dy^T x, db = the column sums of dy, with s = <paramref name="weightGradientScale"/> (embedding-gradient shrink of a tied
    /// head, spec 4.2). A quantised weight is frozen: only dx is computed, from the numbers that it stands for. A <see cref="Tensor.Addition"/> of the weight is two more products of this kind.
    /// </remarks>
    /// <param name="context">Where to run.</param>
    /// <param name="x">Input <c>[…, in]</c>.</param>
    /// <param name="weight">Weight <c>[out, in]</c>.</param>
    /// <param name="bias">Bias <c>[out]</c>.</param>
    /// <param name="outputType">Type of y; the context's activation type if null.</param>
    /// <param name="weightGradientScale">Factor on the gradient of the weight.</param>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public static Tensor Linear(
        this Context context, Tensor x, Tensor weight, Tensor? bias = null, DType? outputType = null, float weightGradientScale = 1)
    {
        if (x.Columns != weight.Columns) throw new ArgumentException($"an input {x} does not fit a weight {weight}");
        var y = context.Arena.Allocate(outputType ?? context.ActivationType, x.Rows, weight.Rows);
        Multiply(context, x, weight, bias is null ? null : bias.Floats, y);
        if (context.Recording) RecordBackward(context, x, weight, bias, weightGradientScale, y);
        if (weight.Addition is not { } addition) return y;
        return context.Residual(y, context.Linear(context.Linear(x, addition.Down), addition.Up), 1, y.Type);
    }

    private static void RecordBackward(Context context, Tensor x, Tensor weight, Tensor? bias, float weightGradientScale, Tensor y)
    {
        bool weightWanted = weight.RequiresGradient, biasWanted = bias is { RequiresGradient: true };
        context.Record(y, x.RequiresGradient || weightWanted || biasWanted, () =>
        {
            var dy = y.Gradient!;
            if (x.RequiresGradient)
            {
                var dx = context.GradientOf(x, out bool first);
                AddInputGradient(context, dy, weight, dx, first);
            }
            if (weightWanted)
            {
                var dw = context.GradientOf(weight, out bool first);
                MatMul.Multiply(
                    context.Workers, dy.AsMatrix().Transposed, x.AsMatrix(), dw.AsMatrix(), weightGradientScale, first ? 0 : 1, null, Isa.Current, context.Arithmetic);
            }
            if (biasWanted) AddColumnSums(context, dy, bias!);
        });
    }

    /// <summary>dx = dy W, or added to it; some rows of the weight after others where they have to be read or unpacked first.</summary>
    private static void AddInputGradient(Context context, Tensor dy, Tensor weight, Tensor dx, bool first)
    {
        if (weight.IsPacked)
        {
            var mark = context.Arena.Mark;
            var unpacked = context.Arena.Allocate(DType.Float32, Math.Min(UnpackedRows, weight.Rows), weight.Columns);
            for (int row = 0; row < weight.Rows; row += UnpackedRows)
            {
                int begin = row, rows = Math.Min(UnpackedRows, weight.Rows - row);
                context.ForRows(rows, (start, end, _) =>
                {
                    for (int i = start; i < end; i++) TensorRows.Read(weight, begin + i, unpacked.Floats + (long)i * weight.Columns);
                });
                Add(new Matrix(unpacked.Data, DType.Float32, rows, weight.Columns, weight.Columns), begin);
            }
            context.Arena.Release(mark);
        }
        else if (weight.Streamed is { } streamed)
        {
            for (int piece = 0; piece < streamed.Pieces; piece++)
            {
                var (start, end) = streamed.Units(piece);
                try
                {
                    Add(new Matrix(streamed.Stream.Acquire(streamed, piece), weight.Type, end - start, weight.Columns, weight.Columns), start);
                }
                finally
                {
                    streamed.Stream.Release(streamed, piece);
                }
            }
        }
        else Add(weight.AsMatrix(), 0);

        void Add(in Matrix rows, int begin)
        {
            MatMul.Multiply(context.Workers, dy.AsMatrix().Part(0, begin, dy.Rows, rows.Rows), rows, dx.AsMatrix(), 1, first ? 0 : 1, null, Isa.Current, context.Arithmetic);
            first = false;
        }
    }

    /// <summary>y = x W^T + bias, by the kernel of the weight's kind.</summary>
    private static void Multiply(Context context, Tensor x, Tensor weight, float* bias, Tensor y)
    {
        if (weight.IsPacked)
            new PanelProduct(x.AsMatrix(), weight, y.AsMatrix(), bias, context.InputPlanes(weight.Type), Isa.Current, Isa.Extension).Run(context.Workers);
        else if (weight.Streamed is { } streamed)
            MultiplyPieces(context, x, weight, streamed, bias, y);
        else
            MatMul.Multiply(context.Workers, x.AsMatrix(), weight.AsMatrix().Transposed, y.AsMatrix(), 1, 0, bias, Isa.Current, context.Arithmetic);
    }

    /// <summary>The same for a weight that is read from its file, some rows at a time.</summary>
    private static void MultiplyPieces(Context context, Tensor x, Tensor weight, StreamedWeight streamed, float* bias, Tensor y)
    {
        for (int piece = 0; piece < streamed.Pieces; piece++)
        {
            var (first, last) = streamed.Units(piece);
            var rows = new Matrix(streamed.Stream.Acquire(streamed, piece), weight.Type, last - first, weight.Columns, weight.Columns);
            try
            {
                MatMul.Multiply(
                    context.Workers, x.AsMatrix(), rows.Transposed, y.AsMatrix().Part(0, first, y.Rows, last - first), 1, 0, bias is null ? null : bias + first, Isa.Current, context.Arithmetic);
            }
            finally
            {
                streamed.Stream.Release(streamed, piece);
            }
        }
    }

    /// <summary>Adds the sum over the rows of dy to the bias' gradient, rows in order, so that the result does not depend on the threads.</summary>
    internal static void AddColumnSums(Context context, Tensor dy, Tensor bias)
    {
        var gradient = context.GradientOf(bias, out bool first);
        if (first) gradient.Clear();
        int rows = dy.Rows, columns = dy.Columns;
        float* source = dy.Floats, sums = gradient.Floats;
        context.ForRows(columns, (start, end, _) =>
        {
            for (int column = start; column < end; column += Vectors.Width)
            {
                int count = end - column;
                var sum = Vectors.Load(sums + column, count);
                for (int row = 0; row < rows; row++) sum += Vectors.Load(source + (long)row * columns + column, count);
                Vectors.Store(sum, sums + column, count);
            }
        }, block: 64);
    }
}
