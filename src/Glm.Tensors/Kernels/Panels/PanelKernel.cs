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
        int outputs = bits == 4 && L.Count < PanelLayout.PanelRows ? 2 * L.Count : L.Count; // done at a time
        // Rows of the target may lie a power of two apart, where the first-level cache holds but a few: sums stay together until they are whole.
        float* totals = stackalloc float[InputTile.MaxRows * PanelLayout.PanelRows], products = stackalloc float[InputTile.MaxRows * 2 * PanelLayout.PanelRows];
        new Span<float>(totals, rows * PanelLayout.PanelRows).Clear();
        byte* weights = task.Weights, inputs = task.Inputs;
        for (nint block = 0; block < task.Blocks; block++, weights += shape.BlockBytes, inputs += tile.BlockBytes)
        {
            int* corrections = (int*)(inputs + tile.CorrectionsOffset);
            float* scales = (float*)(inputs + tile.ScalesOffset);
            for (int output = 0; output < PanelLayout.PanelRows; output += outputs)
            {
                byte* some = weights + shape.ScaleBytes + output * sizeof(int);
                int planeRow = 0;
                for (; planeRow + 4 <= planeRows; planeRow += 4)
                {
                    byte* q = inputs + planeRow * PanelLayout.BlockInputs;
                    float* target = products + planeRow * outputs;
                    if (bits == 8) MultiplyBytes<V, L>(some, q, target);
                    else if (outputs == L.Count) MultiplyNibbles<V, L>(some, q, target);
                    else MultiplyNibblesTwice<V, L>(some, q, target);
                }
                for (; planeRow < planeRows; planeRow++)
                    for (int v = 0; v < outputs; v += L.Count)
                        MultiplyOne<V, L>(bits, some + v * sizeof(int), inputs + planeRow * PanelLayout.BlockInputs, products + planeRow * outputs + v);
                for (int v = 0; v < outputs; v += L.Count)
                {
                    V scale = shape.HasBlockScales ? Conversion.FromHalf<V, L>(L.LoadUInt16((ushort*)weights + output + v)) : L.Create(1);
                    float* total = totals + output + v, product = products + v;
                    for (int row = 0; row < rows; row++, total += PanelLayout.PanelRows, product += planes * outputs)
                    {
                        V sum = L.AddBits(L.Load(product), L.Bits((uint)corrections[row]));
                        if (planes == 2) sum = L.AddBits(sum, L.ShiftLeft(L.Load(product + outputs), 8));
                        L.Store(L.Fma(L.Multiply(L.ToSingle(sum), scale), L.Create(scales[row]), L.Load(total)), total);
                    }
                }
            }
        }
        for (int row = 0; row < rows; row++)
            new Span<float>(totals + row * PanelLayout.PanelRows, PanelLayout.PanelRows).CopyTo(new((byte*)task.Sums + row * task.SumsStride, PanelLayout.PanelRows));
    }

    /// <summary>Weights of 8 bits times four planes of inputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyBytes<V, L>(byte* weights, byte* q, float* products) where V : struct where L : struct, ILanes<V>
    {
        V mask = L.Bits(0x0F0F0F0F);
        FourSums<V> lows = default, highs = default;
        for (int v = 0; v < PanelLayout.BlockInputs / 4; v++, weights += VectorBytes, q += sizeof(int))
        {
            V packed = L.Load((float*)weights);
            AddTwice<V, L>(ref lows, ref highs, L.And(packed, mask), L.And(L.ShiftRight(packed, 4), mask), q);
        }
        L.Store(Whole<V, L>(lows.Row0, highs.Row0), products);
        L.Store(Whole<V, L>(lows.Row1, highs.Row1), products + L.Count);
        L.Store(Whole<V, L>(lows.Row2, highs.Row2), products + 2 * L.Count);
        L.Store(Whole<V, L>(lows.Row3, highs.Row3), products + 3 * L.Count);
    }

    /// <summary>Weights of 4 bits times four planes of inputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyNibbles<V, L>(byte* weights, byte* q, float* products) where V : struct where L : struct, ILanes<V>
    {
        V mask = L.Bits(0x0F0F0F0F);
        FourSums<V> sums = default;
        for (int v = 0; v < PanelLayout.BlockInputs / 8; v++, weights += VectorBytes, q += sizeof(int))
        {
            V packed = L.Load((float*)weights);
            Add<V, L>(ref sums, L.And(packed, mask), q);
            Add<V, L>(ref sums, L.And(L.ShiftRight(packed, 4), mask), q + 16);
        }
        Store<V, L>(sums, products, L.Count);
    }

    /// <summary>Weights of 4 bits, of twice as many outputs as a vector has lanes, times four planes of inputs, which are read once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MultiplyNibblesTwice<V, L>(byte* weights, byte* q, float* products) where V : struct where L : struct, ILanes<V>
    {
        V mask = L.Bits(0x0F0F0F0F);
        FourSums<V> first = default, second = default;
        for (int v = 0; v < PanelLayout.BlockInputs / 8; v++, weights += VectorBytes, q += sizeof(int))
        {
            V one = L.Load((float*)weights), other = L.Load((float*)weights + L.Count);
            AddTwice<V, L>(ref first, ref second, L.And(one, mask), L.And(other, mask), q);
            AddTwice<V, L>(ref first, ref second, L.And(L.ShiftRight(one, 4), mask), L.And(L.ShiftRight(other, 4), mask), q + 16);
        }
        Store<V, L>(first, products, 2 * L.Count);
        Store<V, L>(second, products + L.Count, 2 * L.Count);
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
    private static void Add<V, L>(ref FourSums<V> sums, V nibbles, byte* q) where V : struct where L : struct, ILanes<V>
    {
        sums.Row0 = L.AddNibbleProducts(sums.Row0, nibbles, Four<V, L>(q, 0));
        sums.Row1 = L.AddNibbleProducts(sums.Row1, nibbles, Four<V, L>(q, 1));
        sums.Row2 = L.AddNibbleProducts(sums.Row2, nibbles, Four<V, L>(q, 2));
        sums.Row3 = L.AddNibbleProducts(sums.Row3, nibbles, Four<V, L>(q, 3));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTwice<V, L>(ref FourSums<V> first, ref FourSums<V> second, V one, V other, byte* q) where V : struct where L : struct, ILanes<V>
    {
        AddBoth<V, L>(ref first.Row0, ref second.Row0, one, other, Four<V, L>(q, 0));
        AddBoth<V, L>(ref first.Row1, ref second.Row1, one, other, Four<V, L>(q, 1));
        AddBoth<V, L>(ref first.Row2, ref second.Row2, one, other, Four<V, L>(q, 2));
        AddBoth<V, L>(ref first.Row3, ref second.Row3, one, other, Four<V, L>(q, 3));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddBoth<V, L>(ref V first, ref V second, V one, V other, V q) where V : struct where L : struct, ILanes<V>
    {
        first = L.AddNibbleProducts(first, one, q);
        second = L.AddNibbleProducts(second, other, q);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<V, L>(in FourSums<V> sums, float* products, int stride) where V : struct where L : struct, ILanes<V>
    {
        L.Store(L.SumNibbleProducts(sums.Row0), products);
        L.Store(L.SumNibbleProducts(sums.Row1), products + stride);
        L.Store(L.SumNibbleProducts(sums.Row2), products + 2 * stride);
        L.Store(L.SumNibbleProducts(sums.Row3), products + 3 * stride);
    }

    /// <summary>Sums of products of bytes, from those of their low and of their high nibbles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Whole<V, L>(V lows, V highs) where V : struct where L : struct, ILanes<V> =>
        L.AddBits(L.SumNibbleProducts(lows), L.ShiftLeft(L.SumNibbleProducts(highs), 4));

    private struct FourSums<V>
    {
        public V Row0, Row1, Row2, Row3;
    }
}
