using System.Runtime.CompilerServices;

namespace Glm.Tensors;

/// <summary>A vector for each of four rows, or of two rows in two planes.</summary>
internal struct FourSums<V> where V : struct
{
    public V Row0, Row1, Row2, Row3;
}

/// <summary>
/// Sums of products of a block of packed weights (<see cref="PanelLayout"/>) and 32 inputs, exact: an output in each 32-bit lane. Products of nibbles and
/// signed bytes, two by two, are 16-bit integers of at most 3,840, so that the eight pairs of a lane add up without overflow; bytes are taken as two nibbles.
/// </summary>
internal static unsafe class NibbleProducts
{
    private const int VectorBytes = PanelLayout.PanelRows * sizeof(int);

    /// <summary>Weights of 8 bits times four rows of inputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourSums<V> OfBytes<V, L>(byte* weights, byte* q) where V : struct where L : struct, ILanes<V>
    {
        FourSums<V> lows = default, highs = default;
        for (int v = 0; v < PanelLayout.BlockInputs / 4; v++, weights += VectorBytes, q += sizeof(int))
        {
            V packed = L.Load((float*)weights);
            Add<V, L>(ref lows, ref highs, Low<V, L>(packed), High<V, L>(packed), q);
        }
        return new()
        {
            Row0 = Bytes<V, L>(lows.Row0, highs.Row0),
            Row1 = Bytes<V, L>(lows.Row1, highs.Row1),
            Row2 = Bytes<V, L>(lows.Row2, highs.Row2),
            Row3 = Bytes<V, L>(lows.Row3, highs.Row3),
        };
    }

    /// <summary>Weights of 4 bits times four rows of inputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FourSums<V> OfNibbles<V, L>(byte* weights, byte* q) where V : struct where L : struct, ILanes<V>
    {
        FourSums<V> sums = default;
        for (int v = 0; v < PanelLayout.BlockInputs / 8; v++, weights += VectorBytes, q += sizeof(int))
        {
            V packed = L.Load((float*)weights);
            Add<V, L>(ref sums, Low<V, L>(packed), q);
            Add<V, L>(ref sums, High<V, L>(packed), q + 16);
        }
        return Integers<V, L>(sums);
    }

    /// <summary>Weights of 4 bits, two vectors of outputs that stand side by side, times four rows of inputs, which are read once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OfNibbles<V, L>(byte* weights, byte* q, out FourSums<V> first, out FourSums<V> second) where V : struct where L : struct, ILanes<V>
    {
        FourSums<V> sums0 = default, sums1 = default;
        for (int v = 0; v < PanelLayout.BlockInputs / 8; v++, weights += VectorBytes, q += sizeof(int))
        {
            V packed0 = L.Load((float*)weights), packed1 = L.Load((float*)weights + L.Count);
            Add<V, L>(ref sums0, ref sums1, Low<V, L>(packed0), Low<V, L>(packed1), q);
            Add<V, L>(ref sums0, ref sums1, High<V, L>(packed0), High<V, L>(packed1), q + 16);
        }
        first = Integers<V, L>(sums0);
        second = Integers<V, L>(sums1);
    }

    /// <summary>Weights times one row of inputs, or one plane of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V OfRow<V, L>(int bits, byte* weights, byte* q) where V : struct where L : struct, ILanes<V>
    {
        V lows = L.Bits(0), highs = lows;
        if (bits == 4)
        {
            for (int v = 0; v < PanelLayout.BlockInputs / 8; v++, weights += VectorBytes, q += sizeof(int))
            {
                V packed = L.Load((float*)weights);
                lows = L.AddNibbleProducts(lows, Low<V, L>(packed), Inputs<V, L>(q, 0));
                highs = L.AddNibbleProducts(highs, High<V, L>(packed), Inputs<V, L>(q + 16, 0));
            }
            return L.AddBits(L.SumNibbleProducts(lows), L.SumNibbleProducts(highs));
        }
        for (int v = 0; v < PanelLayout.BlockInputs / 4; v++, weights += VectorBytes, q += sizeof(int))
        {
            V packed = L.Load((float*)weights);
            Add<V, L>(ref lows, ref highs, Low<V, L>(packed), High<V, L>(packed), Inputs<V, L>(q, 0));
        }
        return Bytes<V, L>(lows, highs);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Low<V, L>(V packed) where V : struct where L : struct, ILanes<V> => L.And(packed, L.Bits(0x0F0F0F0F));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V High<V, L>(V packed) where V : struct where L : struct, ILanes<V> => L.And(L.ShiftRight(packed, 4), L.Bits(0x0F0F0F0F));

    /// <summary>Four inputs of a row, in every lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Inputs<V, L>(byte* q, int row) where V : struct where L : struct, ILanes<V> => L.Bits(*(uint*)(q + row * PanelLayout.BlockInputs));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<V, L>(ref FourSums<V> sums, V nibbles, byte* q) where V : struct where L : struct, ILanes<V>
    {
        sums.Row0 = L.AddNibbleProducts(sums.Row0, nibbles, Inputs<V, L>(q, 0));
        sums.Row1 = L.AddNibbleProducts(sums.Row1, nibbles, Inputs<V, L>(q, 1));
        sums.Row2 = L.AddNibbleProducts(sums.Row2, nibbles, Inputs<V, L>(q, 2));
        sums.Row3 = L.AddNibbleProducts(sums.Row3, nibbles, Inputs<V, L>(q, 3));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<V, L>(ref FourSums<V> sums0, ref FourSums<V> sums1, V nibbles0, V nibbles1, byte* q) where V : struct where L : struct, ILanes<V>
    {
        Add<V, L>(ref sums0.Row0, ref sums1.Row0, nibbles0, nibbles1, Inputs<V, L>(q, 0));
        Add<V, L>(ref sums0.Row1, ref sums1.Row1, nibbles0, nibbles1, Inputs<V, L>(q, 1));
        Add<V, L>(ref sums0.Row2, ref sums1.Row2, nibbles0, nibbles1, Inputs<V, L>(q, 2));
        Add<V, L>(ref sums0.Row3, ref sums1.Row3, nibbles0, nibbles1, Inputs<V, L>(q, 3));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<V, L>(ref V sum0, ref V sum1, V nibbles0, V nibbles1, V inputs) where V : struct where L : struct, ILanes<V>
    {
        sum0 = L.AddNibbleProducts(sum0, nibbles0, inputs);
        sum1 = L.AddNibbleProducts(sum1, nibbles1, inputs);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static FourSums<V> Integers<V, L>(in FourSums<V> sums) where V : struct where L : struct, ILanes<V> => new()
    {
        Row0 = L.SumNibbleProducts(sums.Row0),
        Row1 = L.SumNibbleProducts(sums.Row1),
        Row2 = L.SumNibbleProducts(sums.Row2),
        Row3 = L.SumNibbleProducts(sums.Row3),
    };

    /// <summary>Sums of products of bytes, from those of their low and of their high nibbles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Bytes<V, L>(V lows, V highs) where V : struct where L : struct, ILanes<V> =>
        L.AddBits(L.SumNibbleProducts(lows), L.ShiftLeft(L.SumNibbleProducts(highs), 4));
}
