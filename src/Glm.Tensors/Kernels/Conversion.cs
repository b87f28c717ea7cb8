using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// Conversion between binary32 and the 16-bit formats: exact where it widens, rounded to nearest even where it narrows, with
/// subnormal numbers, infinities and NaN kept.
/// </summary>
internal static unsafe class Conversion
{
    private const uint Infinity = 0x7F800000;

    /// <summary>bfloat16 is the upper half of a binary32.</summary>
    public static float FromBFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Adds half a unit of the last place, less one where the lower neighbour is even, and cuts; a NaN becomes quiet.</summary>
    public static ushort ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if ((bits & ~(1u << 31)) > Infinity) return (ushort)(bits >> 16 | 0x40);
        return (ushort)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }

    /// <summary>bfloat16 in the low halves of the lanes to binary32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V FromBFloat16<V, L>(V bits) where V : struct where L : struct, ILanes<V> => L.ShiftLeft(bits, 16);

    /// <summary>binary32 to bfloat16 in the low halves of the lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V ToBFloat16<V, L>(V value) where V : struct where L : struct, ILanes<V>
    {
        V upper = L.ShiftRight(value, 16);
        V rounded = L.ShiftRight(L.AddBits(L.AddBits(value, L.Bits(0x7FFF)), L.And(upper, L.Bits(1))), 16);
        return L.SelectGreaterBits(L.And(value, L.Bits(~(1u << 31))), L.Bits(Infinity), L.Or(upper, L.Bits(0x40)), rounded);
    }

    /// <summary>binary16 in the low halves of the lanes to binary32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V FromHalf<V, L>(V bits) where V : struct where L : struct, ILanes<V>
    {
        const uint bias = (127 - 15) << 23;
        V magnitude = L.ShiftLeft(L.And(bits, L.Bits(0x7FFF)), 13), sign = L.ShiftLeft(L.And(bits, L.Bits(0x8000)), 16);
        V normal = L.AddBits(magnitude, L.Bits(bias));
        V infinite = L.AddBits(normal, L.Bits(bias));
        // A subnormal m * 2^-24 becomes the significand of 2^-14 + m * 2^-24, from which 2^-14 is taken.
        V subnormal = L.Add(L.AddBits(normal, L.Bits(1 << 23)), L.Create(-1f / (1 << 14)));
        V value = L.SelectGreaterBits(magnitude, L.Bits(0x7BFF << 13), infinite, normal);
        return L.Or(L.SelectGreaterBits(L.Bits(1 << 23), magnitude, subnormal, value), sign);
    }

    /// <summary>binary32 to binary16 in the low halves of the lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V ToHalf<V, L>(V value) where V : struct where L : struct, ILanes<V>
    {
        const uint bias = (127 - 15) << 23;
        V magnitude = L.And(value, L.Bits(~(1u << 31))), sign = L.ShiftRight(L.And(value, L.Bits(1u << 31)), 16);
        V odd = L.And(L.ShiftRight(magnitude, 13), L.Bits(1));
        V normal = L.ShiftRight(L.AddBits(L.AddBits(magnitude, L.Bits(unchecked(0xFFF - bias))), odd), 13); // 65520 and more carry into infinity
        // 0.5 has the unit 2^-24 of subnormal numbers, so that the addition rounds to it.
        V subnormal = L.AddBits(L.Add(magnitude, L.Create(0.5f)), L.Bits(unchecked(0u - 0x3F000000)));
        V nan = L.Or(L.And(L.ShiftRight(magnitude, 13), L.Bits(0x3FF)), L.Bits(0x7E00));
        V large = L.SelectGreaterBits(magnitude, L.Bits(Infinity), nan, L.Bits(0x7C00));
        V result = L.SelectGreaterBits(L.Bits(0x38800000), magnitude, subnormal, normal);
        return L.Or(L.SelectGreaterBits(magnitude, L.Bits(0x477FFFFF), large, result), sign);
    }

    /// <summary>Widens <paramref name="count"/> numbers of any floating-point type to binary32.</summary>
    public static void Widen(void* source, DType type, float* target, nint count, InstructionSet isa) =>
        Elements.Decode((byte*)source, type, 0, 0, count, target, isa);

    /// <summary>Narrows <paramref name="count"/> binary32 numbers to bfloat16 or binary16, or copies them.</summary>
    public static void Narrow(float* source, void* target, DType type, nint count, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512: Narrow<Vector512<float>, Lanes512>(source, target, type, count); break;
            case InstructionSet.Avx2: Narrow<Vector256<float>, Lanes256>(source, target, type, count); break;
            default: Narrow<Vector128<float>, Lanes128>(source, target, type, count); break;
        }
    }

    /// <summary>Rounds binary32 numbers to the nearest binary16 in their place; 65520 and more become infinite.</summary>
    public static void RoundToHalf(float* values, nint count, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512: RoundToHalf<Vector512<float>, Lanes512>(values, count); break;
            case InstructionSet.Avx2: RoundToHalf<Vector256<float>, Lanes256>(values, count); break;
            default: RoundToHalf<Vector128<float>, Lanes128>(values, count); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RoundToHalf<V, L>(float* values, nint count) where V : struct where L : struct, ILanes<V>
    {
        nint i = 0;
        for (; i + L.Count <= count; i += L.Count) L.Store(FromHalf<V, L>(ToHalf<V, L>(L.Load(values + i))), values + i);
        for (; i < count; i++) values[i] = (float)(Half)values[i];
    }

    private static void Narrow<V, L>(float* source, void* target, DType type, nint count) where V : struct where L : struct, ILanes<V>
    {
        switch (type)
        {
            case DType.Float32: Buffer.MemoryCopy(source, target, count * sizeof(float), count * sizeof(float)); break;
            case DType.BFloat16: NarrowToBFloat16<V, L>(source, (ushort*)target, count); break;
            case DType.Float16: NarrowToHalf<V, L>(source, (ushort*)target, count); break;
            default: throw new ArgumentException($"{type} is not a floating-point type");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void NarrowToBFloat16<V, L>(float* source, ushort* target, nint count) where V : struct where L : struct, ILanes<V>
    {
        nint i = 0;
        for (; i + L.Count <= count; i += L.Count) L.StoreUInt16(ToBFloat16<V, L>(L.Load(source + i)), target + i);
        for (; i < count; i++) target[i] = ToBFloat16(source[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void NarrowToHalf<V, L>(float* source, ushort* target, nint count) where V : struct where L : struct, ILanes<V>
    {
        nint i = 0;
        for (; i + L.Count <= count; i += L.Count) L.StoreUInt16(ToHalf<V, L>(L.Load(source + i)), target + i);
        for (; i < count; i++) target[i] = BitConverter.HalfToUInt16Bits((Half)source[i]);
    }
}
