using Glm.Tensors;

namespace Glm.Models;

/// <summary>Matrices (and biases) that a file holds in parts: queries, keys and values.</summary>
internal static class JoinedRows
{
    /// <summary>The rows of the parts one after another, in memory, as bfloat16 if their types differ; a single part as it is.</summary>
    /// <param name="source">The file, for messages.</param>
    /// <param name="name">What is joined.</param>
    /// <param name="parts">The parts.</param>
    /// <exception cref="GlmException">They differ in width, or in type while some are integers.</exception>
    public static Tensor Of(string source, string name, IReadOnlyList<Tensor> parts)
    {
        if (parts.Count == 1) return parts[0];
        if (parts.Any(part => part.Type != parts[0].Type) && parts.All(part => part.Type.IsFloat() || part.Type.IsBlock()))
            parts = [.. parts.Select(part => part.To(DType.Float32).To(DType.BFloat16))];
        var first = parts[0];
        bool fit = first.Shape.Length is 1 or 2 && parts.All(part => part.Type == first.Type && part.Shape.Length == first.Shape.Length && part.Shape[1..].SequenceEqual(first.Shape[1..]));
        if (!fit) throw new GlmException($"{source}: {name}: expected parts of one type and width, found {string.Join(", ", parts)}");
        int rows = checked(parts.Sum(part => part.Shape[0])), start = 0;
        var joined = Tensor.Allocate(first.Type, [rows, .. first.Shape[1..]]);
        foreach (var part in parts)
        {
            joined.Slice(start, part.Shape[0]).CopyFrom(part);
            start += part.Shape[0];
        }
        return joined;
    }
}
