using System.Runtime.CompilerServices;

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

    /// <summary>Bytes of weights that are one item of the parallel loop.</summary>
    private const int ItemBytes = 1 << 16;

    private const int MaxItemRows = 64;

    /// <summary>Whether this is the place for a product.</summary>
    public static bool Fits(in Product product) =>
        product.C.Rows <= MaxRows && (product.Right.Scales is null ? product.Right.ColumnStride == 1 : !product.Right.ScaledByColumn);

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

    /// <summary>The rows x, dense and as binary32.</summary>
    private static float* LoadInputs(in Product product, Scratch scratch)
    {
        Matrix a = product.A;
        if (a.Type == DType.Float32 && a.ColumnStride == 1 && a.RowStride == a.Columns) return (float*)a.Data;
        float* inputs = scratch.Left((nint)a.Rows * a.Columns);
        for (int row = 0; row < a.Rows; row++)
            Elements.Load(a, row, 0, a.Columns, inputs + (nint)row * a.Columns, product.Isa);
        return inputs;
    }

    /// <summary>Multiplies all inputs by rows [first, + count) of the weight, at most <see cref="MaxItemRows"/>.</summary>
    private static void MultiplyRows(in Product product, float* inputs, int first, int count, Scratch scratch)
    {
        float* outputs = scratch.Sums(MaxRows * MaxItemRows);
        var kernel = new DotKernel(product, inputs, first, count, scratch.Right(product.Right.Columns), outputs);
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
    private readonly struct DotKernel(Product product, float* inputs, int first, int count, float* expanded, float* outputs) : IKernel
    {
        public void Run<V, L, D>() where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
        {
            Matrix weight = product.Right;
            int inputRows = product.A.Rows;
            if (inputRows == 1 && CanDecodeOnTheFly(weight, 2 * L.Count))
                for (int row = 0; row < count; row += 4)
                {
                    Matrix rows = weight.RowsFrom(first + row);
                    DotFour<V, L, D>(rows, Math.Min(4, count - row), inputs, outputs + row, 1);
                }
            else
                for (int row = 0; row < count; row++)
                {
                    // Several inputs share the work of decoding a row.
                    float* decoded = (float*)weight.At(first + row, 0);
                    if (weight.Type != DType.Float32)
                        Elements.Load(weight, first + row, 0, weight.Columns, decoded = expanded, product.Isa);
                    for (int input = 0; input < inputRows; input += 4)
                    {
                        Matrix rows = Matrix.Dense(inputs + (nint)input * weight.Columns, Math.Min(4, inputRows - input), weight.Columns);
                        DotFour<V, L, Float32Decoder<V, L>>(rows, rows.Rows, decoded, outputs + input * MaxItemRows + row, MaxItemRows);
                    }
                }
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

    /// <summary>results[i * step] = row i of <paramref name="rows"/> times <paramref name="vector"/>, for up to four rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DotFour<V, L, D>(in Matrix rows, int count, float* vector, float* results, nint step)
        where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
    {
        // Missing rows repeat the first.
        byte* r0 = rows.At(0, 0), r1 = count > 1 ? rows.At(1, 0) : r0, r2 = count > 2 ? rows.At(2, 0) : r0, r3 = count > 3 ? rows.At(3, 0) : r0;
        V first0 = default, first1 = default, first2 = default, first3 = default;
        V second0 = default, second1 = default, second2 = default, second3 = default;
        nint k = 0, whole = rows.Columns - rows.Columns % (2 * L.Count);
        int segments = Math.Max(1, rows.Segments);
        for (int segment = 0; segment < segments; segment++)
        {
            V s0 = D.Prepare(rows.Scale(segment, 0)), s1 = D.Prepare(rows.Scale(segment, Math.Min(1, count - 1)));
            V s2 = D.Prepare(rows.Scale(segment, Math.Min(2, count - 1))), s3 = D.Prepare(rows.Scale(segment, Math.Min(3, count - 1)));
            nint end = segment == segments - 1 ? whole : (segment + 1) * (rows.Columns / segments);
            for (; k < end; k += 2 * L.Count)
            {
                V x = L.Load(vector + k), y = L.Load(vector + k + L.Count);
                D.Load(r0, k, s0, out V first, out V second);
                first0 = L.Fma(first, x, first0); second0 = L.Fma(second, y, second0);
                D.Load(r1, k, s1, out first, out second);
                first1 = L.Fma(first, x, first1); second1 = L.Fma(second, y, second1);
                D.Load(r2, k, s2, out first, out second);
                first2 = L.Fma(first, x, first2); second2 = L.Fma(second, y, second2);
                D.Load(r3, k, s3, out first, out second);
                first3 = L.Fma(first, x, first3); second3 = L.Fma(second, y, second3);
            }
        }
        Finish<V, L, D>(rows, 0, count, L.Add(first0, second0), vector, whole, results);
        Finish<V, L, D>(rows, 1, count, L.Add(first1, second1), vector, whole, results + step);
        Finish<V, L, D>(rows, 2, count, L.Add(first2, second2), vector, whole, results + 2 * step);
        Finish<V, L, D>(rows, 3, count, L.Add(first3, second3), vector, whole, results + 3 * step);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish<V, L, D>(in Matrix rows, int row, int count, V sums, float* vector, nint k, float* result)
        where V : struct where L : struct, ILanes<V> where D : struct, IDecoder<V>
    {
        if (row >= count) return;
        float rest = 0;
        byte* data = rows.At(row, 0);
        float scale = rows.Scale(Math.Max(0, rows.Segments - 1), row);
        for (; k < rows.Columns; k++) rest = MathF.FusedMultiplyAdd(D.LoadOne(data, k, scale), vector[k], rest);
        *result = L.Sum(sums) + rest;
    }
}
