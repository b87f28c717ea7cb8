using System.IO.MemoryMappedFiles;

namespace Glm.Training;

/// <summary>
/// A folder of prepared training data, memory-mapped and read as one sequence of ids. Reading is thread-safe.
/// </summary>
public sealed class TokenShards : IDisposable
{
    private readonly MemoryMappedViewAccessor[] _views;
    private readonly long[] _starts;

    private TokenShards(string folder, ShardManifest manifest, MemoryMappedViewAccessor[] views)
    {
        Folder = folder;
        Manifest = manifest;
        _views = views;
        _starts = new long[views.Length];
        for (int i = 1; i < views.Length; i++) _starts[i] = _starts[i - 1] + manifest.Shards[i - 1].Tokens;
    }

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>Its table of contents.</summary>
    public ShardManifest Manifest { get; }

    /// <summary>Ids in all.</summary>
    public long Tokens => Manifest.Tokens;

    /// <summary>
    /// Opens a folder and compares every file's size and header with the manifest. With <paramref name="tokenizerHash"/>, refuses
    /// data of another tokenizer.
    /// </summary>
    /// <exception cref="GlmException">
    /// The manifest or a shard is missing, damaged, of another version, or of another tokenizer.
    /// </exception>
    public static TokenShards Open(string folder, string? tokenizerHash = null)
    {
        ShardManifest manifest = ShardManifest.Load(folder);
        if (tokenizerHash is not null && !tokenizerHash.Equals(manifest.TokenizerSha256, StringComparison.OrdinalIgnoreCase))
            throw new GlmException($"{folder}: prepared with another tokenizer: expected sha256 {tokenizerHash}, found {manifest.TokenizerSha256}");
        var views = new List<MemoryMappedViewAccessor>();
        try
        {
            foreach (ShardEntry shard in manifest.Shards) views.Add(Map(Path.Combine(folder, shard.File), shard, manifest));
            return new TokenShards(folder, manifest, [.. views]);
        }
        catch
        {
            views.ForEach(view => view.Dispose());
            throw;
        }
    }

    /// <summary>Reads the ids from <paramref name="start"/> on, across shards.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The data ends before.</exception>
    /// <exception cref="GlmException">An id is beyond the vocabulary.</exception>
    public void Read(long start, Span<int> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Tokens - destination.Length);
        int shard = Array.BinarySearch(_starts, start);
        if (shard < 0) shard = ~shard - 1;
        for (; !destination.IsEmpty; shard++)
        {
            long index = start - _starts[shard];
            int count = (int)Math.Min(destination.Length, Manifest.Shards[shard].Tokens - index);
            ShardFile.ReadIds(_views[shard].SafeMemoryMappedViewHandle, index, destination[..count], Manifest.IdBytes);
            foreach (int id in destination[..count])
                if ((uint)id >= (uint)Manifest.VocabularySize)
                    throw new GlmException($"{Path.Combine(Folder, Manifest.Shards[shard].File)}: damaged: expected ids below {Manifest.VocabularySize}, found {id}");
            destination = destination[count..];
            start += count;
        }
    }

    /// <summary>Compares the hash of every shard with the manifest. Reports the shards that are done.</summary>
    /// <exception cref="GlmException">A shard differs, or cannot be read.</exception>
    public void Verify(IProgress<int>? progress = null, CancellationToken cancellation = default)
    {
        for (int i = 0; i < _views.Length; i++)
        {
            ShardEntry shard = Manifest.Shards[i];
            string path = Path.Combine(Folder, shard.File), found;
            try
            {
                using FileStream stream = File.OpenRead(path);
                found = ShardFile.Hash(stream, cancellation);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new GlmException($"{path}: cannot be read: {error.Message}", error);
            }
            if (found != shard.Sha256) throw new GlmException($"{path}: damaged: expected sha256 {shard.Sha256}, found {found}");
            progress?.Report(i + 1);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (MemoryMappedViewAccessor view in _views) view.Dispose();
    }

    private static MemoryMappedViewAccessor Map(string path, ShardEntry shard, ShardManifest manifest)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            if (stream.Length != shard.Bytes) throw new GlmException($"{path}: expected {shard.Bytes} bytes, found {stream.Length}");
            var header = new byte[ShardFile.HeaderBytes];
            stream.ReadExactly(header);
            byte[] expected = ShardFile.Header(manifest.IdBytes, manifest.VocabularySize, shard.Tokens);
            if (!header.SequenceEqual(expected))
                throw new GlmException($"{path}: its header does not fit the manifest: expected {Convert.ToHexString(expected)}, found {Convert.ToHexString(header)}");
            using var file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            return file.CreateViewAccessor(0, shard.Bytes, MemoryMappedFileAccess.Read);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }
}
