namespace Glm.Tensors;

/// <summary>Dropout.</summary>
public static unsafe class DropoutOperation
{
    /// <summary>
    /// y = x m / (1 - p), m = 0 with probability p and 1 otherwise, drawn by (seed, stream, element) so that recomputation and any number of
    /// threads draw the same. Outside training, or with p = 0, y is x itself.
    /// </summary>
    public static Tensor Dropout(this Context context, Tensor x, float probability)
    {
        if (!context.Training || probability == 0) return x;
        var mask = new DropoutMask(context, probability);
        var y = context.New(x.Shape);
        context.ForRows(x.Rows, new ForwardBody(context, x, y, mask));
        if (context.Recording) RecordBackward(context, x, y, mask);
        return y;
    }

    private static void RecordBackward(Context context, Tensor x, Tensor y, DropoutMask mask) =>
        context.Record(y, x.RequiresGradient, () =>
        {
            int columns = x.Columns;
            var gradient = context.GradientOf(x, out bool first);
            context.ForRows(x.Rows, (start, end, _) =>
            {
                for (long i = (long)start * columns; i < (long)end * columns; i++)
                {
                    float dx = y.Gradient!.Floats[i] * mask.Factor(i);
                    gradient.Floats[i] = first ? dx : gradient.Floats[i] + dx;
                }
            });
        });

    private readonly struct ForwardBody(Context context, Tensor x, Tensor y, DropoutMask mask) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int columns = x.Columns;
            float* scratch = context.Scratch(worker, 2L * columns);
            for (long row = start; row < end; row++)
            {
                float* source = TensorRows.Read(x, row, scratch), target = TensorRows.Target(y, row, scratch + columns);
                for (int i = 0; i < columns; i++) target[i] = source[i] * mask.Factor(row * columns + i);
                TensorRows.Write(y, row, target);
            }
        }
    }
}

/// <summary>Which elements one dropout keeps, and the factor that keeps the expectation.</summary>
internal readonly struct DropoutMask
{
    private readonly ulong _seed;
    private readonly ulong _stream;
    private readonly uint _threshold;
    private readonly float _keep;

    /// <summary>Takes the context's next random stream.</summary>
    public DropoutMask(Context context, float probability)
    {
        if (probability is < 0 or >= 1) throw new ArgumentOutOfRangeException(nameof(probability), "a dropout probability lies in [0, 1)");
        _seed = context.Seed;
        _stream = context.Stream++;
        _threshold = (uint)(probability * 4294967296.0);
        _keep = 1 / (1 - probability);
    }

    /// <summary>0 for a dropped element, 1 / (1 - p) for a kept one.</summary>
    public float Factor(long element) => CounterRandom.At(_seed, _stream, (ulong)element) < _threshold ? 0 : _keep;
}
