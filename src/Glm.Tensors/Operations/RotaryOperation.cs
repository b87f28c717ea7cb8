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
    /// <summary>Heads of other processes that come before these ones, which dropout counts so that it does not depend on how heads are shared out.</summary>
    public int FirstHead { get; init; }

    /// <summary>Heads of all processes together.</summary>
    public int AllHeads { get => field > 0 ? field : Heads; init; }

    /// <summary>Query heads that share a key and value head.</summary>
    public int GroupHeads => Heads / KeyValueHeads;

    /// <summary>By head, then query, key, value (spec 1.4).</summary>
    public static HeadLayout Interleaved(int heads, int headSize) =>
        new(heads, heads, headSize, 0, headSize, 2 * headSize, 3 * headSize, 3 * headSize);

    /// <summary>All queries, then all keys, then all values (ChatGLM spec 1).</summary>
    public static HeadLayout Blocked(int heads, int keyValueHeads, int headSize) =>
        new(heads, keyValueHeads, headSize, 0, heads * headSize, (heads + keyValueHeads) * headSize, headSize, headSize);
}

/// <summary>Which elements of a head the rotary embedding turns together, r being the number of elements that it turns.</summary>
public enum RotaryPairing
{
    /// <summary>j and j + r / 2: GLM-130B (spec 1.5).</summary>
    Halves,

    /// <summary>2 j and 2 j + 1: ChatGLM2 and its successors (ChatGLM spec 3.3).</summary>
    Neighbours,
}

/// <summary>Rotary position embedding.</summary>
public static unsafe class RotaryOperation
{
    /// <summary>
    /// Rotates the queries and keys inside a fused projection, in place: the first r elements of every head, r being twice the width of the tables, the rest
    /// stays. With (x1, x2) a pair of elements and c, s the entry of the tables at the token's position and the pair's number, x1' = x1 c - x2 s,
    /// x2' = x2 c + x1 s. The way back is the rotation by the opposite angle.
    /// </summary>
    /// <param name="context">Where to run.</param>
    /// <param name="qkv">The projection <c>[rows, …]</c>.</param>
    /// <param name="layout">Where the heads are in it.</param>
    /// <param name="positions">Int32 <c>[rows]</c>.</param>
    /// <param name="cos">Float32 <c>[positions, r / 2]</c>, r at most the head size.</param>
    /// <param name="sin">The same for the sine.</param>
    /// <param name="pairing">Which elements form a pair.</param>
    /// <returns><paramref name="qkv"/>.</returns>
    /// <exception cref="GlmException">A position lies outside the tables.</exception>
    public static Tensor Rotary(
        this Context context, Tensor qkv, HeadLayout layout, Tensor positions, Tensor cos, Tensor sin, RotaryPairing pairing = RotaryPairing.Halves)
    {
        if (2 * cos.Columns > layout.HeadSize) throw new ArgumentException($"tables {cos} are too wide for heads of {layout.HeadSize}", nameof(cos));
        int rows = qkv.Rows;
        for (int i = 0; i < rows; i++)
            if ((uint)positions.Ints[i] >= (uint)cos.Rows) throw new GlmException($"position {positions.Ints[i]} of token {i} lies outside the {cos.Rows} positions of the model");
        context.ForRows(rows, new RotateBody(context, qkv, layout, positions, cos, sin, pairing, 1));
        if (context.Recording) RecordBackward(context, qkv, layout, positions, cos, sin, pairing);
        return qkv;
    }

    private static void RecordBackward(Context context, Tensor qkv, HeadLayout layout, Tensor positions, Tensor cos, Tensor sin, RotaryPairing pairing) =>
        context.Record(qkv, qkv.RequiresGradient, () =>
            context.ForRows(qkv.Rows, new RotateBody(context, qkv.Gradient!, layout, positions, cos, sin, pairing, -1)));

    private readonly struct RotateBody(
        Context context, Tensor x, HeadLayout layout, Tensor positions, Tensor cos, Tensor sin, RotaryPairing pairing, float direction) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int half = cos.Columns;
            float* scratch = context.Scratch(worker, x.Columns);
            for (long row = start; row < end; row++)
            {
                float* values = TensorRows.Read(x, row, scratch);
                float* c = cos.Floats + (long)positions.Ints[row] * half, s = sin.Floats + (long)positions.Ints[row] * half;
                for (int head = 0; head < layout.Heads; head++) RotateHead(values + layout.QueryOffset + head * layout.QueryStride, c, s, half, pairing, direction);
                for (int head = 0; head < layout.KeyValueHeads; head++) RotateHead(values + layout.KeyOffset + head * layout.KeyValueStride, c, s, half, pairing, direction);
                TensorRows.Write(x, row, values);
            }
        }
    }

    private static void RotateHead(float* x, float* cos, float* sin, int half, RotaryPairing pairing, float direction)
    {
        if (pairing == RotaryPairing.Halves) RotateHalves(x, cos, sin, half, direction);
        else RotateNeighbours(x, cos, sin, half, direction);
    }

    private static void RotateHalves(float* x, float* cos, float* sin, int half, float direction)
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

    /// <summary>Eight pairs at a time: x' = x [c, c, …] + (x with its pairs exchanged) [-s, s, …].</summary>
    private static void RotateNeighbours(float* x, float* cos, float* sin, int half, float direction)
    {
        const int pairs = Vectors.Width / 2;
        var twice = Vector512.Create(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
        var exchanged = Vector512.Create(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
        var signs = Vector512.Create(Vector128.Create(-direction, direction, -direction, direction));
        for (int i = 0; i < half; i += pairs)
        {
            int count = Math.Min(pairs, half - i);
            var c = Vector512.Shuffle(Vectors.Load(cos + i, count), twice);
            var s = Vector512.Shuffle(Vectors.Load(sin + i, count), twice) * signs;
            var value = Vectors.Load(x + 2 * i, 2 * count);
            Vectors.Store(value * c + Vector512.Shuffle(value, exchanged) * s, x + 2 * i, 2 * count);
        }
    }
}
