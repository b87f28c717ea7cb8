namespace Glm.Tokenizers;

/// <summary>Memory that one encoding at a time works in and the next one uses again.</summary>
internal sealed class EncodingScratch
{
    /// <summary>Capacity beyond which the memory is not kept for the next call.</summary>
    private const int MaximumKept = 1 << 22;

    private UnigramSegmenter.PathNode[] _path = [];

    /// <summary>The text as it was given.</summary>
    public List<byte> Utf8 { get; } = [];

    /// <summary>The text as it is cut.</summary>
    public List<byte> Normalized { get; } = [];

    public List<BpeSegmenter.Symbol> Symbols { get; } = [];

    public List<BpeSegmenter.Pair> Agenda { get; } = [];

    public bool IsWorthKeeping => Utf8.Capacity <= MaximumKept && Normalized.Capacity <= MaximumKept;

    public Span<UnigramSegmenter.PathNode> Path(int length)
    {
        if (_path.Length < length) _path = new UnigramSegmenter.PathNode[Math.Max(length, Math.Min(2 * _path.Length, MaximumKept))];
        return _path.AsSpan(0, length);
    }
}
