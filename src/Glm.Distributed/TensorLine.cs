using Glm.Tensors;

namespace Glm.Distributed;

/// <summary>Tensors of one type seen as one line of elements, which collectives move: a bucket of gradients, for example.</summary>
public sealed class TensorLine
{
    private readonly IReadOnlyList<Tensor> _tensors;
    private readonly long[] _starts;

    /// <summary>A line of tensors.</summary>
    /// <exception cref="ArgumentException">They are of different types, or of one that is not of whole bytes.</exception>
    public TensorLine(params IReadOnlyList<Tensor> tensors)
    {
        _tensors = tensors;
        Type = tensors.Count > 0 ? tensors[0].Type : DType.Float32;
        if (tensors.Any(tensor => tensor.Type != Type) || !(Type.IsFloat() || Type == DType.Int32))
            throw new ArgumentException($"floating-point or int32 tensors of one type make a line, not {string.Join(", ", tensors.Select(tensor => tensor.Type).Distinct())}", nameof(tensors));
        _starts = new long[tensors.Count + 1];
        for (int i = 0; i < tensors.Count; i++) _starts[i + 1] = _starts[i] + tensors[i].Count;
    }

    /// <summary>The type of the elements.</summary>
    public DType Type { get; }

    /// <summary>Number of elements.</summary>
    public long Count => _starts[^1];

    /// <summary>Bytes of an element.</summary>
    internal int Width => (int)Type.Bytes(1);

    /// <summary>The elements [start, end) that a rank of a group answers for.</summary>
    public (long Start, long End) Share(int rank, int ranks) => ((long)((Int128)Count * rank / ranks), (long)((Int128)Count * (rank + 1) / ranks));

    /// <summary>The part of tensor <paramref name="index"/> that lies in a rank's share: first element and number of elements, which may be 0.</summary>
    public (long Start, long Count) ShareOf(int index, int rank, int ranks)
    {
        var (start, end) = Share(rank, ranks);
        long first = Math.Clamp(start - _starts[index], 0, _tensors[index].Count), last = Math.Clamp(end - _starts[index], 0, _tensors[index].Count);
        return (first, last - first);
    }

    /// <summary>Copies elements from <paramref name="start"/> on to the host.</summary>
    internal void CopyTo(Span<byte> bytes, long start) => Move(bytes.Length / Width, start, bytes, static (tensor, part, offset) => tensor.CopyBytesTo(part, offset));

    /// <summary>Copies elements from <paramref name="start"/> on from the host.</summary>
    internal void CopyFrom(Span<byte> bytes, long start) => Move(bytes.Length / Width, start, bytes, static (tensor, part, offset) => tensor.CopyBytesFrom(part, offset));

    private void Move(int count, long start, Span<byte> bytes, PartMover move)
    {
        int index = Array.BinarySearch(_starts, start);
        if (index < 0) index = ~index - 1;
        for (int done = 0; done < count; index++)
        {
            long offset = start + done - _starts[index];
            int part = (int)Math.Min(count - done, _tensors[index].Count - offset);
            if (part <= 0) continue; // an empty tensor
            move(_tensors[index], bytes.Slice(done * Width, part * Width), offset * Width);
            done += part;
        }
    }

    private delegate void PartMover(Tensor tensor, Span<byte> part, long offset);
}
