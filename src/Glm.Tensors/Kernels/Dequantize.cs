using System.Runtime.CompilerServices;

namespace Glm.Tensors;

/// <summary>
/// The value of a quantised weight is fp16(integer * scale), as the original expands it (specification, section 6.1). The
/// product of an 8-bit integer and an 11-bit significand is exact in binary32; it is then rounded to 11 bits.
/// </summary>
internal static unsafe class Dequantize
{
    /// <summary>Scales up to here keep |integer * scale| below the overflow of binary16 (65520).</summary>
    private const float LargestScale = 65519f / 128;

    /// <summary>Whether <see cref="Round"/> may be used with this scale.</summary>
    public static bool IsOrdinary(float scale) => Math.Abs(scale) <= LargestScale;

    /// <summary>The definition.</summary>
    public static float One(int integer, float scale) => (float)(Half)(integer * scale);

    /// <summary>
    /// fp16(integer * scale) for ordinary scales. With 2^e the exponent of v = integer * scale, adding 1.5 * 2^(e+13) leaves
    /// room for 11 bits of v and rounds it half to even. Below 2^-14, where binary16 has fewer bits, v is a multiple of
    /// 2^-24 and thus exact already.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Round<V, L>(V integer, V scale) where V : struct where L : struct, ILanes<V>
    {
        V value = L.Multiply(integer, scale);
        V power = L.And(value, L.Bits(0x7F800000));
        return L.Fma(power, L.Create(-12288), L.Fma(power, L.Create(12288), value));
    }
}
