using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>Brings rows of quantised weights into panels, and reads rows back. See <see cref="PanelLayout"/>.</summary>
internal static unsafe class PanelPacking
{
    private const int Rows = PanelLayout.PanelRows, Inputs = PanelLayout.BlockInputs;

    /// <summary>Packs one panel of the row-major weight at <paramref name="source"/>.</summary>
    public static void PackPanel(in PanelLayout layout, byte* source, int panel, byte* target)
    {
        new Span<byte>(target, checked((int)layout.PanelBytes)).Clear();
        int first = panel * Rows, rows = Math.Min(Rows, layout.Rows - first);
        long rowBytes = layout.Type.Bytes(layout.Columns);
        for (int row = 0; row < rows; row++)
            PackRow(layout, source + (first + row) * rowBytes, row, target);
    }

    /// <summary>One block of one row in integers: what its scale is to be multiplied by.</summary>
    /// <param name="layout">The layout of the weight.</param>
    /// <param name="panels">All panels.</param>
    /// <param name="row">The output row.</param>
    /// <param name="block">The block to read.</param>
    /// <param name="integers">Receives 32 integers.</param>
    /// <returns>The block's scale; 1 where there is none.</returns>
    public static float ReadBlock(in PanelLayout layout, byte* panels, int row, int block, sbyte* integers)
    {
        byte* start = panels + row / Rows * layout.PanelBytes + (nint)block * layout.BlockBytes, data = start + layout.ScaleBytes;
        int lane = row % Rows;
        for (int i = 0; i < Inputs; i++)
        {
            int value = layout.Bits == 8 ? data[Index(i / 4, lane, i % 4)]
                : i < Inputs / 2 ? data[Index(i / 4, lane, i % 4)] & 15 : data[Index(i / 4 - 4, lane, i % 4)] >> 4;
            integers[i] = (sbyte)(value - layout.Offset);
        }
        return layout.HasBlockScales ? (float)((Half*)start)[lane] : 1;
    }

    /// <summary>Values [<paramref name="start"/>, + <paramref name="count"/>) of one row; <paramref name="scales"/> are those by output row, or null.</summary>
    public static void ReadRow(in PanelLayout layout, byte* panels, Half* scales, int row, int start, int count, float* target)
    {
        sbyte* integers = stackalloc sbyte[Inputs];
        for (int i = start, end = start + count; i < end;)
        {
            int segment = i / layout.SegmentColumns, inside = i % layout.SegmentColumns, first = inside % Inputs;
            int last = Math.Min(Math.Min(Inputs, layout.SegmentColumns - (inside - first)), end - i + first);
            float scale = ReadBlock(layout, panels, row, segment * layout.SegmentBlocks + inside / Inputs, integers);
            float rowScale = scales is null ? 1 : (float)scales[(long)segment * layout.Rows + row];
            for (int j = first; j < last; j++, i++) *target++ = scales is null ? scale * integers[j] : Dequantize.One(integers[j], rowScale);
        }
    }

    private static int Index(int vector, int lane, int input) => (vector * Rows + lane) * 4 + input;

    private static void PackRow(in PanelLayout layout, byte* row, int lane, byte* panel)
    {
        byte* padded = stackalloc byte[Inputs];
        int stored = layout.Bits * Inputs / 8;
        for (int segment = 0, block = 0; segment < layout.Segments; segment++)
        {
            byte* source = row + layout.Type.Bytes((long)segment * layout.SegmentColumns);
            for (int i = 0; i < layout.SegmentBlocks; i++, block++)
            {
                byte* start = panel + (nint)block * layout.BlockBytes;
                uint* target = (uint*)(start + layout.ScaleBytes) + lane;
                byte* from = source;
                if (layout.HasBlockScales)
                {
                    ((Half*)start)[lane] = *(Half*)source;
                    from += BlockFormat.ScaleBytes;
                }
                else if ((i + 1) * Inputs > layout.SegmentColumns)
                {
                    new Span<byte>(padded, Inputs).Clear();
                    long rest = layout.Type.Bytes(layout.SegmentColumns - i * Inputs);
                    Buffer.MemoryCopy(source, padded, Inputs, rest);
                    from = padded;
                }
                if (layout.Type == DType.Int4) PackInt4(from, target);
                else if (layout.Type == DType.Q4_0) Scatter((uint*)from, 0, 4, target);
                else Scatter((uint*)from, 0x80808080, 8, target);
                source += layout.HasBlockScales ? BlockFormat.ScaleBytes + stored : stored;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scatter(uint* source, uint flip, int vectors, uint* target)
    {
        for (int v = 0; v < vectors; v++) target[v * Rows] = source[v] ^ flip;
    }

    /// <summary>Two's complement nibbles, even column high, become unsigned ones with inputs 16 apart in a byte.</summary>
    private static void PackInt4(byte* source, uint* target)
    {
        Vector128<byte> bytes = Vector128.Load(source), eight = Vector128.Create((byte)8), low = Vector128.Create((byte)15);
        Vector128<byte> even = (bytes.AsUInt16() >> 4).AsByte() & low ^ eight, odd = bytes & low ^ eight;
        // Columns 0..15 and 16..31 in order.
        Vector128<byte> first = Interleave.Low(even, odd), second = Interleave.High(even, odd);
        Vector128<uint> packed = (first | (second.AsUInt16() << 4).AsByte()).AsUInt32();
        for (int v = 0; v < 4; v++) target[v * Rows] = packed[v];
    }
}
