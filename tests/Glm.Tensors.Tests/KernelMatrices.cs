using Glm.Tensors;

namespace Glm.Tests;

/// <summary>Random matrices of every type and layout, and their elements read one by one.</summary>
internal static unsafe class KernelMatrices
{
    /// <summary>Plain or transposed, part of a larger one, or with every second element skipped.</summary>
    public static Matrix Random(KernelMemory memory, DType type, int rows, int columns, Random random) =>
        random.Next(2) == 0
            ? Random(memory, type, columns, rows, random, random.Next(3)).Transposed
            : Random(memory, type, rows, columns, random, random.Next(3));

    /// <summary>Row-major: 0 dense, 1 part of a larger matrix, 2 with every second column skipped.</summary>
    public static Matrix Random(KernelMemory memory, DType type, int rows, int columns, Random random, int kind)
    {
        int step = kind == 2 ? 2 : 1, stride = columns * step + (kind == 0 ? 0 : 5), count = rows * stride;
        if (type == DType.Float32) return new Matrix(memory.RandomFloats(count, random), type, rows, columns, stride, step);
        var data = (ushort*)memory.Bytes(count * 2, 2);
        for (int i = 0; i < count; i++)
        {
            float value = random.NextSingle() * 2 - 1;
            data[i] = type == DType.Float16 ? BitConverter.HalfToUInt16Bits((Half)value) : (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
        }
        return new Matrix(data, type, rows, columns, stride, step);
    }

    /// <summary>
    /// A quantised weight [out, in] of one to four segments; every integer occurs, and scales are normal, subnormal, zero or so
    /// large that the products overflow. The width is made to fit the segments.
    /// </summary>
    public static Matrix Quantized(KernelMemory memory, DType type, int rows, int columns, Random random, bool extreme = false)
    {
        int segments = 1 + random.Next(4), unit = 2 * segments;
        columns = (columns + unit - 1) / unit * unit;
        if (segments > 1 && random.Next(2) == 0) columns = (columns + segments * 32 - 1) / (segments * 32) * segments * 32;
        int count = type == DType.Int4 ? rows * columns / 2 : rows * columns;
        var data = (byte*)memory.Bytes(count, 1);
        random.NextBytes(new Span<byte>(data, count));
        float largest = type == DType.Int4 ? 8 : 128;
        var scales = (Half*)memory.Bytes(rows * segments * 2, 2);
        for (int i = 0; i < rows * segments; i++)
            scales[i] = random.Next(16) switch
            {
                0 => (Half)0,
                1 => BitConverter.UInt16BitsToHalf((ushort)random.Next(1, 1024)),
                2 when extreme => (Half)(random.NextSingle() * 65504),
                3 when extreme => Half.PositiveInfinity,
                _ => (Half)(random.NextSingle() / largest),
            };
        return Matrix.Quantized(data, type, rows, columns, scales, segments);
    }

    public static float[] Values(Matrix m)
    {
        var values = new float[m.Rows * m.Columns];
        for (int r = 0; r < m.Rows; r++)
            for (int c = 0; c < m.Columns; c++)
                values[r * m.Columns + c] = Value(m, r, c);
        return values;
    }

    private static float Value(Matrix m, nint row, nint column)
    {
        nint index = row * m.RowStride + column * m.ColumnStride;
        switch (m.Type)
        {
            case DType.Float32: return ((float*)m.Data)[index];
            case DType.Float16: return (float)((Half*)m.Data)[index];
            case DType.BFloat16: return BitConverter.UInt32BitsToSingle((uint)((ushort*)m.Data)[index] << 16);
        }
        (nint output, nint input) = m.ScaledByColumn ? (column, row) : (row, column);
        int outputs = m.ScaledByColumn ? m.Columns : m.Rows, inputs = m.ScaledByColumn ? m.Rows : m.Columns;
        Half scale = m.Scales[input / (inputs / m.Segments) * outputs + output];
        int integer = m.Type == DType.Int8 ? ((sbyte*)m.Data)[index] : Nibble(((byte*)m.Data)[index / 2], index % 2 == 0);
        return (float)((Half)integer * scale);
    }

    private static int Nibble(byte pair, bool high)
    {
        int value = high ? pair >> 4 : pair & 15;
        return value < 8 ? value : value - 16;
    }
}
