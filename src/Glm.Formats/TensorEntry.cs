using Glm.Tensors;

namespace Glm.Formats;

/// <summary>A tensor to be written whose data are produced when their turn comes, so that large models pass through little memory.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type; 4-bit integers are stored as bytes <c>[out, in / 2]</c> (spec 6.2).</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Parts">Gives the data: rows of the outermost dimension, one part after the other; each is written before the next is asked for.</param>
public sealed record TensorEntry(string Name, DType Type, int[] Shape, Func<IEnumerable<Tensor>> Parts)
{
    /// <summary>A tensor whose data are produced as a whole.</summary>
    public TensorEntry(string name, DType type, int[] shape, Func<Tensor> data) : this(name, type, shape, () => [data()]) { }

    /// <summary>What the data take.</summary>
    public long Bytes => Type.Bytes(Shape.Aggregate(1L, (count, size) => checked(count * size)));

    /// <summary>Type and shape as formats without 4-bit integers declare them: bytes of two columns each.</summary>
    /// <exception cref="GlmException">There is an odd number of columns.</exception>
    internal (DType Type, int[] Shape) Plain()
    {
        if (Type != DType.Int4) return (Type, Shape);
        if (Shape.Length == 0 || Shape[^1] % 2 != 0)
            throw new GlmException($"{Name}: expected an even number of columns for 4-bit integers, found [{string.Join(", ", Shape)}]");
        return (DType.Int8, [.. Shape[..^1], Shape[^1] / 2]);
    }

    /// <summary>Gives the data to <paramref name="write"/> piece by piece.</summary>
    /// <exception cref="GlmException">They are not what was announced.</exception>
    internal void CopyTo(string path, Action<ReadOnlySpan<byte>> write, byte[] buffer, CancellationToken cancel)
    {
        long left = Bytes;
        foreach (var part in Parts())
        {
            bool fits = part.Type == Type && part.Bytes <= left && part.Shape.Length == Shape.Length && (Shape.Length == 0 || part.Shape[1..].SequenceEqual(Shape.AsSpan(1)));
            if (!fits) throw new GlmException($"{path}: {Name}: expected {Type} [{string.Join(", ", Shape)}], found {part}");
            for (long done = 0; done < part.Bytes;)
            {
                cancel.ThrowIfCancellationRequested();
                var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, part.Bytes - done));
                part.CopyBytesTo(piece, done);
                write(piece);
                done += piece.Length;
            }
            left -= part.Bytes;
        }
        if (left > 0) throw new GlmException($"{path}: {Name}: expected {Type} [{string.Join(", ", Shape)}], found {left} bytes less");
    }
}
