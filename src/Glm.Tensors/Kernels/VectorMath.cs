using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// Elementary functions on sixteen floats at a time. <see cref="Vector512{T}"/> is an abstraction: where the processor has shorter vectors, the
/// runtime splits it.
/// </summary>
internal static class VectorMath
{
    /// <summary>e^x, within 2 units in the last place; 0 below -87.3, the largest finite power above 88.3.</summary>
    /// <remarks>x = n ln 2 + r with |r| at most ln 2 / 2; e^r by its Taylor polynomial of degree 7; 2^n through the exponent bits.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        var tooSmall = Vector512.LessThan(x, Vector512.Create(-87.33654f));
        x = Vector512.Min(Vector512.Max(x, Vector512.Create(-87.33654f)), Vector512.Create(88.02969f));
        var n = Vector512.Round(x * Vector512.Create(1.44269504f));
        var r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693145752f), x);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-1.42860677e-6f), r);
        var p = Vector512.Create(1f / 5040);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f / 720));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f / 120));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f / 24));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1f / 6));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(0.5f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        var power = Vector512.ShiftLeft(Vector512.ConvertToInt32(n) + Vector512.Create(127), 23).AsSingle();
        return Vector512.ConditionalSelect(tooSmall, Vector512<float>.Zero, p * power);
    }

    /// <summary>
    /// The standard normal distribution function and density: Phi(x) = (1 + erf(x / sqrt 2)) / 2 and phi(x), which GELU(x) = x Phi(x) and its
    /// derivative Phi(x) + x phi(x) are made of.
    /// </summary>
    /// <remarks>erfc(z) = e^(-z z) P(t), t = 1 / (1 + p z), z at least 0: Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Distribution, Vector512<float> Density) Normal(Vector512<float> x)
    {
        var z = Vector512.Abs(x) * Vector512.Create(0.707106781f);
        var t = Vector512<float>.One / Vector512.FusedMultiplyAdd(Vector512.Create(0.3275911f), z, Vector512<float>.One);
        var p = Vector512.Create(1.061405429f);
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(-1.453152027f));
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(1.421413741f));
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(-0.284496736f));
        p = Vector512.FusedMultiplyAdd(p, t, Vector512.Create(0.254829592f));
        var gauss = Exp(-(z * z));
        var tail = p * t * gauss * Vector512.Create(0.5f);
        var distribution = Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512<float>.Zero), tail, Vector512<float>.One - tail);
        return (distribution, gauss * Vector512.Create(0.398942280f));
    }
}
