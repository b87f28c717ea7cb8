namespace Glm.Tokenizers;

/// <summary>Cuts prepared text into pieces. Safe for use from several threads, each with its own scratch memory.</summary>
internal abstract class Segmenter
{
    /// <summary>Appends the ids of <paramref name="text"/>, which is valid UTF-8.</summary>
    public abstract void Segment(ReadOnlySpan<byte> text, EncodingScratch scratch, List<int> ids);
}

/// <summary>Memory that one encoding at a time works in and the next one uses again.</summary>
internal sealed class EncodingScratch
{
    /// <summary>Capacity beyond which the memory is not kept for the next call.</summary>
    private const int MaximumKept = 1 << 22;

    public List<byte> Utf8 { get; } = [];
    public List<byte> Normalized { get; } = [];
    private UnigramSegmenter.PathNode[] _path = [];
    public List<BpeSegmenter.Symbol> Symbols { get; } = [];
    public List<BpeSegmenter.Pair> Agenda { get; } = [];

    public bool IsWorthKeeping => Utf8.Capacity <= MaximumKept && Normalized.Capacity <= MaximumKept;

    public Span<UnigramSegmenter.PathNode> Path(int length)
    {
        if (_path.Length < length) _path = new UnigramSegmenter.PathNode[Math.Max(length, Math.Min(2 * _path.Length, MaximumKept))];
        return _path.AsSpan(0, length);
    }
}
