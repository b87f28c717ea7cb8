using System.Buffers.Binary;

namespace Glm.Formats;

/// <summary>Expands one block to other bytes: float32 values, or a block of a type that kernels have.</summary>
internal delegate void BlockExpansion<T>(ReadOnlySpan<byte> block, Span<T> values);

/// <summary>
/// The blocks of GGUF that kernels do not have (spec 10.2). Scales, minima and integers have so few bits that every product below is exact in float32: a value
/// is rounded once.
/// </summary>
internal static class GgufBlocks
{
    private const int Small = 32, Large = 256, HalfBytes = 2;

    /// <summary>d n + m.</summary>
    public static void Q4_1(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = Half(block, 0), m = Half(block, HalfBytes);
        var nibbles = block[(2 * HalfBytes)..];
        for (int j = 0; j < Small / 2; j++)
        {
            values[j] = d * (nibbles[j] & 15) + m;
            values[j + Small / 2] = d * (nibbles[j] >> 4) + m;
        }
    }

    /// <summary>d (n - 16) with n of 5 bits is d times a signed byte: the same numbers as a block of Q8_0.</summary>
    public static void Q5_0(ReadOnlySpan<byte> block, Span<byte> q8)
    {
        block[..HalfBytes].CopyTo(q8);
        uint high = BinaryPrimitives.ReadUInt32LittleEndian(block[HalfBytes..]);
        var nibbles = block[(HalfBytes + sizeof(uint))..];
        var integers = q8[HalfBytes..];
        for (int j = 0; j < Small; j++) integers[j] = (byte)(Five(nibbles, high, j) - 16);
    }

    /// <summary>d n + m with n of 5 bits.</summary>
    public static void Q5_1(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = Half(block, 0), m = Half(block, HalfBytes);
        uint high = BinaryPrimitives.ReadUInt32LittleEndian(block[(2 * HalfBytes)..]);
        var nibbles = block[(2 * HalfBytes + sizeof(uint))..];
        for (int j = 0; j < Small; j++) values[j] = d * Five(nibbles, high, j) + m;
    }

    /// <summary>d s n - dmin t, where s and t of 6 bits belong to each 32 values.</summary>
    public static void Q4_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> scales = block.Slice(2 * HalfBytes, 12), nibbles = block[(2 * HalfBytes + 12)..];
        for (int s = 0; s < Large / Small; s++)
        {
            var (scale, minimum) = SubBlock(block, scales, s);
            for (int l = 0; l < Small; l++) values[Small * s + l] = scale * (nibbles[s / 2 * Small + l] >> 4 * (s & 1) & 15) - minimum;
        }
    }

    /// <summary>The same with n of 5 bits: the fifth of sub-block s is bit s of a byte that all sub-blocks share.</summary>
    public static void Q5_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> scales = block.Slice(2 * HalfBytes, 12), high = block.Slice(2 * HalfBytes + 12, Small), nibbles = block[(2 * HalfBytes + 12 + Small)..];
        for (int s = 0; s < Large / Small; s++)
        {
            var (scale, minimum) = SubBlock(block, scales, s);
            for (int l = 0; l < Small; l++)
                values[Small * s + l] = scale * ((nibbles[s / 2 * Small + l] >> 4 * (s & 1) & 15) | (high[l] >> s & 1) << 4) - minimum;
        }
    }

    /// <summary>d s (n - 32) with n of 6 bits and a signed byte s for each 16 values; each half of the block has its own bytes.</summary>
    public static void Q6_K(ReadOnlySpan<byte> block, Span<float> values)
    {
        const int Half128 = Large / 2;
        float d = Half(block, Large / 2 + Large / 4 + Large / 16);
        for (int k = 0; k < 2; k++)
        {
            ReadOnlySpan<byte> low = block.Slice(64 * k, 64), high = block.Slice(Half128 + 32 * k, 32), scales = block.Slice(Half128 + 64 + 8 * k, 8);
            for (int i = 0; i < Half128; i++)
            {
                int l = i % 32, quarter = i / 32;
                int n = (low[i % 64] >> 4 * (quarter / 2) & 15) | (high[l] >> 2 * quarter & 3) << 4;
                values[Half128 * k + i] = d * (sbyte)scales[i / 16] * (n - 32);
            }
        }
    }

    /// <summary>Scale and minimum of sub-block <paramref name="s"/>: 6 bits each, the first four in bytes of their own, whose upper bits belong to the others.</summary>
    private static (float Scale, float Minimum) SubBlock(ReadOnlySpan<byte> block, ReadOnlySpan<byte> scales, int s)
    {
        int scale = s < 4 ? scales[s] & 63 : (scales[s + 4] & 15) | scales[s - 4] >> 6 << 4;
        int minimum = s < 4 ? scales[s + 4] & 63 : scales[s + 4] >> 4 | scales[s] >> 6 << 4;
        return (Half(block, 0) * scale, Half(block, HalfBytes) * minimum);
    }

    /// <summary>Value j of 5 bits: a nibble, and bit j of <paramref name="high"/> above it.</summary>
    private static int Five(ReadOnlySpan<byte> nibbles, uint high, int j) => (nibbles[j % (Small / 2)] >> 4 * (j / (Small / 2)) & 15) | (int)(high >> j & 1) << 4;

    private static float Half(ReadOnlySpan<byte> block, int at) => (float)BinaryPrimitives.ReadHalfLittleEndian(block[at..]);
}
