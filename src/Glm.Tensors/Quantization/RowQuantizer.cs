using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>
/// The row-wise INT8 and INT4 of GLM-130B, bit for bit (specification, section 6.1): for each output row and each segment of
/// the input, scale = fp16(max|w| / 127) or fp16(max|w| / 7), and integer = round_half_even(fp16(w / scale)). INT4 keeps two
/// columns in a byte, the even one in the high nibble.
/// <para>
/// A segment is the part of the input that one shard of a tensor-parallel file holds; column-parallel matrices have one.
/// Where the original divides by zero (a row whose scale rounds to zero) the integers are 0, and where a subnormal scale is so
/// coarse that a quotient leaves the range, it is clamped to it.
/// </para>
/// </summary>
public static unsafe class RowQuantizer
{
    private const int Chunk = 256;
    private const int Infinity = 0x7C00;

    /// <summary>
    /// Quantises <paramref name="weight"/> [out, <paramref name="columns"/>] to <paramref name="type"/>.
    /// </summary>
    /// <param name="weight">Row-major half-precision weights.</param>
    /// <param name="columns">The width; a multiple of <paramref name="segments"/>, for INT4 of twice that.</param>
    /// <param name="segments">Into how many equal parts a row is cut, each with its own scale.</param>
    /// <param name="type"><see cref="DType.Int8"/> or <see cref="DType.Int4"/>.</param>
    /// <param name="integers">Receives [out, columns] bytes for INT8, [out, columns / 2] for INT4.</param>
    /// <param name="scales">Receives [segments, out].</param>
    /// <exception cref="GlmException">A weight is not finite, or the width does not fit.</exception>
    /// <exception cref="ArgumentException">The lengths of the spans do not belong together.</exception>
    public static void Quantize(ReadOnlySpan<Half> weight, int columns, int segments, DType type, Span<byte> integers, Span<Half> scales)
    {
        int rows = CheckSizes(weight.Length, columns, segments, type, integers.Length, scales.Length), length = columns / segments;
        for (int row = 0; row < rows; row++)
            for (int segment = 0; segment < segments; segment++)
            {
                int start = row * columns + segment * length;
                ReadOnlySpan<Half> part = weight.Slice(start, length);
                Half scale = Scale(part, type, row);
                scales[segment * rows + row] = scale;
                QuantizePart(part, (float)scale, type, type == DType.Int8 ? integers.Slice(start, length) : integers.Slice(start / 2, length / 2));
            }
    }

    /// <summary>The weights fp16(integer * scale) that a quantised matrix stands for; the parameters are those of <see cref="Quantize"/>.</summary>
    /// <exception cref="GlmException">The width does not fit.</exception>
    /// <exception cref="ArgumentException">The lengths of the spans do not belong together.</exception>
    public static void Dequantize(ReadOnlySpan<byte> integers, int columns, int segments, DType type, ReadOnlySpan<Half> scales, Span<Half> weight)
    {
        int rows = CheckSizes(weight.Length, columns, segments, type, integers.Length, scales.Length);
        float* values = stackalloc float[Chunk];
        fixed (byte* data = integers)
        fixed (Half* scale = scales, result = weight)
        {
            Matrix matrix = Matrix.Quantized(data, type, rows, columns, scale, segments);
            for (int row = 0; row < rows; row++)
                for (int column = 0; column < columns; column += Chunk)
                {
                    int count = Math.Min(Chunk, columns - column);
                    Elements.Load(matrix, row, column, count, values, Isa.Current);
                    Conversion.Narrow(values, result + (nint)row * columns + column, DType.Float16, count, Isa.Current);
                }
        }
    }

    private static int CheckSizes(int weights, int columns, int segments, DType type, int bytes, int scales)
    {
        if (type is not (DType.Int8 or DType.Int4)) throw new ArgumentException($"{type}: expected Int8 or Int4", nameof(type));
        int unit = checked(segments * (type == DType.Int4 ? 2 : 1));
        if (segments < 1 || columns < 1 || columns % unit != 0)
            throw new GlmException($"quantised weight: expected a width that is a multiple of {unit}, found {columns}");
        if (weights % columns != 0 || scales != weights / columns * segments || bytes != type.Bytes(weights))
            throw new ArgumentException($"{weights} weights of width {columns} do not belong to {bytes} bytes and {scales} scales");
        return weights / columns;
    }

    /// <summary>fp16(max|w| / 127 or 7). Magnitudes of binary16 are ordered like their bits.</summary>
    private static Half Scale(ReadOnlySpan<Half> part, DType type, int row)
    {
        int largest = 0;
        foreach (short bits in MemoryMarshal.Cast<Half, short>(part)) largest = Math.Max(largest, bits & 0x7FFF);
        if (largest >= Infinity) throw new GlmException($"weight to quantise: expected finite numbers, found another in row {row}");
        return (Half)((float)BitConverter.Int16BitsToHalf((short)largest) / Range(type));
    }

    private static void QuantizePart(ReadOnlySpan<Half> part, float scale, DType type, Span<byte> integers)
    {
        if (scale == 0)
        {
            integers.Clear();
            return;
        }
        float* quotients = stackalloc float[Chunk];
        Half* rounded = stackalloc Half[Chunk];
        float range = Range(type);
        fixed (Half* weights = part)
            for (int start = 0; start < part.Length; start += Chunk)
            {
                int count = Math.Min(Chunk, part.Length - start);
                Conversion.Widen(weights + start, DType.Float16, quotients, count, Isa.Current);
                for (int i = 0; i < count; i++) quotients[i] /= scale;
                Conversion.Narrow(quotients, rounded, DType.Float16, count, Isa.Current);
                Conversion.Widen(rounded, DType.Float16, quotients, count, Isa.Current);
                for (int i = 0; i < count; i++) quotients[i] = Math.Clamp(MathF.Round(quotients[i], MidpointRounding.ToEven), -range, range);
                if (type == DType.Int8)
                    for (int i = 0; i < count; i++) integers[start + i] = (byte)(sbyte)quotients[i];
                else
                    for (int i = 0; i < count; i += 2) integers[(start + i) / 2] = (byte)((int)quotients[i] << 4 | (int)quotients[i + 1] & 15);
            }
    }

    private static float Range(DType type) => type == DType.Int8 ? 127 : 7;
}
