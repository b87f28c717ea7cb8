namespace Glm.Training;

/// <summary>
/// The rows of a training run: equal pieces of ids out of one or more sources. Which row a sample index gives is a pure function
/// of (seed, index), so a run resumes anywhere and rows can be fetched by any worker. Every source is gone through in a new
/// random order each time around; sources take turns by weight, so that each has its share of every 1024 samples, but for rounding.
/// Thread-safe.
/// </summary>
public sealed class TokenRows
{
    private const int MixingBlock = 1024;
    private const ulong OrderDomain = 0x6F72646572; // keeps these draws apart from others of the same seed

    private readonly TokenShards[] _sources;
    private readonly double[] _shares;
    private readonly long[] _rows;
    private readonly ulong _seed;

    /// <summary>Rows of <paramref name="lengthPerSample"/> ids from sources with positive weights.</summary>
    /// <exception cref="GlmException">There is no source, a weight is not positive, a source has no whole row, or the tokenizers differ.</exception>
    public TokenRows(IReadOnlyList<(TokenShards Shards, double Weight)> sources, int lengthPerSample, ulong seed)
    {
        if (sources.Count == 0) throw new GlmException("training data: expected at least one source, found none");
        if (lengthPerSample <= 0) throw new GlmException($"training data: expected a positive row length, found {lengthPerSample}");
        foreach ((TokenShards shards, double weight) in sources)
        {
            if (!(weight > 0 && double.IsFinite(weight)))
                throw new GlmException($"{shards.Folder}: expected a positive weight, found {weight}");
            if (shards.Tokens < lengthPerSample)
                throw new GlmException($"{shards.Folder}: expected at least one row of {lengthPerSample} ids, found {shards.Tokens} ids");
            if (shards.Manifest.TokenizerSha256 != sources[0].Shards.Manifest.TokenizerSha256)
                throw new GlmException($"{shards.Folder}: prepared with another tokenizer than {sources[0].Shards.Folder}");
        }
        _sources = [.. sources.Select(source => source.Shards)];
        _rows = [.. _sources.Select(source => source.Tokens / lengthPerSample)];
        _seed = seed ^ OrderDomain;
        LengthPerSample = lengthPerSample;

        // The share of source i among those from i on: a source first decides whether a sample is its own, then leaves it to the next.
        _shares = new double[sources.Count];
        double rest = 0;
        for (int i = sources.Count - 1; i >= 0; i--) _shares[i] = sources[i].Weight / (rest += sources[i].Weight);
    }

    /// <summary>Ids of a row.</summary>
    public int LengthPerSample { get; }

    /// <summary>Rows of each source; after so many of its samples it is gone through again.</summary>
    public IReadOnlyList<long> RowsPerSource => _rows;

    /// <summary>Copies the row of a sample, <c>[LengthPerSample]</c> ids.</summary>
    /// <exception cref="ArgumentException"><paramref name="destination"/> has another length, or the index is negative.</exception>
    public void Row(long sampleIndex, Span<int> destination)
    {
        if (destination.Length != LengthPerSample)
            throw new ArgumentException($"expected room for {LengthPerSample} ids, found {destination.Length}", nameof(destination));
        (int source, long row) = Locate(sampleIndex);
        _sources[source].Read(row * LengthPerSample, destination);
    }

    /// <summary>The source of a sample, and which of its rows it is.</summary>
    internal (int Source, long Row) Locate(long sampleIndex)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sampleIndex);
        (int source, long turn) = Turn(sampleIndex);
        (long epoch, long place) = Math.DivRem(turn, _rows[source]);
        return (source, new IndexPermutation(_rows[source], _seed, Stream(source + 1, epoch))[place]);
    }

    /// <summary>
    /// Whose turn it is. Of the first n samples a share s takes floor(n s); which samples of a block these are is shuffled.
    /// </summary>
    private (int Source, long Turn) Turn(long sampleIndex)
    {
        (long block, long inBlock) = Math.DivRem(sampleIndex, MixingBlock);
        long index = sampleIndex - inBlock + new IndexPermutation(MixingBlock, _seed, Stream(0, block))[inBlock];
        for (int source = 0; source < _sources.Length - 1; source++)
        {
            long before = (long)(index * _shares[source]);
            if ((long)((index + 1) * _shares[source]) > before) return (source, before);
            index -= before;
        }
        return (_sources.Length - 1, index);
    }

    private static ulong Stream(int part, long index) => ((ulong)part << 48) | (ulong)index;
}
