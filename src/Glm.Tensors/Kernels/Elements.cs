using System.Runtime.CompilerServices;

namespace Glm.Tensors;

/// <summary>Reads elements of any type as binary32.</summary>
internal static unsafe class Elements
{
    /// <summary>Reads <paramref name="count"/> elements of one row of <paramref name="m"/>, from <paramref name="column"/> on.</summary>
    public static void Load(in Matrix m, nint row, nint column, int count, float* target, InstructionSet isa)
    {
        if (m.Scales is not null)
            LoadQuantized(m, row, column, count, target, isa);
        else if (m.Type.IsBlock())
            LoadBlocks(m, row, column, count, target);
        else if (m.ColumnStride == 1)
            Decode(m.At(row, column), m.Type, 0, 0, count, target, isa);
        else
            for (int i = 0; i < count; i++) Decode(m.At(row, column + i), m.Type, 0, 0, 1, target + i, isa);
    }

    /// <summary>
    /// Decodes contiguous elements [<paramref name="start"/>, + <paramref name="count"/>), counted from <paramref name="row"/>;
    /// <paramref name="scale"/> counts for quantised types alone.
    /// </summary>
    public static void Decode(byte* row, DType type, float scale, nint start, nint count, float* target, InstructionSet isa)
    {
        var kernel = new DecodeKernel(row, scale, start, count, target);
        Dispatch.Run(ref kernel, type, isa);
    }

    /// <summary>A row may reach over several segments, each with its own scale.</summary>
    private static void LoadQuantized(in Matrix m, nint row, nint column, nint count, float* target, InstructionSet isa)
    {
        nint length = m.Columns / m.Segments;
        for (nint end = column + count; column < end;)
        {
            nint segment = column / length, part = Math.Min(end, (segment + 1) * length) - column;
            Decode(m.At(row, 0), m.Type, m.Scale(segment, row), column, part, target, isa);
            column += part;
            target += part;
        }
    }

    /// <summary>Blocks lie along the rows of the weight, which are the columns of its transpose.</summary>
    private static void LoadBlocks(in Matrix m, nint row, nint column, int count, float* target)
    {
        if (m.ColumnStride == 1)
            BlockFormat.Decode(m.At(row, 0), m.Type, column, count, target);
        else
            for (int i = 0; i < count; i++) BlockFormat.Decode(m.At(0, column + i), m.Type, row, 1, target + i);
    }

    private readonly struct DecodeKernel(byte* row, float scale, nint start, nint count, float* target) : IKernel
    {
        public void Run<V, L, D>() where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
        {
            nint whole = Dequantize.IsOrdinary(scale) ? count - count % (2 * L.Count) : 0;
            DecodeVectors<V, L, D>(row, scale, start, whole, target);
            for (nint i = whole; i < count; i++) target[i] = D.LoadOne(row, start + i, scale);
        }
    }

    /// <summary>Whole pairs of vectors. It calls nothing, so that everything stays in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DecodeVectors<V, L, D>(byte* row, float scale, nint start, nint count, float* target)
        where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
    {
        V prepared = D.Prepare(scale);
        for (nint i = 0; i < count; i += 2 * L.Count)
        {
            D.Load(row, start + i, prepared, out V first, out V second);
            L.Store(first, target + i);
            L.Store(second, target + i + L.Count);
        }
    }
}
