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
/// Weights are multiplied as nibbles, those of 8 bits as two: so the products of a block fit sixteen bits. As many of the 16 outputs as a vector has lanes
/// are done at a time, with the inputs of four rows (or of two, in two planes), which share the unpacking.
/// </para>
/// </summary>
internal static unsafe class PanelKernel
{
    private const int VectorBytes = PanelLayout.PanelRows * sizeof(int);

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
        int rows = tile.Rows, planes = tile.Planes, planeRows = rows * planes, bits = shape.Bits;
        // Rows of the target may lie a power of two apart, where the first-level cache holds but a few: sums stay together until they are whole.
        float* totals = stackalloc float[InputTile.MaxRows * PanelLayout.PanelRows], products = stackalloc float[InputTile.MaxRows * 2 * PanelLayout.PanelRows];
        new Span<float>(totals, rows * PanelLayout.PanelRows).Clear();
        byte* weights = task.Weights, inputs = task.Inputs;
        for (nint block = 0; block < task.Blocks; block++, weights += shape.BlockBytes, inputs += tile.BlockBytes)
        {
            int* corrections = (int*)(inputs + tile.CorrectionsOffset);
            float* scales = (float*)(inputs + tile.ScalesOffset);
            for (int output = 0; output < PanelLayout.PanelRows; output += L.Count)
            {
                byte* outputs = weights + shape.ScaleBytes + output * sizeof(int);
                int planeRow = 0;
                for (; planeRow + 4 <= planeRows; planeRow += 4) MultiplyFour<V, L>(bits, outputs, inputs + planeRow * PanelLayout.BlockInputs, products + planeRow * L.Count);
                for (; planeRow < planeRows; planeRow++) MultiplyOne<V, L>(bits, outputs, inputs + planeRow * PanelLayout.BlockInputs, products + planeRow * L.Count);
                V scale = shape.HasBlockScales ? Conversion.FromHalf<V, L>(L.LoadUInt16((ushort*)weights + output)) : L.Create(1);
                float* total = totals + output, product = products;
                for (int row = 0; row < rows; row++, total += PanelLayout.PanelRows, product += planes * L.Count)
                {
                    V sum = L.AddBits(L.Load(product), L.Bits((uint)corrections[row]));
                    if (planes == 2) sum = L.AddBits(sum, L.ShiftLeft(L.Load(product + L.Count), 8));
                    L.Store(L.Fma(L.Multiply(L.ToSingle(sum), scale), L.Create(scales[row]), L.Load(total)), total);
                }
            }
        }
        for (int row = 0; row < rows; row++)
            new Span<float>(totals + row * PanelLayout.PanelRows, PanelLayout.PanelRows).CopyTo(new((byte*)task.Sums + row * task.SumsStride, PanelLayout.PanelRows));
    }

    /// <summary>The weights of some outputs times four planes of inputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyFour<V, L>(int bits, byte* weights, byte* q, float* products) where V : struct where L : struct, ILanes<V>
    {
        V mask = L.Bits(0x0F0F0F0F), low0 = L.Bits(0), low1 = low0, low2 = low0, low3 = low0;
        if (bits == 4)
        {
            for (int v = 0; v < PanelLayout.BlockInputs / 8; v++, weights += VectorBytes, q += sizeof(int))
            {
                V packed = L.Load((float*)weights), low = L.And(packed, mask), high = L.And(L.ShiftRight(packed, 4), mask);
                low0 = L.AddNibbleProducts(L.AddNibbleProducts(low0, low, Four<V, L>(q, 0)), high, Four<V, L>(q + 16, 0));
                low1 = L.AddNibbleProducts(L.AddNibbleProducts(low1, low, Four<V, L>(q, 1)), high, Four<V, L>(q + 16, 1));
                low2 = L.AddNibbleProducts(L.AddNibbleProducts(low2, low, Four<V, L>(q, 2)), high, Four<V, L>(q + 16, 2));
                low3 = L.AddNibbleProducts(L.AddNibbleProducts(low3, low, Four<V, L>(q, 3)), high, Four<V, L>(q + 16, 3));
            }
            L.Store(L.SumNibbleProducts(low0), products);
            L.Store(L.SumNibbleProducts(low1), products + L.Count);
            L.Store(L.SumNibbleProducts(low2), products + 2 * L.Count);
            L.Store(L.SumNibbleProducts(low3), products + 3 * L.Count);
            return;
        }
        V high0 = low0, high1 = low0, high2 = low0, high3 = low0;
        for (int v = 0; v < PanelLayout.BlockInputs / 4; v++, weights += VectorBytes, q += sizeof(int))
        {
            V packed = L.Load((float*)weights), low = L.And(packed, mask), high = L.And(L.ShiftRight(packed, 4), mask);
            AddBoth<V, L>(ref low0, ref high0, low, high, Four<V, L>(q, 0));
            AddBoth<V, L>(ref low1, ref high1, low, high, Four<V, L>(q, 1));
            AddBoth<V, L>(ref low2, ref high2, low, high, Four<V, L>(q, 2));
            AddBoth<V, L>(ref low3, ref high3, low, high, Four<V, L>(q, 3));
        }
        L.Store(Whole<V, L>(low0, high0), products);
        L.Store(Whole<V, L>(low1, high1), products + L.Count);
        L.Store(Whole<V, L>(low2, high2), products + 2 * L.Count);
        L.Store(Whole<V, L>(low3, high3), products + 3 * L.Count);
    }

    /// <summary>The weights of some outputs times one plane of inputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyOne<V, L>(int bits, byte* weights, byte* q, float* products) where V : struct where L : struct, ILanes<V>
    {
        V mask = L.Bits(0x0F0F0F0F), lows = L.Bits(0), highs = lows;
        if (bits == 4)
        {
            for (int v = 0; v < PanelLayout.BlockInputs / 8; v++, weights += VectorBytes, q += sizeof(int))
            {
                V packed = L.Load((float*)weights);
                lows = L.AddNibbleProducts(lows, L.And(packed, mask), Four<V, L>(q, 0));
                highs = L.AddNibbleProducts(highs, L.And(L.ShiftRight(packed, 4), mask), Four<V, L>(q + 16, 0));
            }
            L.Store(L.AddBits(L.SumNibbleProducts(lows), L.SumNibbleProducts(highs)), products);
            return;
        }
        for (int v = 0; v < PanelLayout.BlockInputs / 4; v++, weights += VectorBytes, q += sizeof(int))
        {
            V packed = L.Load((float*)weights);
            AddBoth<V, L>(ref lows, ref highs, L.And(packed, mask), L.And(L.ShiftRight(packed, 4), mask), Four<V, L>(q, 0));
        }
        L.Store(Whole<V, L>(lows, highs), products);
    }

    /// <summary>Four inputs of a plane, in every lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Four<V, L>(byte* q, int plane) where V : struct where L : struct, ILanes<V> => L.Bits(*(uint*)(q + plane * PanelLayout.BlockInputs));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddBoth<V, L>(ref V lows, ref V highs, V low, V high, V q) where V : struct where L : struct, ILanes<V>
    {
        lows = L.AddNibbleProducts(lows, low, q);
        highs = L.AddNibbleProducts(highs, high, q);
    }

    /// <summary>Sums of products of bytes, from those of their low and of their high nibbles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Whole<V, L>(V lows, V highs) where V : struct where L : struct, ILanes<V> =>
        L.AddBits(L.SumNibbleProducts(lows), L.ShiftLeft(L.SumNibbleProducts(highs), 4));
}
