using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Glm.Tensors;

/// <summary>Sums of products of one block of 16 rows of packed weights and 32 inputs.</summary>
internal unsafe interface IBlockDot
{
    /// <summary>sums[row] = sum over the inputs of u[row, input] * q[input].</summary>
    static abstract void Dot(int bits, byte* weights, sbyte* q, int* sums);
}

/// <summary>One product after another: the definition.</summary>
internal readonly unsafe struct BlockDotPortable : IBlockDot
{
    public static void Dot(int bits, byte* weights, sbyte* q, int* sums)
    {
        for (int row = 0; row < PanelLayout.PanelRows; row++)
        {
            int sum = 0;
            for (int input = 0; input < PanelLayout.BlockInputs; input++)
            {
                int vector = bits == 8 ? input / 4 : input / 4 % 4, value = weights[(vector * PanelLayout.PanelRows + row) * 4 + input % 4];
                sum += (bits == 8 ? value : input < PanelLayout.BlockInputs / 2 ? value & 15 : value >> 4) * q[input];
            }
            sums[row] = sum;
        }
    }
}

/// <summary>
/// 256-bit vectors. Products of nibbles and signed bytes, two by two, are 16-bit integers of at most 3,840, so that the eight of a lane add up without overflow;
/// bytes are taken as two nibbles.
/// </summary>
internal readonly unsafe struct BlockDot256 : IBlockDot
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dot(int bits, byte* weights, sbyte* q, int* sums)
    {
        Vector256<short> ones = Vector256<short>.One;
        for (int half = 0; half < 2; half++, weights += 32, sums += 8)
        {
            Vector256<short> low = default, high = default;
            if (bits == 4)
            {
                for (int v = 0; v < 4; v++)
                {
                    Vector256<byte> w = Vector256.Load(weights + 64 * v);
                    low += Avx2.MultiplyAddAdjacent(Low(w), Four(q, v)) + Avx2.MultiplyAddAdjacent(High(w), Four(q, v + 4));
                }
                Avx2.MultiplyAddAdjacent(low, ones).Store(sums);
            }
            else
            {
                for (int v = 0; v < 8; v++)
                {
                    Vector256<byte> w = Vector256.Load(weights + 64 * v);
                    low += Avx2.MultiplyAddAdjacent(Low(w), Four(q, v));
                    high += Avx2.MultiplyAddAdjacent(High(w), Four(q, v));
                }
                (Avx2.MultiplyAddAdjacent(low, ones) + (Avx2.MultiplyAddAdjacent(high, ones) << 4)).Store(sums);
            }
        }
    }

    private static Vector256<byte> Low(Vector256<byte> w) => w & Vector256.Create((byte)15);

    private static Vector256<byte> High(Vector256<byte> w) => (w.AsUInt16() >> 4).AsByte() & Vector256.Create((byte)15);

    private static Vector256<sbyte> Four(sbyte* q, int v) => Vector256.Create(((int*)q)[v]).AsSByte();
}

/// <summary>512-bit vectors without VNNI; see <see cref="BlockDot256"/>.</summary>
internal readonly unsafe struct BlockDot512 : IBlockDot
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Dot(int bits, byte* weights, sbyte* q, int* sums)
    {
        Vector512<short> ones = Vector512<short>.One, low = default, high = default;
        if (bits == 4)
        {
            for (int v = 0; v < 4; v++)
            {
                Vector512<byte> w = Vector512.Load(weights + 64 * v);
                low += Avx512BW.MultiplyAddAdjacent(Low(w), Four(q, v)) + Avx512BW.MultiplyAddAdjacent(High(w), Four(q, v + 4));
            }
            Avx512BW.MultiplyAddAdjacent(low, ones).Store(sums);
        }
        else
        {
            for (int v = 0; v < 8; v++)
            {
                Vector512<byte> w = Vector512.Load(weights + 64 * v);
                low += Avx512BW.MultiplyAddAdjacent(Low(w), Four(q, v));
                high += Avx512BW.MultiplyAddAdjacent(High(w), Four(q, v));
            }
            (Avx512BW.MultiplyAddAdjacent(low, ones) + (Avx512BW.MultiplyAddAdjacent(high, ones) << 4)).Store(sums);
        }
    }

    private static Vector512<byte> Low(Vector512<byte> w) => w & Vector512.Create((byte)15);

    private static Vector512<byte> High(Vector512<byte> w) => (w.AsUInt16() >> 4).AsByte() & Vector512.Create((byte)15);

    private static Vector512<sbyte> Four(sbyte* q, int v) => Vector512.Create(((int*)q)[v]).AsSByte();
}
