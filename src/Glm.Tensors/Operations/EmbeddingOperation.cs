namespace Glm.Tensors;

/// <summary>Looking up rows of an embedding matrix, and choosing rows of activations.</summary>
public static unsafe class EmbeddingOperation
{
    /// <summary>
    /// y[i] = E[ids[i] + <paramref name="firstRow"/>] with E <c>[vocabulary, hidden]</c>. Going back, the row gets s dy[i], s = <paramref name="gradientScale"/>:
    /// embedding-gradient shrink, E s + stop_gradient(E) (1 - s) (paper section 2.3, spec 4.2).
    /// </summary>
    /// <param name="context">Where to run.</param>
    /// <param name="embedding">E.</param>
    /// <param name="ids">Int32 <c>[tokens]</c>.</param>
    /// <param name="gradientScale">s.</param>
    /// <param name="firstRow">The row of id 0: tables of positions may begin with rows of another meaning.</param>
    /// <exception cref="GlmException">An id lies outside the vocabulary.</exception>
    public static Tensor Embedding(this Context context, Tensor embedding, Tensor ids, float gradientScale = 1, int firstRow = 0) =>
        Lookup(context, embedding, ids, gradientScale, context.ActivationType, firstRow, embedding.Rows - firstRow);

    /// <summary>The same where this process has only some rows of E, from that of id <paramref name="firstId"/> on: ids of other rows give zeros.</summary>
    /// <param name="context">Where to run.</param>
    /// <param name="embedding">The rows.</param>
    /// <param name="ids">Int32 <c>[tokens]</c>.</param>
    /// <param name="gradientScale">s.</param>
    /// <param name="firstId">The id of the first row.</param>
    /// <param name="vocabulary">Number of rows of E.</param>
    /// <exception cref="GlmException">An id lies outside the vocabulary.</exception>
    public static Tensor EmbeddingPart(this Context context, Tensor embedding, Tensor ids, float gradientScale, int firstId, int vocabulary) =>
        Lookup(context, embedding, ids, gradientScale, context.ActivationType, -firstId, vocabulary);

    /// <summary>y[i] = x[rows[i]]: the positions that a loss or a prediction is computed for.</summary>
    public static Tensor SelectRows(this Context context, Tensor x, Tensor rows) => Lookup(context, x, rows, 1, x.Type, firstRow: 0, x.Rows);

    private static Tensor Lookup(Context context, Tensor table, Tensor ids, float gradientScale, DType type, int firstRow, int limit)
    {
        int columns = table.Columns, count = checked((int)ids.Count);
        int* index = ids.Ints;
        for (int i = 0; i < count; i++)
            if ((uint)index[i] >= (uint)limit) throw new GlmException($"id {index[i]} at position {i} lies outside the {limit} rows of the table");
        var y = context.Arena.Allocate(type, count, columns);
        context.ForRows(count, new ForwardBody(context, table, ids, y, firstRow));
        if (context.Recording) RecordBackward(context, table, ids, gradientScale, y, firstRow);
        return y;
    }

    private static void RecordBackward(Context context, Tensor table, Tensor ids, float gradientScale, Tensor y, int firstRow) =>
        context.Record(y, table.RequiresGradient, () =>
        {
            int columns = y.Columns, count = y.Rows;
            var gradient = context.GradientOf(table, out bool first);
            if (first) gradient.Clear();
            // Rows may repeat: every thread takes its own columns of all of them, in order.
            context.ForRows(columns, (start, end, _) =>
            {
                for (int i = 0; i < count; i++)
                {
                    long row = (long)ids.Ints[i] + firstRow;
                    if ((ulong)row < (ulong)table.Rows)
                        Vectors.Axpby(gradientScale, y.Gradient!.Floats + (long)i * columns + start, 1, gradient.Floats + row * columns + start, end - start);
                }
            }, block: 64);
        });

    private readonly struct ForwardBody(Context context, Tensor table, Tensor ids, Tensor y, int firstRow) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int columns = y.Columns;
            float* scratch = context.Scratch(worker, columns);
            for (long i = start; i < end; i++)
            {
                long row = (long)ids.Ints[i] + firstRow;
                byte* target = y.Data + y.Type.Bytes(i * columns);
                if ((ulong)row < (ulong)table.Rows) TensorRows.FromFloats(TensorRows.Read(table, row, scratch), target, y.Type, columns);
                else new Span<byte>(target, (int)y.Type.Bytes(columns)).Clear();
            }
        }
    }
}
