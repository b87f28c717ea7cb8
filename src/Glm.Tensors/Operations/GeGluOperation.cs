using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>The gated linear unit of GLM-130B (spec 1.7).</summary>
public static class GeGluOperation
{
    /// <summary>
    /// y = u gelu(v) where <paramref name="z"/> <c>[rows, 2 inner]</c> = [u, v]: the second half is the gate. gelu(v) = v Phi(v), the exact form.
    /// </summary>
    /// <remarks>du = dy gelu(v); dv = dy u (Phi(v) + v phi(v)).</remarks>
    public static Tensor GeGlu(this Context context, Tensor z) => GatedUnit.Apply<Gelu>(context, z);

    private readonly struct Gelu : IGate
    {
        public static bool IsFirst => false;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Activation(Vector512<float> v) => v * VectorMath.Normal(v).Distribution;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector512<float> Activation, Vector512<float> Slope) WithSlope(Vector512<float> v)
        {
            var (distribution, density) = VectorMath.Normal(v);
            return (v * distribution, Vector512.FusedMultiplyAdd(v, density, distribution));
        }
    }
}
