namespace Glm.Tensors;

/// <summary>What makes one gated linear unit differ from another.</summary>
internal interface IGate : IActivation
{
    /// <summary>Whether the gate is the first half of the input, rather than the second.</summary>
    static abstract bool IsFirst { get; }
}

/// <summary>Gated linear units y = u a(v), where the input <c>[rows, 2 inner]</c> holds the gate v and the other half u. du = dy a(v); dv = dy u a'(v).</summary>
internal static unsafe class GatedUnit
{
    private const int BlockRows = 8;

    /// <summary>y <c>[rows, inner]</c>.</summary>
    public static Tensor Apply<TGate>(Context context, Tensor z) where TGate : struct, IGate
    {
        var y = context.New(z.Rows, z.Columns / 2);
        context.ForRows(z.Rows, new ForwardBody<TGate>(context, z, y), BlockRows);
        if (context.Recording) RecordBackward<TGate>(context, z, y);
        return y;
    }

    private static void RecordBackward<TGate>(Context context, Tensor z, Tensor y) where TGate : struct, IGate =>
        context.Record(y, z.RequiresGradient, () =>
        {
            var dz = context.GradientOf(z, out bool first);
            if (!first) throw new InvalidOperationException("the input of a gated unit has one consumer");
            context.ForRows(z.Rows, new BackwardBody<TGate>(context, z, y.Gradient!, dz), BlockRows);
        });

    private readonly struct ForwardBody<TGate>(Context context, Tensor z, Tensor y) : IRangeBody where TGate : struct, IGate
    {
        public void Invoke(long start, long end, int worker)
        {
            int inner = y.Columns;
            float* scratch = context.Scratch(worker, 3L * inner);
            for (long row = start; row < end; row++)
            {
                float* input = TensorRows.Read(z, row, scratch), target = TensorRows.Target(y, row, scratch + 2 * inner);
                float* v = TGate.IsFirst ? input : input + inner, u = TGate.IsFirst ? input + inner : input;
                for (int i = 0; i < inner; i += Vectors.Width)
                    Vectors.Store(Vectors.Load(u + i, inner - i) * TGate.Activation(Vectors.Load(v + i, inner - i)), target + i, inner - i);
                TensorRows.Write(y, row, target);
            }
        }
    }

    private readonly struct BackwardBody<TGate>(Context context, Tensor z, Tensor dy, Tensor dz) : IRangeBody where TGate : struct, IGate
    {
        public void Invoke(long start, long end, int worker)
        {
            int inner = dy.Columns;
            float* scratch = context.Scratch(worker, 2L * inner);
            for (long row = start; row < end; row++)
            {
                float* input = TensorRows.Read(z, row, scratch), gradient = dz.Floats + 2 * row * inner, upstream = dy.Floats + row * inner;
                int gate = TGate.IsFirst ? 0 : inner, other = inner - gate;
                for (int i = 0; i < inner; i += Vectors.Width)
                {
                    var d = Vectors.Load(upstream + i, inner - i);
                    var (activation, slope) = TGate.WithSlope(Vectors.Load(input + gate + i, inner - i));
                    Vectors.Store(d * activation, gradient + other + i, inner - i);
                    Vectors.Store(d * Vectors.Load(input + other + i, inner - i) * slope, gradient + gate + i, inner - i);
                }
            }
        }
    }
}
