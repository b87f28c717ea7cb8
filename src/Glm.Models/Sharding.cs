using Glm.Tensors;

namespace Glm.Models;

/// <summary>How a tensor lies in the files of tensor-parallel ranks (spec 7.2).</summary>
public enum ShardingRule
{
    /// <summary>Every rank has all of it.</summary>
    Replicated,

    /// <summary>Every rank has some rows, in the order of ranks: vocabulary, heads.</summary>
    Rows,

    /// <summary>Every rank has some rows of the linear half, then the same ones of the gate.</summary>
    GatedRows,

    /// <summary>Every rank has some columns, the inputs that it computes.</summary>
    Columns,

    /// <summary>Scales of a matrix that is cut by columns: every rank has its own, one for each row, which stand together as <c>[ranks, out]</c>.</summary>
    Segments,
}

/// <summary>
/// Cuts parameters of the GLM-130B architecture for tensor-parallel ranks and joins them again, as the original's converter does (spec 7.3). Tensors are as
/// files have them: quantised matrices are bytes, with their scales under a name of their own.
/// </summary>
/// <remarks>
/// Every rule but one is the same movement: seen as a matrix of bytes, the whole has the parts side by side. Rows are one long line, gated rows two, the
/// linear half and the gate, and columns have a line for each row.
/// </remarks>
public static class Sharding
{
    private const string ScaleSuffix = "_scale";

    /// <summary>The rule of a tensor by its name.</summary>
    public static ShardingRule RuleOf(string name)
    {
        if (name.EndsWith(ScaleSuffix, StringComparison.Ordinal))
            return RuleOf(name[..^ScaleSuffix.Length]) is ShardingRule.Columns ? ShardingRule.Segments : RuleOf(name[..^ScaleSuffix.Length]);
        bool dense = name.Contains("attention.dense.", StringComparison.Ordinal) || name.Contains("dense_4h_to_h.", StringComparison.Ordinal);
        if (name.Contains("layernorm.", StringComparison.Ordinal) || name.EndsWith(".inv_freq", StringComparison.Ordinal) || (dense && name.EndsWith(".bias", StringComparison.Ordinal)))
            return ShardingRule.Replicated;
        return dense ? ShardingRule.Columns : name.Contains("dense_h_to_4h.", StringComparison.Ordinal) ? ShardingRule.GatedRows : ShardingRule.Rows;
    }

    /// <summary>The shape of what parts of a shape make together.</summary>
    /// <exception cref="GlmException">No tensor can have it.</exception>
    public static int[] JoinedShape(string name, ReadOnlySpan<int> part, int parts)
    {
        var rule = RuleOf(name);
        int[] shape = part.ToArray();
        if (rule == ShardingRule.Replicated || parts == 1) return shape;
        if (rule == ShardingRule.Segments) shape = shape is [var rows] ? [1, rows] : shape;
        int axis = rule == ShardingRule.Columns ? 1 : 0;
        bool fits = axis < shape.Length && (long)shape[axis] * parts <= int.MaxValue && (rule != ShardingRule.GatedRows || shape[0] % 2 == 0);
        if (!fits) throw new GlmException($"{name}: expected what {parts} ranks can have of a tensor by {rule}, found [{string.Join(", ", shape)}]");
        shape[axis] *= parts;
        return shape;
    }

    /// <summary>The tensor that consecutive ranks hold together.</summary>
    /// <exception cref="GlmException">The parts do not belong together.</exception>
    public static Tensor Join(string name, IReadOnlyList<Tensor> parts)
    {
        var first = parts[0];
        if (parts.FirstOrDefault(part => part.Type != first.Type || !part.Shape.SequenceEqual(first.Shape)) is { } other)
            throw new GlmException($"{name}: expected {first} in every rank, found {other}");
        var rule = RuleOf(name);
        if (rule == ShardingRule.Replicated || parts.Count == 1) return first;
        var whole = Tensor.Allocate(first.Type, JoinedShape(name, first.Shape, parts.Count));
        int lines = Lines(rule, whole);
        long bytes = first.Bytes / lines;
        for (int i = 0; i < parts.Count; i++) CopyLines(parts[i], 0, bytes, whole, i * bytes, parts.Count * bytes, lines);
        return whole;
    }

    /// <summary>The part of a tensor that rank <paramref name="rank"/> of <paramref name="ranks"/> holds.</summary>
    /// <exception cref="GlmException">It cannot be cut so.</exception>
    public static Tensor Part(string name, Tensor whole, int rank, int ranks)
    {
        var rule = RuleOf(name);
        if (rule == ShardingRule.Replicated || ranks == 1) return whole;
        if (rule == ShardingRule.Segments) return SegmentsOf(name, whole, rank, ranks);
        var part = Tensor.Allocate(whole.Type, PartShape(name, whole.Shape, ranks));
        int lines = Lines(rule, whole);
        long bytes = part.Bytes / lines;
        CopyLines(whole, rank * bytes, ranks * bytes, part, 0, bytes, lines);
        return part;
    }

    /// <summary>The shape of the part that a rank holds of a tensor, which is not scales by segment.</summary>
    /// <exception cref="GlmException">It cannot be cut so.</exception>
    public static int[] PartShape(string name, ReadOnlySpan<int> whole, int ranks)
    {
        var rule = RuleOf(name);
        int[] shape = whole.ToArray();
        if (rule == ShardingRule.Replicated || ranks == 1) return shape;
        int axis = rule == ShardingRule.Columns ? 1 : 0, unit = ranks * (rule == ShardingRule.GatedRows ? 2 : 1);
        if (axis >= shape.Length || shape[axis] % unit != 0)
            throw new GlmException($"{name}: expected a dimension {axis} that {unit} divides, for {ranks} ranks, found [{string.Join(", ", shape)}]");
        shape[axis] /= ranks;
        return shape;
    }

    /// <summary>Of the scales of an input, those of a rank's share; a rank whose share lies within one segment has that segment's.</summary>
    private static Tensor SegmentsOf(string name, Tensor scales, int rank, int ranks)
    {
        int rows = scales.Columns, segments = scales.Rows;
        if (segments % ranks != 0 && ranks % segments != 0) throw new GlmException($"{name}: expected segments of scales that {ranks} ranks can share, found {scales}");
        int count = Math.Max(1, segments / ranks), start = segments * rank / ranks;
        var part = scales.Reshape(segments, rows).Slice(start, count);
        return count == 1 ? part.Reshape(rows) : part;
    }

    private static int Lines(ShardingRule rule, Tensor whole) => rule switch
    {
        ShardingRule.Columns => whole.Shape[0],
        ShardingRule.GatedRows => 2,
        _ => 1,
    };

    /// <summary>Copies as many bytes of each line as the shorter line has.</summary>
    private static void CopyLines(Tensor source, long sourceStart, long sourceStep, Tensor target, long targetStart, long targetStep, int lines)
    {
        const int Most = 1 << 20;
        long length = Math.Min(sourceStep, targetStep);
        byte[] buffer = new byte[(int)Math.Min(length, Most)];
        for (int line = 0; line < lines; line++)
            for (long done = 0; done < length; done += buffer.Length)
            {
                var part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, length - done));
                source.CopyBytesTo(part, sourceStart + line * sourceStep + done);
                target.CopyBytesFrom(part, targetStart + line * targetStep + done);
            }
    }
}
