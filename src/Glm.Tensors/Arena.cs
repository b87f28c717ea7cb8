namespace Glm.Tensors;

/// <summary>
/// Memory for activations: handed out by moving a pointer, given back all at once or down to a mark, and reused for the next
/// step, so that a training step or a decoded token asks nothing of the operating system.
/// </summary>
public sealed unsafe class Arena
{
    private const long ChunkBytes = 64L << 20;
    private readonly List<Storage> _chunks = [];
    private int _chunk;
    private long _used;

    /// <summary>Bytes held from the operating system.</summary>
    public long Capacity => _chunks.Sum(chunk => chunk.Bytes);

    /// <summary>A tensor, not cleared, valid until the arena is released below it.</summary>
    public Tensor Allocate(DType type, params ReadOnlySpan<int> shape)
    {
        long bytes = (type.Bytes(Tensor.CountOf(shape)) + 63) & ~63L;
        while (_chunk < _chunks.Count && _used + bytes > _chunks[_chunk].Bytes) NextChunk();
        if (_chunk == _chunks.Count) _chunks.Add(Storage.Native(Math.Max(ChunkBytes, bytes)));
        var storage = _chunks[_chunk];
        var tensor = new Tensor(storage, storage.Data + _used, type, shape);
        _used += bytes;
        return tensor;
    }

    /// <summary>Where the next allocation will lie.</summary>
    public (int Chunk, long Used) Mark => (_chunk, _used);

    /// <summary>Gives back everything allocated since the mark was taken.</summary>
    public void Release((int Chunk, long Used) mark) => (_chunk, _used) = mark;

    /// <summary>Gives everything back.</summary>
    public void Reset() => Release((0, 0));

    private void NextChunk()
    {
        _chunk++;
        _used = 0;
    }
}
