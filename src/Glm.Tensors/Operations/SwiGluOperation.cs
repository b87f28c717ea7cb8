using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>The gated linear unit of ChatGLM2 and its successors (ChatGLM spec 3.2).</summary>
public static class SwiGluOperation
{
    /// <summary>
    /// y = silu(v) u where <paramref name="z"/> <c>[rows, 2 inner]</c> = [v, u]: the first half is the gate. silu(v) = v s(v), s(v) = 1 / (1 + e^-v).
    /// </summary>
    /// <remarks>dv = dy u s(v) (1 + v (1 - s(v))); du = dy silu(v).</remarks>
    public static Tensor SwiGlu(this Context context, Tensor z) => GatedUnit.Apply<Silu>(context, z);

    private readonly struct Silu : IGate
    {
        public static bool IsFirst => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Activation(Vector512<float> v) => v * Sigmoid(v);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector512<float> Activation, Vector512<float> Slope) WithSlope(Vector512<float> v)
        {
            var s = Sigmoid(v);
            return (v * s, s * Vector512.FusedMultiplyAdd(v, Vector512<float>.One - s, Vector512<float>.One));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector512<float> Sigmoid(Vector512<float> x) => Vector512<float>.One / (Vector512<float>.One + VectorMath.Exp(-x));
    }
}
