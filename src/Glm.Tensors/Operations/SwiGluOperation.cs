using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>The gated linear unit of ChatGLM2 and its successors (ChatGLM spec 3.2).</summary>
public static unsafe class SwiGluOperation
{
    /// <summary>
    /// y = silu(v) u where <paramref name="z"/> <c>[rows, 2 inner]</c> = [v, u]: the first half is the gate. silu(v) = v s(v), s(v) = 1 / (1 + e^-v).
    /// </summary>
    /// <remarks>dv = dy u s(v) (1 + v (1 - s(v))); du = dy silu(v).</remarks>
    public static Tensor SwiGlu(this Context context, Tensor z)
    {
        var y = context.New(z.Rows, z.Columns / 2);
        context.ForRows(z.Rows, new ForwardBody(context, z, y), block: 8);
        if (context.Recording) RecordBackward(context, z, y);
        return y;
    }

    private static void RecordBackward(Context context, Tensor z, Tensor y) =>
        context.Record(y, z.RequiresGradient, () =>
        {
            var dz = context.GradientOf(z, out bool first);
            if (!first) throw new InvalidOperationException("the input of SwiGLU has one consumer");
            context.ForRows(z.Rows, (start, end, worker) =>
            {
                for (int row = start; row < end; row++) Backward(context, z, y.Gradient!, dz, row, worker);
            }, block: 8);
        });

    private static void Backward(Context context, Tensor z, Tensor dy, Tensor dz, int row, int worker)
    {
        int inner = dy.Columns;
        float* v = TensorRows.Read(z, row, context.Scratch(worker, 2L * inner)), u = v + inner;
        float* upstream = dy.Floats + (long)row * inner, dv = dz.Floats + 2L * row * inner, du = dv + inner;
        for (int i = 0; i < inner; i += Vectors.Width)
        {
            Vector512<float> gate = Vectors.Load(v + i, inner - i), s = Sigmoid(gate), d = Vectors.Load(upstream + i, inner - i);
            var slope = s * Vector512.FusedMultiplyAdd(gate, Vector512<float>.One - s, Vector512<float>.One);
            Vectors.Store(d * Vectors.Load(u + i, inner - i) * slope, dv + i, inner - i);
            Vectors.Store(d * gate * s, du + i, inner - i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Sigmoid(Vector512<float> x) => Vector512<float>.One / (Vector512<float>.One + VectorMath.Exp(-x));

    private readonly struct ForwardBody(Context context, Tensor z, Tensor y) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int inner = y.Columns;
            float* scratch = context.Scratch(worker, 3L * inner);
            for (long row = start; row < end; row++)
            {
                float* v = TensorRows.Read(z, row, scratch), u = v + inner, target = TensorRows.Target(y, row, scratch + 2 * inner);
                for (int i = 0; i < inner; i += Vectors.Width)
                {
                    var gate = Vectors.Load(v + i, inner - i);
                    Vectors.Store(gate * Sigmoid(gate) * Vectors.Load(u + i, inner - i), target + i, inner - i);
                }
                TensorRows.Write(y, row, target);
            }
        }
    }
}
