using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Glm.Tensors;

/// <summary>
/// Products of few rows with a weight [out, in] whose rows are contiguous, as in decoding: y[m, n] = sum over k of x[m, k] * w[n, k].
/// Each row of the weight is read once and nothing is packed.
/// <para>
/// With v floats per vector, sum j of 2v takes k = j modulo 2v by fused multiply-add, k ascending; the last K modulo 2v elements
/// go into one more sum. At last upper and lower halves of the sums are added until one is left, then the rest. So results
/// depend on the width of vectors, but not on the number of threads, nor on how many rows are multiplied together.
/// </para>
/// </summary>
internal static unsafe class RowDots
{
    /// <summary>More rows than these are multiplied by <see cref="MatMul"/>'s blocks.</summary>
    public const int MaxRows = 8;

    /// <summary>Inputs that are multiplied together.</summary>
    private const int GroupRows = 4;

    /// <summary>Bytes of weights that are one item of the parallel loop.</summary>
    private const int ItemBytes = 1 << 16;

    private const int MaxItemRows = 64;

    /// <summary>Floats of several inputs that stay in the first-level cache while rows of the weight run over them.</summary>
    private const int InputFloats = 4096;

    private const int CacheLine = 64;

    /// <summary>How many rows early the memory is asked for a row.</summary>
    private const int RowsAhead = 4;

    /// <summary>Room for two vectors of sums of each output of an item.</summary>
    private const int SumsSize = MaxRows * MaxItemRows * 2 * 16;

    /// <summary>Whether this is the place for a product.</summary>
    public static bool Fits(in Product product) =>
        product.C.Rows <= MaxRows && !product.Right.Type.IsBlock() && (product.Right.Scales is null ? product.Right.ColumnStride == 1 : !product.Right.ScaledByColumn);

    public static void Multiply(Workers workers, in Product product)
    {
        Scratch scratch = workers.Rent();
        try
        {
            float* inputs = LoadInputs(product, scratch);
            long rowBytes = Math.Max(1, (long)product.Right.Columns * product.Right.ElementBits / 8);
            int rows = (int)Math.Clamp(ItemBytes / rowBytes, 4, MaxItemRows) & ~3;
            workers.For((product.Right.Rows + rows - 1) / rows, new ItemBody(workers, product, inputs, rows));
        }
        finally
        {
            workers.Return(scratch);
        }
    }

    /// <summary>The same on the calling thread alone.</summary>
    public static void MultiplySingle(in Product product, Scratch scratch)
    {
        float* inputs = LoadInputs(product, scratch);
        for (int row = 0; row < product.Right.Rows; row += MaxItemRows)
            MultiplyRows(product, inputs, row, Math.Min(MaxItemRows, product.Right.Rows - row), scratch);
    }

    /// <summary>
    /// The rows x as binary32 in groups of four, and in a group by turns: two vectors of each row, then the next two of each, so that a product of all reads memory in order. One row alone lies as it is.
    /// </summary>
    private static float* LoadInputs(in Product product, Scratch scratch)
    {
        Matrix a = product.A;
        if (a.Type == DType.Float32 && a.ColumnStride == 1 && a.Rows == 1) return (float*)a.Data;
        int step = StepOf(product.Isa);
        float* inputs = scratch.Left((nint)a.Rows * a.Columns);
        for (int group = 0; group < a.Rows; group += GroupRows)
        {
            int rows = Math.Min(GroupRows, a.Rows - group);
            float* target = inputs + (nint)group * a.Columns;
            for (int k = 0; k < a.Columns; k += step)
                for (int row = 0, count = Math.Min(step, a.Columns - k); row < rows; row++, target += count)
                    Elements.Load(a, group + row, k, count, target, product.Isa);
        }
        return inputs;
    }

    /// <summary>Elements of a row that two vectors hold.</summary>
    private static int StepOf(InstructionSet isa) => 2 * isa switch
    {
        InstructionSet.Avx512 => Lanes512.Count,
        InstructionSet.Avx2 => Lanes256.Count,
        _ => Lanes128.Count,
    };

    /// <summary>Multiplies all inputs by rows [first, + count) of the weight, at most <see cref="MaxItemRows"/>.</summary>
    private static void MultiplyRows(in Product product, float* inputs, int first, int count, Scratch scratch)
    {
        float* outputs = scratch.Sums(MaxRows * MaxItemRows + SumsSize);
        var kernel = new DotKernel(product, inputs, first, count, scratch.Right(2 * InputFloats), outputs, outputs + MaxRows * MaxItemRows);
        Dispatch.Run(ref kernel, product.Right.Type, product.Isa);
        for (int row = 0; row < product.C.Rows; row++)
            product.StoreRow(outputs + row * MaxItemRows, row, first, count);
    }

    private readonly struct ItemBody(Workers workers, Product product, float* inputs, int rows) : ILoopBody
    {
        public void Invoke(int item, int worker)
        {
            int first = item * rows;
            Scratch scratch = workers.Rent();
            MultiplyRows(product, inputs, first, Math.Min(rows, product.Right.Rows - first), scratch);
            workers.Return(scratch);
        }
    }

    /// <summary>outputs[m, n - first] for all inputs m and rows n of the weight in [first, + count).</summary>
    private readonly struct DotKernel(
        Product product, float* inputs, int first, int count, float* expanded, float* outputs, float* sums) : IKernel
    {
        public void Run<V, L, D>() where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
        {
            if (product.A.Rows > 1 || !CanDecodeOnTheFly(product.Right, 2 * L.Count))
                DotInputs<V, L, D>();
            else
                for (int row = 0; row < count; row += 4)
                    DotFour<V, L, D>(product.Right.RowsFrom(first + row), Math.Min(4, count - row), inputs, outputs + row, sums);
        }

        /// <summary>Two rows of the weight at a time, a part of them for all inputs, which share the work of decoding it.</summary>
        private void DotInputs<V, L, D>() where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
        {
            int rowsOfA = product.A.Rows, step = 2 * L.Count, length = product.A.Columns, whole = length - length % step;
            int part = InputFloats / rowsOfA / step * step, rowSums = (rowsOfA + GroupRows - 1) / GroupRows * GroupRows * step;
            nint rowBytes = (nint)(product.Right.At(1, 0) - product.Right.At(0, 0));
            // What takes long to decode is decoded once, for all groups of inputs.
            bool direct = product.Right.Scales is null && (rowsOfA <= GroupRows || product.Right.Type != DType.Float16);
            new Span<float>(sums, count * rowSums).Clear();
            for (int k = 0; k < whole; k += part)
                for (int row = 0; row < count; row += 2)
                {
                    int elements = Math.Min(part, whole - k);
                    // A missing row repeats the last one, into sums that count for nothing.
                    int second = Math.Min(row + 1, count - 1);
                    float* sums0 = sums + row * rowSums, sums1 = sums0 + rowSums;
                    byte* row0 = product.Right.At(first + row, k), next = Next(row, k, part, whole);
                    if (direct)
                    {
                        AddRows<V, L, D>(row0, product.Right.At(first + second, k), k, elements, sums0, sums1, (nint)(next - row0));
                        continue;
                    }
                    for (int line = 0; line < elements * product.Right.ElementBits / 8; line += CacheLine)
                    {
                        Prefetch(next + line);
                        Prefetch(next + rowBytes + line);
                    }
                    AddRows<V, L, Float32Decoder<V, L>>((byte*)Decode(row, k, elements, 0), (byte*)Decode(second, k, elements, part), k, elements, sums0, sums1, 0);
                }
            for (int row = 0; row < count; row++)
            {
                float* weight = Decode(row, whole, length - whole, 0);
                for (int input = 0; input < rowsOfA; input++)
                {
                    int group = input / GroupRows * GroupRows, rows = Math.Min(GroupRows, rowsOfA - group);
                    float* x = inputs + (nint)group * length + (nint)rows * whole + (input - group) * (length - whole);
                    float rest = 0;
                    for (int k = 0; k < length - whole; k++) rest = MathF.FusedMultiplyAdd(weight[k], x[k], rest);
                    outputs[input * MaxItemRows + row] = Total<V, L>(sums + row * rowSums + input * step) + rest;
                }
            }
        }

        /// <summary>What is read <see cref="RowsAhead"/> rows later: the same part of a row below, the next part of an upper one, or the rows after these.</summary>
        private byte* Next(int row, int k, int part, int whole)
        {
            int next = row + RowsAhead;
            if (next < count) return product.Right.At(first + next, k);
            return k + part < whole ? product.Right.At(first + Math.Min(next - count, count - 1), k + part) : product.Right.At(first + next, 0);
        }

        /// <summary>Adds the products of a part of two rows of the weight and all inputs.</summary>
        private void AddRows<V, L, D>(byte* row0, byte* row1, int k, int elements, float* sums0, float* sums1, nint ahead) where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
        {
            for (int group = 0; group < product.A.Rows; group += GroupRows, sums0 += GroupRows * 2 * L.Count, sums1 += GroupRows * 2 * L.Count, ahead = 0)
            {
                int rows = Math.Min(GroupRows, product.A.Rows - group);
                AddTile<V, L, D>(row0, row1, inputs + (nint)group * product.A.Columns + (nint)rows * k, rows, elements, sums0, sums1, ahead);
            }
        }

        /// <summary>A part of a row of the weight as binary32.</summary>
        private float* Decode(int row, int k, int length, int place)
        {
            Elements.Load(product.Right, first + row, k, length, expanded + place, product.Isa);
            return expanded + place;
        }

        private bool CanDecodeOnTheFly(in Matrix weight, int step)
        {
            if (weight.Scales is null) return true;
            if (weight.Segments > 1 && weight.Columns / weight.Segments % step != 0) return false;
            for (int segment = 0; segment < weight.Segments; segment++)
                for (int row = first; row < first + count; row++)
                    if (!Dequantize.IsOrdinary(weight.Scale(segment, row))) return false;
            return true;
        }
    }

    /// <summary>results[i] = row i of <paramref name="rows"/> times <paramref name="vector"/>, for up to four rows.</summary>
    private static void DotFour<V, L, D>(in Matrix rows, int count, float* vector, float* results, float* sums)
        where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
    {
        // Missing rows repeat the last one.
        int row1 = Math.Min(1, count - 1), row2 = Math.Min(2, count - 1), row3 = Math.Min(3, count - 1);
        byte* data0 = rows.At(0, 0), data1 = rows.At(row1, 0), data2 = rows.At(row2, 0), data3 = rows.At(row3, 0);
        int segments = Math.Max(1, rows.Segments);
        nint whole = rows.Columns - rows.Columns % (2 * L.Count), k = 0;
        float* scales = stackalloc float[4];
        new Span<float>(sums, 8 * L.Count).Clear();
        for (int segment = 0; segment < segments; segment++)
        {
            for (int row = 0; row < 4; row++) scales[row] = rows.Scale(segment, Math.Min(row, count - 1));
            nint end = segment == segments - 1 ? whole : (segment + 1) * (rows.Columns / segments);
            AddSegment<V, L, D>(data0, data1, data2, data3, scales, vector, k, end, sums, 4 * (nint)(data1 - data0));
            k = end;
        }
        for (int row = 0; row < count; row++, sums += 2 * L.Count)
        {
            float rest = 0, scale = rows.Scale(segments - 1, row);
            byte* data = rows.At(row, 0);
            for (k = whole; k < rows.Columns; k++) rest = MathF.FusedMultiplyAdd(D.LoadOne(data, k, scale), vector[k], rest);
            results[row] = Total<V, L>(sums) + rest;
        }
    }

    private static float Total<V, L>(float* sums) where V : struct where L : struct, ILanes<V> =>
        L.Sum(L.Add(L.Load(sums), L.Load(sums + L.Count)));

    /// <summary>
    /// Adds the products of [k, end) to the two vectors of sums of each row. It calls nothing, so that the sums stay in registers.
    /// The data <paramref name="ahead"/> bytes further, if not 0, are asked for early.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddSegment<V, L, D>(
        byte* data0, byte* data1, byte* data2, byte* data3, float* scales, float* vector, nint k, nint end, float* sums, nint ahead)
        where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
    {
        V scale0 = D.Prepare(scales[0]), scale1 = D.Prepare(scales[1]), scale2 = D.Prepare(scales[2]), scale3 = D.Prepare(scales[3]);
        V first0 = L.Load(sums), second0 = L.Load(sums + L.Count), first1 = L.Load(sums + 2 * L.Count), second1 = L.Load(sums + 3 * L.Count);
        V first2 = L.Load(sums + 4 * L.Count), second2 = L.Load(sums + 5 * L.Count);
        V first3 = L.Load(sums + 6 * L.Count), second3 = L.Load(sums + 7 * L.Count);
        for (; k < end; k += 2 * L.Count)
        {
            if (ahead != 0)
            {
                nint next = k * D.Bits / 8 + ahead;
                Prefetch(data0 + next);
                Prefetch(data1 + next);
                Prefetch(data2 + next);
                Prefetch(data3 + next);
            }
            V x = L.Load(vector + k), y = L.Load(vector + k + L.Count);
            D.Load(data0, k, scale0, out V first, out V second);
            first0 = L.Fma(first, x, first0); second0 = L.Fma(second, y, second0);
            D.Load(data1, k, scale1, out first, out second);
            first1 = L.Fma(first, x, first1); second1 = L.Fma(second, y, second1);
            D.Load(data2, k, scale2, out first, out second);
            first2 = L.Fma(first, x, first2); second2 = L.Fma(second, y, second2);
            D.Load(data3, k, scale3, out first, out second);
            first3 = L.Fma(first, x, first3); second3 = L.Fma(second, y, second3);
        }
        L.Store(first0, sums); L.Store(second0, sums + L.Count); L.Store(first1, sums + 2 * L.Count); L.Store(second1, sums + 3 * L.Count);
        L.Store(first2, sums + 4 * L.Count); L.Store(second2, sums + 5 * L.Count);
        L.Store(first3, sums + 6 * L.Count); L.Store(second3, sums + 7 * L.Count);
    }

    /// <summary>
    /// Adds the products of two rows of the weight and up to four inputs, which lie by turns, to the two vectors of sums of each pair; missing inputs repeat the last one. It calls nothing, so that
    /// the sums stay in registers. The data <paramref name="ahead"/> bytes further, if not 0, are asked for early.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddTile<V, L, D>(byte* row0, byte* row1, float* x0, int rows, nint count, float* sums0, float* sums1, nint ahead)
        where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
    {
        nint step = 2 * L.Count, to1 = Math.Min(1, rows - 1) * step, to2 = Math.Min(2, rows - 1) * step, to3 = (rows - 1) * step;
        V none = D.Prepare(1);
        V a0 = L.Load(sums0), b0 = L.Load(sums0 + L.Count), a1 = L.Load(sums0 + 2 * L.Count), b1 = L.Load(sums0 + 3 * L.Count);
        V a2 = L.Load(sums0 + 4 * L.Count), b2 = L.Load(sums0 + 5 * L.Count), a3 = L.Load(sums0 + 6 * L.Count), b3 = L.Load(sums0 + 7 * L.Count);
        V c0 = L.Load(sums1), d0 = L.Load(sums1 + L.Count), c1 = L.Load(sums1 + 2 * L.Count), d1 = L.Load(sums1 + 3 * L.Count);
        V c2 = L.Load(sums1 + 4 * L.Count), d2 = L.Load(sums1 + 5 * L.Count), c3 = L.Load(sums1 + 6 * L.Count), d3 = L.Load(sums1 + 7 * L.Count);
        for (nint k = 0; k < count; k += step, x0 += rows * step)
        {
            if (ahead != 0)
            {
                nint next = k * D.Bits / 8 + ahead;
                Prefetch(row0 + next);
                Prefetch(row1 + next);
                if (step * D.Bits / 8 > CacheLine)
                {
                    Prefetch(row0 + next + CacheLine);
                    Prefetch(row1 + next + CacheLine);
                }
            }
            D.Load(row0, k, none, out V w0, out V w1);
            D.Load(row1, k, none, out V w2, out V w3);
            V x = L.Load(x0), y = L.Load(x0 + L.Count);
            a0 = L.Fma(w0, x, a0); b0 = L.Fma(w1, y, b0); c0 = L.Fma(w2, x, c0); d0 = L.Fma(w3, y, d0);
            x = L.Load(x0 + to1); y = L.Load(x0 + to1 + L.Count);
            a1 = L.Fma(w0, x, a1); b1 = L.Fma(w1, y, b1); c1 = L.Fma(w2, x, c1); d1 = L.Fma(w3, y, d1);
            x = L.Load(x0 + to2); y = L.Load(x0 + to2 + L.Count);
            a2 = L.Fma(w0, x, a2); b2 = L.Fma(w1, y, b2); c2 = L.Fma(w2, x, c2); d2 = L.Fma(w3, y, d2);
            x = L.Load(x0 + to3); y = L.Load(x0 + to3 + L.Count);
            a3 = L.Fma(w0, x, a3); b3 = L.Fma(w1, y, b3); c3 = L.Fma(w2, x, c3); d3 = L.Fma(w3, y, d3);
        }
        L.Store(a0, sums0); L.Store(b0, sums0 + L.Count); L.Store(a1, sums0 + 2 * L.Count); L.Store(b1, sums0 + 3 * L.Count);
        L.Store(a2, sums0 + 4 * L.Count); L.Store(b2, sums0 + 5 * L.Count); L.Store(a3, sums0 + 6 * L.Count); L.Store(b3, sums0 + 7 * L.Count);
        L.Store(c0, sums1); L.Store(d0, sums1 + L.Count); L.Store(c1, sums1 + 2 * L.Count); L.Store(d1, sums1 + 3 * L.Count);
        L.Store(c2, sums1 + 4 * L.Count); L.Store(d2, sums1 + 5 * L.Count); L.Store(c3, sums1 + 6 * L.Count); L.Store(d3, sums1 + 7 * L.Count);
    }

    /// <summary>Asks for a line of memory early: several rows at once confuse the processor's own guesses.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(byte* address)
    {
        if (Sse.IsSupported) Sse.Prefetch1(address);
    }
}
