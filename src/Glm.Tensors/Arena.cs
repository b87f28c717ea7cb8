using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>
/// Memory for activations: handed out by moving a pointer, given back all at once or down to a mark, and reused for the next
/// step, so that a training step or a decoded token asks nothing of the operating system.
/// </summary>
/// <remarks>
/// The objects that describe the tensors are reused, too: a step that asks for the same tensors in the same order gets the same
/// objects and allocates nothing. So a tensor of the arena is dead once the arena was released below it: neither its elements
/// nor the object itself may be used then, since both may be somebody else's.
/// </remarks>
public sealed unsafe class Arena
{
    private const long ChunkBytes = 64L << 20;

    /// <summary>Tensors remembered at each place of the order: the layers of a model take the same places as what comes after them.</summary>
    private const int Ways = 4;

    private readonly List<Storage> _chunks = [];
    private readonly List<Tensor?> _tensors = []; // those handed out at each place of the order, the latest few
    private ArenaMark _next;

    /// <summary>Bytes held from the operating system.</summary>
    public long Capacity => _chunks.Sum(chunk => chunk.Bytes);

    /// <summary>Where the next allocation will lie.</summary>
    public ArenaMark Mark => _next;

    /// <summary>A tensor, not cleared, without a gradient, valid until the arena is released below it.</summary>
    public Tensor Allocate(DType type, params ReadOnlySpan<int> shape)
    {
        long bytes = (type.Bytes(Tensor.CountOf(shape)) + 63) & ~63L;
        var (chunk, used, tensors) = _next;
        for (; chunk < _chunks.Count && used + bytes > _chunks[chunk].Bytes; chunk++) used = 0;
        if (chunk == _chunks.Count) _chunks.Add(Storage.Native(Math.Max(ChunkBytes, bytes)));
        _next = new ArenaMark(chunk, used + bytes, tensors + 1);
        return Describe(tensors, _chunks[chunk], _chunks[chunk].Data + used, type, shape);
    }

    /// <summary>Gives back everything allocated since the mark was taken.</summary>
    public void Release(ArenaMark mark) => _next = mark;

    /// <summary>Gives everything back.</summary>
    public void Reset() => Release(default);

    /// <summary>An object that described the same tensor at the same place of the order before, or a new one.</summary>
    private Tensor Describe(int index, Storage storage, byte* data, DType type, ReadOnlySpan<int> shape)
    {
        while (_tensors.Count < (index + 1) * Ways) _tensors.Add(null);
        var known = CollectionsMarshal.AsSpan(_tensors).Slice(index * Ways, Ways); // the last one used first
        int way = 0;
        while (way < Ways - 1 && known[way] is { } tensor && !tensor.Is(storage, data, type, shape)) way++;
        var found = known[way] is { } old && old.Is(storage, data, type, shape) ? old : new Tensor(storage, data, type, shape);
        known[..way].CopyTo(known[1..]);
        known[0] = found;
        (found.Gradient, found.RequiresGradient) = (null, false);
        return found;
    }
}

/// <summary>A place in the order of an arena's allocations.</summary>
/// <param name="Chunk">Which piece of memory the next one lies in.</param>
/// <param name="Used">Bytes of it that are taken.</param>
/// <param name="Tensors">Number of tensors handed out.</param>
public readonly record struct ArenaMark(int Chunk, long Used, int Tensors);
