using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>Where queries, keys and values of each head stand in a row of a fused projection, in elements.</summary>
/// <param name="Heads">Number of query heads.</param>
/// <param name="KeyValueHeads">Number of key and value heads; each serves Heads / KeyValueHeads query heads.</param>
/// <param name="HeadSize">Width of a head.</param>
/// <param name="QueryOffset">Where the first head's query begins.</param>
/// <param name="KeyOffset">Where the first head's key begins.</param>
/// <param name="ValueOffset">Where the first head's value begins.</param>
/// <param name="QueryStride">From one head's query to the next's.</param>
/// <param name="KeyValueStride">From one head's key (value) to the next's.</param>
public readonly record struct HeadLayout(
    int Heads, int KeyValueHeads, int HeadSize, int QueryOffset, int KeyOffset, int ValueOffset, int QueryStride, int KeyValueStride)
{
    /// <summary>Query heads that share a key and value head.</summary>
    public int GroupHeads => Heads / KeyValueHeads;

    /// <summary>By head, then query, key, value (spec 1.4).</summary>
    public static HeadLayout Interleaved(int heads, int headSize) =>
        new(heads, heads, headSize, 0, headSize, 2 * headSize, 3 * headSize, 3 * headSize);
}

/// <summary>Rotary position embedding.</summary>
public static unsafe class RotaryOperation
{
    /// <summary>
    /// Rotates the queries and keys inside a fused projection, in place (spec 1.5): with x = [x1, x2] the halves of a head and c, s the rows of the
    /// tables at the token's position, x1' = x1 c - x2 s, x2' = x2 c + x1 s. The way back is the rotation by the opposite angle.
    /// </summary>
    /// <param name="context">Where to run.</param>
    /// <param name="qkv">The projection <c>[rows, …]</c>.</param>
    /// <param name="layout">Where the heads are in it.</param>
    /// <param name="positions">Int32 <c>[rows]</c>.</param>
    /// <param name="cos">Float32 <c>[positions, head size / 2]</c>.</param>
    /// <param name="sin">The same for the sine.</param>
    /// <returns><paramref name="qkv"/>.</returns>
    /// <exception cref="GlmException">A position lies outside the tables.</exception>
    public static Tensor Rotary(this Context context, Tensor qkv, HeadLayout layout, Tensor positions, Tensor cos, Tensor sin)
    {
        int rows = qkv.Rows;
        for (int i = 0; i < rows; i++)
            if ((uint)positions.Ints[i] >= (uint)cos.Rows) throw new GlmException($"position {positions.Ints[i]} of token {i} lies outside the {cos.Rows} positions of the model");
        context.ForRows(rows, new RotateBody(context, qkv, layout, positions, cos, sin, 1));
        if (context.Recording) RecordBackward(context, qkv, layout, positions, cos, sin);
        return qkv;
    }

    private static void RecordBackward(Context context, Tensor qkv, HeadLayout layout, Tensor positions, Tensor cos, Tensor sin) =>
        context.Record(qkv, qkv.RequiresGradient, () =>
            context.ForRows(qkv.Rows, new RotateBody(context, qkv.Gradient!, layout, positions, cos, sin, -1)));

    private readonly struct RotateBody(Context context, Tensor x, HeadLayout layout, Tensor positions, Tensor cos, Tensor sin, float direction) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int half = layout.HeadSize / 2;
            float* scratch = context.Scratch(worker, x.Columns);
            for (long row = start; row < end; row++)
            {
                float* values = TensorRows.Read(x, row, scratch);
                float* c = cos.Floats + (long)positions.Ints[row] * half, s = sin.Floats + (long)positions.Ints[row] * half;
                for (int head = 0; head < layout.Heads; head++) RotateHead(values + layout.QueryOffset + head * layout.QueryStride, c, s, half, direction);
                for (int head = 0; head < layout.KeyValueHeads; head++) RotateHead(values + layout.KeyOffset + head * layout.KeyValueStride, c, s, half, direction);
                TensorRows.Write(x, row, values);
            }
        }
    }

    private static void RotateHead(float* x, float* cos, float* sin, int half, float direction)
    {
        for (int i = 0; i < half; i += Vectors.Width)
        {
            int count = half - i;
            Vector512<float> c = Vectors.Load(cos + i, count), s = Vectors.Load(sin + i, count) * Vector512.Create(direction);
            Vector512<float> x1 = Vectors.Load(x + i, count), x2 = Vectors.Load(x + half + i, count);
            Vectors.Store(x1 * c - x2 * s, x + i, count);
            Vectors.Store(x2 * c + x1 * s, x + half + i, count);
        }
    }
}
