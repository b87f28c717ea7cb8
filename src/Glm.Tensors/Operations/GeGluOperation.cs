using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>The gated linear unit of GLM-130B (spec 1.7).</summary>
public static unsafe class GeGluOperation
{
    /// <summary>
    /// y = u gelu(v) where <paramref name="z"/> <c>[rows, 2 inner]</c> = [u, v]: the second half is the gate. gelu(v) = v Phi(v), the exact form.
    /// </summary>
    /// <remarks>du = dy gelu(v); dv = dy u (Phi(v) + v phi(v)).</remarks>
    public static Tensor GeGlu(this Context context, Tensor z)
    {
        var y = context.New(z.Rows, z.Columns / 2);
        context.ForRows(z.Rows, new ForwardBody(context, z, y), block: 8);
        if (context.Recording) RecordBackward(context, z, y);
        return y;
    }

    private static void RecordBackward(Context context, Tensor z, Tensor y) =>
        context.Record(y, z.RequiresGradient, () =>
        {
            int rows = y.Rows, inner = y.Columns;
            var dz = context.GradientOf(z, out bool first);
            if (!first) throw new InvalidOperationException("the input of GeGLU has one consumer");
            context.ForRows(rows, (start, end, worker) =>
            {
                float* scratch = context.Scratch(worker, 2L * inner);
                for (int row = start; row < end; row++)
                {
                    float* u = TensorRows.Read(z, row, scratch), v = u + inner;
                    float* dy = y.Gradient!.Floats + (long)row * inner, du = dz.Floats + 2L * row * inner, dv = du + inner;
                    for (int i = 0; i < inner; i += Vectors.Width)
                    {
                        var gate = Vectors.Load(v + i, inner - i);
                        var upstream = Vectors.Load(dy + i, inner - i);
                        var (distribution, density) = VectorMath.Normal(gate);
                        Vectors.Store(upstream * gate * distribution, du + i, inner - i);
                        Vectors.Store(upstream * Vectors.Load(u + i, inner - i) * Vector512.FusedMultiplyAdd(gate, density, distribution), dv + i, inner - i);
                    }
                }
            }, block: 8);
        });

    private readonly struct ForwardBody(Context context, Tensor z, Tensor y) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int inner = y.Columns;
            float* scratch = context.Scratch(worker, 3L * inner);
            for (long row = start; row < end; row++)
            {
                float* u = TensorRows.Read(z, row, scratch), v = u + inner, target = TensorRows.Target(y, row, scratch + 2 * inner);
                for (int i = 0; i < inner; i += Vectors.Width)
                {
                    var gate = Vectors.Load(v + i, inner - i);
                    Vectors.Store(Vectors.Load(u + i, inner - i) * gate * VectorMath.Normal(gate).Distribution, target + i, inner - i);
                }
                TensorRows.Write(y, row, target);
            }
        }
    }
}
