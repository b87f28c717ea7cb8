using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// Rows that attend to one another: row i of the segment (0-based) sees row j if j is below <paramref name="Division"/> (bidirectional context) or
/// at most i (causal part). Rows of different segments do not see each other.
/// </summary>
/// <param name="Start">First row of the segment.</param>
/// <param name="Length">Number of rows.</param>
/// <param name="Division">Length of the bidirectional context; 0 is causal attention.</param>
public readonly record struct AttentionSegment(int Start, int Length, int Division);

/// <summary>Masked multi-head attention over a fused projection (spec 1.6), for training and for scoring whole sequences.</summary>
/// <remarks>
/// For each head, S = scale Q K^T, P = softmax over what the rule lets a row see, O = P V; a block of queries at a time, so that scores of masked
/// blocks are never computed and no score outlives its block: the backward pass rebuilds P from the log-sum-exp of each row.
/// With D = rowsum(dO O): dV = P^T dO, dS = P (dO V^T - D), dQ = scale dS K, dK = scale dS^T Q. The original writes -10000 into masked scores, which is an
/// exact 0 after the float32 softmax of rows that see at least themselves. With ALiBi a head's slope times (key - query) is added to S, which has no gradient.
/// </remarks>
public static unsafe class AttentionOperation
{
    private const int BlockRows = 64;

    /// <summary>Attention of every head inside its segment.</summary>
    /// <param name="context">Where to run.</param>
    /// <param name="qkv">Rotated projection <c>[rows, …]</c>.</param>
    /// <param name="layout">Where the heads are in it.</param>
    /// <param name="segments">Who sees whom; rows outside every segment give zeros.</param>
    /// <param name="dropout">Dropout probability on P, while training.</param>
    /// <param name="slopes">Float32 slopes of ALiBi <c>[heads]</c>, if positions enter so (ChatGLM spec 8.2).</param>
    /// <param name="precision">How scores are rounded where activations are binary16.</param>
    /// <returns><c>[rows, heads x head size]</c>.</returns>
    public static Tensor Attention(
        this Context context, Tensor qkv, HeadLayout layout, AttentionSegment[] segments, float dropout = 0, Tensor? slopes = null, ScorePrecision? precision = null)
    {
        int longest = 0, total = 0;
        foreach (var segment in segments)
        {
            if (segment.Start < 0 || segment.Length < 0 || segment.Start + segment.Length > qkv.Rows)
                throw new ArgumentException($"{segment} lies outside the {qkv.Rows} rows", nameof(segments));
            longest = Math.Max(longest, segment.Length);
            total += segment.Length;
        }
        float scale = 1 / MathF.Sqrt(layout.HeadSize);
        var output = context.New(qkv.Rows, layout.Heads * layout.HeadSize);
        if (total < qkv.Rows) output.Clear();
        var normalizers = context.Arena.Allocate(DType.Float32, layout.Heads, qkv.Rows);
        DropoutMask? mask = dropout > 0 && context.Training ? new DropoutMask(context, dropout) : null;
        HalfScores? half = context.ActivationType == DType.Float16 ? new HalfScores(precision ?? new ScorePrecision()) : null;
        var pass = new Pass(context, qkv, output, layout, segments, longest, scale / (half?.LayerScale ?? 1), normalizers, mask, slopes, half);
        context.Workers.For(segments.Length * layout.Heads, pass);
        if (context.Recording) RecordBackward(context, qkv, output, layout, segments, pass);
        return output;
    }

    private static void RecordBackward(Context context, Tensor qkv, Tensor output, HeadLayout layout, AttentionSegment[] segments, Pass pass) =>
        context.Record(output, qkv.RequiresGradient, () =>
        {
            var gradient = context.GradientOf(qkv, out bool first);
            if (first) gradient.Clear();
            int groups = layout.KeyValueHeads;
            context.Workers.For(segments.Length * groups, (item, worker) => pass.Backward(segments[item / groups], item % groups, gradient, worker));
        });

    /// <summary>The first and the number of keys that the queries [begin, end) of a segment can see together: keys from 0 to this.</summary>
    private static int VisibleKeys(AttentionSegment segment, int end) => Math.Min(segment.Length, Math.Max(segment.Division, end));

    /// <summary>What both passes read. As the body of a loop it is the forward pass, an item for every head of every segment.</summary>
    private readonly struct Pass(
        Context context, Tensor qkv, Tensor output, HeadLayout layout, AttentionSegment[] segments, int longest, float scale, Tensor normalizers,
        DropoutMask? dropout, Tensor? slopes, HalfScores? half) : ILoopBody
    {
        public void Invoke(int item, int worker) => Forward(segments[item / layout.Heads], item % layout.Heads, worker);

        private void Forward(AttentionSegment segment, int head, int worker)
        {
            float* scores = context.Scratch(worker, (long)BlockRows * longest);
            int group = head / layout.GroupHeads;
            for (int begin = 0; begin < segment.Length; begin += BlockRows)
            {
                int end = Math.Min(segment.Length, begin + BlockRows), keys = VisibleKeys(segment, end);
                Multiply(Query(segment, head, begin, end), Key(segment, group, keys).Transposed, Matrix.Dense(scores, end - begin, keys), scale, 0, worker);
                for (int i = begin; i < end; i++)
                {
                    float* row = scores + (long)(i - begin) * keys;
                    int visible = VisibleKeys(segment, i + 1);
                    if (half is { } rounded) HalfSoftmax(rounded, head, i, row, visible);
                    else
                    {
                        AddDistances(head, i, row, visible);
                        float max = Vectors.Max(row, visible), sum = Vectors.ExpSum(row, max, visible);
                        *Normalizer(segment, head, i) = max + MathF.Log(sum);
                        Vectors.Scale(1 / sum, row, visible);
                    }
                    new Span<float>(row + visible, keys - visible).Clear();
                    if (dropout is { } mask) ApplyDropout(mask, segment, head, i, row, visible);
                }
                Multiply(Matrix.Dense(scores, end - begin, keys), Value(segment, group, keys), Output(output, segment, head, begin, end), 1, 0, worker);
            }
        }

        public void Backward(AttentionSegment segment, int group, Tensor gradient, int worker)
        {
            int size = layout.HeadSize, perGroup = layout.GroupHeads;
            float* p = context.Scratch(worker, 2L * BlockRows * longest + 2L * size), ds = p + (long)BlockRows * longest;
            float* scratch = ds + (long)BlockRows * longest;
            for (int head = group * perGroup; head < (group + 1) * perGroup; head++)
                for (int begin = 0; begin < segment.Length; begin += BlockRows)
                {
                    int end = Math.Min(segment.Length, begin + BlockRows), rows = end - begin, keys = VisibleKeys(segment, end);
                    Matrix probabilities = Matrix.Dense(p, rows, keys), scoreGradient = Matrix.Dense(ds, rows, keys);
                    Matrix upstream = Output(output.Gradient!, segment, head, begin, end), query = Query(segment, head, begin, end);
                    Multiply(query, Key(segment, group, keys).Transposed, probabilities, scale, 0, worker);
                    Multiply(upstream, Value(segment, group, keys).Transposed, scoreGradient, 1, 0, worker);
                    for (int i = begin; i < end; i++)
                    {
                        float* row = p + (long)(i - begin) * keys, rowGradient = ds + (long)(i - begin) * keys;
                        if (half is { } rounded) HalfRowBackward(rounded, segment, head, i, row, rowGradient, keys);
                        else RowBackward(segment, head, i, row, rowGradient, keys, scratch);
                    }
                    Multiply(scoreGradient, Key(segment, group, keys), Slice(gradient, segment, layout.QueryOffset + head * layout.QueryStride, begin, rows), scale, 1, worker);
                    Multiply(scoreGradient.Transposed, query, Slice(gradient, segment, layout.KeyOffset + group * layout.KeyValueStride, 0, keys), scale, 1, worker);
                    Multiply(probabilities.Transposed, upstream, Slice(gradient, segment, layout.ValueOffset + group * layout.KeyValueStride, 0, keys), 1, 1, worker);
                }
        }

        /// <summary>Turns a row of scores into (dropped) probabilities, and dO V^T into the gradient of the scores.</summary>
        private void RowBackward(AttentionSegment segment, int head, int i, float* p, float* ds, int keys, float* scratch)
        {
            int visible = VisibleKeys(segment, i + 1), size = layout.HeadSize;
            long row = segment.Start + i;
            float* o = scratch, upstream = output.Gradient!.Floats + row * output.Columns + head * size;
            TensorRows.ToFloats(output.Data + output.Type.Bytes(row * output.Columns + head * size), output.Type, o, size);
            var d = Vector512.Create(Vectors.Dot(o, upstream, size));
            AddDistances(head, i, p, visible);
            Vectors.ExpSum(p, *Normalizer(segment, head, i), visible);
            if (dropout is { } mask)
            {
                for (int j = 0; j < visible; j++) ds[j] = p[j] * (ds[j] * Factor(mask, segment, head, i, j) - d[0]);
                ApplyDropout(mask, segment, head, i, p, visible);
            }
            else
            {
                for (int j = 0; j < visible; j += Vectors.Width)
                {
                    int count = visible - j;
                    Vectors.Store(Vectors.Load(p + j, count) * (Vectors.Load(ds + j, count) - d), ds + j, count);
                }
            }
            new Span<float>(p + visible, keys - visible).Clear();
            new Span<float>(ds + visible, keys - visible).Clear();
        }

        /// <summary>As <see cref="RowBackward"/>, every step rounded; the probabilities are those of the forward pass to the bit.</summary>
        private void HalfRowBackward(HalfScores rounded, AttentionSegment segment, int head, int i, float* p, float* ds, int keys)
        {
            int visible = VisibleKeys(segment, i + 1);
            HalfSoftmax(rounded, head, i, p, visible);
            HalfScores.Round(ds, visible);
            if (dropout is { } mask) ApplyDropout(mask, segment, head, i, ds, visible);
            rounded.Backward(p, ds, visible);
            if (dropout is { } same) ApplyDropout(same, segment, head, i, p, visible);
            new Span<float>(p + visible, keys - visible).Clear();
            new Span<float>(ds + visible, keys - visible).Clear();
        }

        private void HalfSoftmax(HalfScores rounded, int head, int i, float* row, int visible)
        {
            rounded.ReadScores(row, visible);
            AddDistances(head, i, row, visible);
            rounded.Softmax(row, visible);
        }

        private void AddDistances(int head, int i, float* scores, int visible)
        {
            if (slopes is not null) Vectors.AddRamp(slopes.Floats[head], -i, scores, visible);
        }

        private float* Normalizer(AttentionSegment segment, int head, int i) => normalizers.Floats + (long)head * qkv.Rows + segment.Start + i;

        private void ApplyDropout(DropoutMask mask, AttentionSegment segment, int head, int i, float* row, int count)
        {
            for (int j = 0; j < count; j++) row[j] *= Factor(mask, segment, head, i, j);
            if (half is not null) HalfScores.Round(row, count);
        }

        private float Factor(DropoutMask mask, AttentionSegment segment, int head, int i, int j) =>
            mask.Factor((((long)segment.Start + i) * layout.AllHeads + layout.FirstHead + head) * qkv.Rows + j);

        private Matrix Query(AttentionSegment segment, int head, int begin, int end) =>
            Slice(qkv, segment, layout.QueryOffset + head * layout.QueryStride, begin, end - begin);

        private Matrix Key(AttentionSegment segment, int group, int keys) =>
            Slice(qkv, segment, layout.KeyOffset + group * layout.KeyValueStride, 0, keys);

        private Matrix Value(AttentionSegment segment, int group, int keys) =>
            Slice(qkv, segment, layout.ValueOffset + group * layout.KeyValueStride, 0, keys);

        private Matrix Output(Tensor tensor, AttentionSegment segment, int head, int begin, int end) =>
            Slice(tensor, segment, head * layout.HeadSize, begin, end - begin);

        /// <summary>Rows of a segment, one head's columns.</summary>
        private Matrix Slice(Tensor tensor, AttentionSegment segment, int column, int begin, int rows) =>
            tensor.AsMatrix().Part(segment.Start + begin, column, rows, layout.HeadSize);

        private void Multiply(Matrix a, Matrix b, Matrix c, float alpha, float beta, int worker) =>
            MatMul.MultiplySingle(context.Packing(worker), a, b, c, alpha, beta, null, Isa.Current, context.Arithmetic);
    }
}
