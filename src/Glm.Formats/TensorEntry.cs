using Glm.Tensors;

namespace Glm.Formats;

/// <summary>A tensor to be written whose data are produced when their turn comes, so that large models pass through little memory.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type; 4-bit integers are stored as bytes <c>[out, in / 2]</c> (spec 6.2).</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Data">Gives the data.</param>
public sealed record TensorEntry(string Name, DType Type, int[] Shape, Func<Tensor> Data)
{
    internal long Bytes => Type.Bytes(Shape.Aggregate(1L, (count, size) => checked(count * size)));

    /// <summary>Type and shape as formats without 4-bit integers declare them: bytes of two columns each.</summary>
    /// <exception cref="GlmException">There is an odd number of columns.</exception>
    internal (DType Type, int[] Shape) Plain()
    {
        if (Type != DType.Int4) return (Type, Shape);
        if (Shape.Length == 0 || Shape[^1] % 2 != 0)
            throw new GlmException($"{Name}: expected an even number of columns for 4-bit integers, found [{string.Join(", ", Shape)}]");
        return (DType.Int8, [.. Shape[..^1], Shape[^1] / 2]);
    }

    /// <summary>Gives the data to <paramref name="write"/> part by part.</summary>
    /// <exception cref="GlmException">They are not what was announced.</exception>
    internal void CopyTo(string path, Action<ReadOnlySpan<byte>> write, byte[] buffer, CancellationToken cancel)
    {
        var tensor = Data();
        if (tensor.Type != Type || !tensor.Shape.SequenceEqual(Shape)) throw new GlmException($"{path}: {Name}: expected {Type} [{string.Join(", ", Shape)}], found {tensor}");
        for (long done = 0; done < tensor.Bytes;)
        {
            cancel.ThrowIfCancellationRequested();
            var part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, tensor.Bytes - done));
            tensor.CopyBytesTo(part, done);
            write(part);
            done += part.Length;
        }
    }
}
