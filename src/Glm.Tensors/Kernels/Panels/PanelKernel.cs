using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// The product of a panel and a tile of inputs, in C#; code generated for the processor gives the same bits.
/// <para>
/// For each block, ascending, with unsigned weights u, inputs q (two planes: 256 high + low) and the correction c of the row:
/// integer sum s = c + sum of u q, exact; sum = fma(float(s) * weight scale, input scale, sum), without the weight scale where blocks have none.
/// </para>
/// <para>
/// Weights are multiplied as nibbles, those of 8 bits as two (<see cref="NibbleProducts"/>): of as many of the 16 outputs as one or two vectors have lanes,
/// with the inputs of four rows, or of two in two planes, which share the unpacking.
/// </para>
/// </summary>
internal static unsafe class PanelKernel
{
    private const int PanelRows = PanelLayout.PanelRows;

    /// <summary>Multiplies with the given vectors.</summary>
    public static void Run(in PanelKernelShape shape, in PanelTask task, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512: Run<Vector512<float>, Lanes512>(shape, task); break;
            case InstructionSet.Avx2: Run<Vector256<float>, Lanes256>(shape, task); break;
            default: Run<Vector128<float>, Lanes128>(shape, task); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization), SkipLocalsInit]
    private static void Run<V, L>(in PanelKernelShape shape, in PanelTask task) where V : struct where L : struct, ILanes<V>
    {
        InputTile tile = shape.Tile;
        int rows = tile.Rows, planes = tile.Planes, bits = shape.Bits, outputs = bits == 4 && L.Count < PanelRows ? 2 * L.Count : L.Count;
        // Rows of the target may lie a power of two apart, where the first-level cache holds but a few: sums stay together until they are whole,
        // and begin with a line of it.
        float* lines = stackalloc float[(InputTile.MaxRows + 2) * PanelRows];
        float* weightScales = (float*)(((nuint)lines + 63) & ~(nuint)63), totals = weightScales + PanelRows;
        new Span<float>(totals, rows * PanelRows).Clear();
        new Span<float>(weightScales, PanelRows).Fill(1);
        byte* weights = task.Weights, inputs = task.Inputs;
        int blockBytes = shape.BlockBytes, scaleBytes = shape.ScaleBytes, inputBytes = tile.BlockBytes, rowBytes = tile.RowBytes;
        int few = 4 / planes, scalesOffset = tile.ScalesOffset - tile.CorrectionsOffset;
        for (nint block = 0; block < task.Blocks; block++, weights += blockBytes, inputs += inputBytes)
        {
            for (int output = 0; output < scaleBytes / sizeof(ushort); output += L.Count)
                L.Store(Conversion.FromHalf<V, L>(L.LoadUInt16((ushort*)weights + output)), weightScales + output);
            for (int output = 0; output < PanelRows; output += outputs)
            {
                byte* some = weights + scaleBytes + output * sizeof(int), q = inputs, correction = inputs + tile.CorrectionsOffset;
                float* scales = weightScales + output, sums = totals + output;
                int row = 0;
                for (; row + few <= rows; row += few, q += few * rowBytes, correction += few * sizeof(int), sums += few * PanelRows)
                {
                    FourSums<V> first, second;
                    if (bits == 8) first = NibbleProducts.OfBytes<V, L>(some, q);
                    else if (outputs == L.Count) first = NibbleProducts.OfNibbles<V, L>(some, q);
                    else
                    {
                        NibbleProducts.OfNibbles<V, L>(some, q, out first, out second);
                        Add<V, L>(second, planes, correction, scalesOffset, scales + L.Count, sums + L.Count);
                    }
                    Add<V, L>(first, planes, correction, scalesOffset, scales, sums);
                }
                for (; row < rows; row++, q += rowBytes, correction += sizeof(int), sums += PanelRows)
                    for (int v = 0; v < outputs; v += L.Count)
                    {
                        V sum = NibbleProducts.OfRow<V, L>(bits, some + v * sizeof(int), q);
                        if (planes == 2) sum = Planes<V, L>(sum, NibbleProducts.OfRow<V, L>(bits, some + v * sizeof(int), q + PanelLayout.BlockInputs));
                        Add<V, L>(sum, correction, scalesOffset, scales + v, sums + v);
                    }
            }
        }
        for (int row = 0; row < rows; row++)
            new Span<float>(totals + row * PanelRows, PanelRows).CopyTo(new((byte*)task.Sums + row * task.SumsStride, PanelRows));
    }

    /// <summary>Adds sums of products of four rows, or of two in two planes, to their totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<V, L>(in FourSums<V> sums, int planes, byte* correction, int scalesOffset, float* scales, float* totals) where V : struct where L : struct, ILanes<V>
    {
        if (planes == 2)
        {
            Add<V, L>(Planes<V, L>(sums.Row0, sums.Row1), correction, scalesOffset, scales, totals);
            Add<V, L>(Planes<V, L>(sums.Row2, sums.Row3), correction + 4, scalesOffset, scales, totals + PanelRows);
            return;
        }
        Add<V, L>(sums.Row0, correction, scalesOffset, scales, totals);
        Add<V, L>(sums.Row1, correction + 4, scalesOffset, scales, totals + PanelRows);
        Add<V, L>(sums.Row2, correction + 8, scalesOffset, scales, totals + 2 * PanelRows);
        Add<V, L>(sums.Row3, correction + 12, scalesOffset, scales, totals + 3 * PanelRows);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<V, L>(V sum, byte* correction, int scalesOffset, float* scales, float* totals) where V : struct where L : struct, ILanes<V>
    {
        V scaled = L.Multiply(L.ToSingle(L.AddBits(sum, L.Bits(*(uint*)correction))), L.Load(scales));
        L.Store(L.Fma(scaled, L.Create(*(float*)(correction + scalesOffset)), L.Load(totals)), totals);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Planes<V, L>(V low, V high) where V : struct where L : struct, ILanes<V> => L.AddBits(low, L.ShiftLeft(high, 8));
}
