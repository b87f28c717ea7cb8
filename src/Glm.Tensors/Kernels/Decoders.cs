using System.Runtime.CompilerServices;

namespace Glm.Tensors;

/// <summary>Reads one type of element as binary32. <c>row</c> points to element 0 of contiguous elements.</summary>
internal unsafe interface IDecoder<V> where V : struct
{
    /// <summary>Bits of one element.</summary>
    static abstract int Bits { get; }

    /// <summary>What <see cref="Load"/> needs to know of the scale of these elements.</summary>
    static abstract V Prepare(float scale);

    /// <summary>Elements [index, index + 2 vectors); index must be even.</summary>
    static abstract void Load(byte* row, nint index, V prepared, out V first, out V second);

    static abstract float LoadOne(byte* row, nint index, float scale);
}

internal readonly unsafe struct Float32Decoder<V, L> : IDecoder<V> where V : struct where L : struct, ILanes<V>
{
    public static int Bits => 32;

    public static V Prepare(float scale) => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* row, nint index, V prepared, out V first, out V second)
    {
        float* source = (float*)row + index;
        first = L.Load(source);
        second = L.Load(source + L.Count);
    }

    public static float LoadOne(byte* row, nint index, float scale) => ((float*)row)[index];
}

internal readonly unsafe struct BFloat16Decoder<V, L> : IDecoder<V> where V : struct where L : struct, ILanes<V>
{
    public static int Bits => 16;

    public static V Prepare(float scale) => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* row, nint index, V prepared, out V first, out V second)
    {
        ushort* source = (ushort*)row + index;
        first = Conversion.FromBFloat16<V, L>(L.LoadUInt16(source));
        second = Conversion.FromBFloat16<V, L>(L.LoadUInt16(source + L.Count));
    }

    public static float LoadOne(byte* row, nint index, float scale) => Conversion.FromBFloat16(((ushort*)row)[index]);
}

internal readonly unsafe struct HalfDecoder<V, L> : IDecoder<V> where V : struct where L : struct, ILanes<V>
{
    public static int Bits => 16;

    public static V Prepare(float scale) => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* row, nint index, V prepared, out V first, out V second)
    {
        ushort* source = (ushort*)row + index;
        first = Conversion.FromHalf<V, L>(L.LoadUInt16(source));
        second = Conversion.FromHalf<V, L>(L.LoadUInt16(source + L.Count));
    }

    public static float LoadOne(byte* row, nint index, float scale) => (float)((Half*)row)[index];
}

internal readonly unsafe struct Int8Decoder<V, L> : IDecoder<V> where V : struct where L : struct, ILanes<V>
{
    public static int Bits => 8;

    public static V Prepare(float scale) => L.Create(scale);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* row, nint index, V prepared, out V first, out V second)
    {
        sbyte* source = (sbyte*)row + index;
        first = Dequantize.Round<V, L>(L.LoadInt8(source), prepared);
        second = Dequantize.Round<V, L>(L.LoadInt8(source + L.Count), prepared);
    }

    public static float LoadOne(byte* row, nint index, float scale) => Dequantize.One(((sbyte*)row)[index], scale);
}

internal readonly unsafe struct Int4Decoder<V, L> : IDecoder<V> where V : struct where L : struct, ILanes<V>
{
    public static int Bits => 4;

    public static V Prepare(float scale) => L.PrepareInt4(scale);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* row, nint index, V prepared, out V first, out V second) =>
        L.LoadInt4(row + index / 2, prepared, out first, out second);

    /// <summary>The even column is the high nibble.</summary>
    public static float LoadOne(byte* row, nint index, float scale)
    {
        int pair = (sbyte)row[index / 2];
        return Dequantize.One((index & 1) == 0 ? pair >> 4 : pair << 28 >> 28, scale);
    }
}
