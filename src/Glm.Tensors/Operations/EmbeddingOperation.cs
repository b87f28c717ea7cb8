namespace Glm.Tensors;

/// <summary>Looking up rows of an embedding matrix, and choosing rows of activations.</summary>
public static unsafe class EmbeddingOperation
{
    /// <summary>
    /// y[i] = E[ids[i]] with E <c>[vocabulary, hidden]</c>. dE[ids[i]] += s dy[i], s = <paramref name="gradientScale"/>: embedding-gradient shrink,
    /// E s + stop_gradient(E) (1 - s) (paper section 2.3, spec 4.2).
    /// </summary>
    /// <exception cref="GlmException">An id lies outside the vocabulary.</exception>
    public static Tensor Embedding(this Context context, Tensor embedding, Tensor ids, float gradientScale = 1) =>
        Lookup(context, embedding, ids, gradientScale, context.ActivationType);

    /// <summary>y[i] = x[rows[i]]: the positions that a loss or a prediction is computed for.</summary>
    public static Tensor SelectRows(this Context context, Tensor x, Tensor rows) => Lookup(context, x, rows, 1, x.Type);

    private static Tensor Lookup(Context context, Tensor table, Tensor ids, float gradientScale, DType type)
    {
        int columns = table.Columns, count = checked((int)ids.Count), tableRows = table.Rows;
        int* index = ids.Ints;
        for (int i = 0; i < count; i++)
            if ((uint)index[i] >= (uint)tableRows) throw new GlmException($"id {index[i]} at position {i} lies outside the {tableRows} rows of the table");
        var y = context.Arena.Allocate(type, count, columns);
        context.ForRows(count, new ForwardBody(context, table, ids, y));
        if (context.Recording) RecordBackward(context, table, ids, gradientScale, y);
        return y;
    }

    private static void RecordBackward(Context context, Tensor table, Tensor ids, float gradientScale, Tensor y) =>
        context.Record(y, table.RequiresGradient, () =>
        {
            int columns = y.Columns, count = y.Rows;
            var gradient = context.GradientOf(table, out bool first);
            if (first) gradient.Clear();
            // Rows may repeat: every thread takes its own columns of all of them, in order.
            context.ForRows(columns, (start, end, _) =>
            {
                for (int i = 0; i < count; i++)
                    Vectors.Axpby(gradientScale, y.Gradient!.Floats + (long)i * columns + start, 1, gradient.Floats + (long)ids.Ints[i] * columns + start, end - start);
            }, block: 64);
        });

    private readonly struct ForwardBody(Context context, Tensor table, Tensor ids, Tensor y) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int columns = y.Columns;
            float* scratch = context.Scratch(worker, columns);
            for (long i = start; i < end; i++)
                TensorRows.FromFloats(TensorRows.Read(table, ids.Ints[i], scratch), y.Data + y.Type.Bytes(i * columns), y.Type, columns);
        }
    }
}
