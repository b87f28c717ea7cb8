namespace Glm.Training;

/// <summary>What <see cref="DataPreparer"/> needs to know.</summary>
public sealed record DataPrepareOptions
{
    /// <summary>Text to ids; called by several threads at once.</summary>
    public required Func<string, int[]> Encode { get; init; }

    /// <summary>All ids are below it.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Id that ends every document.</summary>
    public required int EodId { get; init; }

    /// <summary>SHA-256 of the tokenizer's file; training refuses shards of another one.</summary>
    public required string TokenizerHash { get; init; }

    /// <summary>Field of a JSON line that holds the text.</summary>
    public string TextField { get; init; } = "text";

    /// <summary>Leaves out documents of which more than half stands in documents before them.</summary>
    public bool Deduplicate { get; init; }

    /// <summary>Files or folders of held-out text: documents of which more than a tenth stands in it are left out.</summary>
    public IReadOnlyList<string> HeldOut { get; init; } = [];

    /// <summary>Most ids of a shard.</summary>
    public long TokensPerShard { get; init; } = 1 << 26;

    /// <summary>Longest JSON line; larger text files become several documents of at most this size. It bounds the memory.</summary>
    public int MaxDocumentBytes { get; init; } = 16 << 20;

    /// <summary>Threads that tokenise.</summary>
    public int Threads { get; init; } = 2;
}

/// <summary>How far a preparation is.</summary>
/// <param name="File">The input that is read.</param>
/// <param name="Documents">Documents so far.</param>
/// <param name="Tokens">Ids so far.</param>
/// <param name="Utf8Bytes">Bytes of text so far.</param>
/// <param name="Malformed">Malformed lines so far.</param>
public sealed record DataPrepareProgress(string File, long Documents, long Tokens, long Utf8Bytes, long Malformed);

/// <summary>
/// Turns text files into shards of token ids: the documents in the order of the inputs, each followed by the end-of-document id,
/// in files of at most <see cref="DataPrepareOptions.TokensPerShard"/> ids. The same inputs give the same bytes.
/// </summary>
public sealed class DataPreparer
{
    private const int ReportEveryBytes = 1 << 20;

    private readonly DataPrepareOptions _options;
    private readonly int _idBytes;

    /// <summary>A preparation with these options.</summary>
    /// <exception cref="GlmException">An option is out of range.</exception>
    public DataPreparer(DataPrepareOptions options)
    {
        Require(options.VocabularySize > 0, nameof(options.VocabularySize), "positive", options.VocabularySize);
        Require((uint)options.EodId < (uint)options.VocabularySize, nameof(options.EodId), $"below the vocabulary size {options.VocabularySize}", options.EodId);
        Require(options.TokensPerShard > 0, nameof(options.TokensPerShard), "positive", options.TokensPerShard);
        Require(options.MaxDocumentBytes >= 16, nameof(options.MaxDocumentBytes), "at least 16", options.MaxDocumentBytes);
        Require(options.Threads > 0, nameof(options.Threads), "positive", options.Threads);
        _options = options;
        _idBytes = ShardManifest.DtypeOf(options.VocabularySize) == "uint16" ? sizeof(ushort) : sizeof(int);
    }

    /// <summary>
    /// Prepares files (<c>.txt</c>: one document; <c>.jsonl</c>: one document on each line; plain, <c>.gz</c>, or through the
    /// programs <c>xz</c> and <c>zstd</c>) and folders of them into <paramref name="folder"/>. The manifest is written last; it
    /// tells of every input how many lines gave no document, and why the first did not, and how many documents were left out.
    /// </summary>
    /// <exception cref="GlmException">
    /// An input cannot be read to its end, the folder already holds prepared data or cannot be written, no document is left, or the
    /// tokenizer gives ids beyond its vocabulary.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled; no manifest is left.</exception>
    public ShardManifest Prepare(
        IReadOnlyList<string> inputs, string folder, IProgress<DataPrepareProgress>? progress = null, CancellationToken cancellation = default)
    {
        if (File.Exists(Path.Combine(folder, ShardManifest.FileName)))
            throw new GlmException($"{folder}: already holds prepared training data; choose another folder or remove it");
        List<SourceCount> sources = [.. InputFile.Expand(inputs).Select(file => new SourceCount(file))];

        List<ShardEntry> shards = WriteShards(folder, Encoded(sources, progress, cancellation), cancellation);
        if (shards.Count == 0)
        {
            SourceCount? faulty = sources.Find(source => source.Malformed > 0);
            string reason = faulty is null ? "" : $" ({faulty.File}, line {faulty.FirstLine}: {faulty.FirstReason})";
            if (sources.Exists(source => source.HeldOut.Documents > 0)) reason = " that is not held out" + reason;
            throw new GlmException($"{sources[0].File}: no document found{reason}");
        }
        var manifest = new ShardManifest(
            ShardManifest.FormatName, ShardManifest.CurrentVersion, ShardManifest.DtypeOf(_options.VocabularySize),
            _options.VocabularySize, _options.TokenizerHash, _options.EodId,
            sources.Sum(s => s.Documents), sources.Sum(s => s.Tokens), sources.Sum(s => s.Bytes),
            shards, [.. sources.Select(s => s.ToEntry())]);
        manifest.Save(folder);
        return manifest;
    }

    private sealed class SourceCount(string file)
    {
        public string File => file;
        public long Documents, Tokens, Bytes, Malformed;
        public long? FirstLine;
        public string? FirstReason;
        public LeftOut Duplicates = new(0, 0), HeldOut = new(0, 0);

        public SourceEntry ToEntry() =>
            new(file, Documents, Tokens, Bytes, Malformed, FirstLine, FirstReason, Duplicates.Documents > 0 ? Duplicates : null, HeldOut.Documents > 0 ? HeldOut : null);

        /// <summary>Counts a document that is left out.</summary>
        public void LeaveOut(CopyKind kind, int bytes)
        {
            ref LeftOut count = ref kind == CopyKind.HeldOut ? ref HeldOut : ref Duplicates;
            count = new LeftOut(count.Documents + 1, count.Utf8Bytes + bytes);
        }
    }

    /// <summary>What tells copies from documents to keep; null where nothing is to be left out.</summary>
    private CopyFilter? Filter(CancellationToken cancellation)
    {
        if (!_options.Deduplicate && _options.HeldOut.Count == 0) return null;
        var filter = new CopyFilter(_options.Deduplicate);
        filter.HoldOut(_options.HeldOut, _options.TextField, _options.MaxDocumentBytes, cancellation);
        return filter;
    }

    /// <summary>The ids of all documents, in order, counted in their sources. Several are encoded at a time, while a few more wait.</summary>
    private IEnumerable<int[]> Encoded(List<SourceCount> sources, IProgress<DataPrepareProgress>? progress, CancellationToken cancellation)
    {
        TaskScheduler workers = new ConcurrentExclusiveSchedulerPair(TaskScheduler.Default, _options.Threads).ConcurrentScheduler;
        var pending = new Queue<(SourceCount Source, DocumentText Document, Task<int[]> Ids)>();
        CopyFilter? filter = Filter(cancellation);
        long documents = 0, tokens = 0, bytes = 0, malformed = 0, reported = 0;

        int[] Finish()
        {
            (SourceCount source, DocumentText document, Task<int[]> task) = pending.Dequeue();
            int[] ids = task.GetAwaiter().GetResult();
            source.Documents++;
            source.Tokens += ids.Length;
            source.Bytes += document.Utf8Bytes;
            documents++;
            tokens += ids.Length;
            bytes += document.Utf8Bytes;
            if (bytes >= reported + ReportEveryBytes)
            {
                progress?.Report(new DataPrepareProgress(source.File, documents, tokens, bytes, malformed));
                reported = bytes;
            }
            return ids;
        }

        foreach (SourceCount source in sources)
            foreach (DocumentText document in new DocumentReader(source.File, _options.TextField, _options.MaxDocumentBytes).Read())
            {
                cancellation.ThrowIfCancellationRequested();
                if (document.Text is null)
                {
                    source.Malformed++;
                    source.FirstLine ??= document.Line;
                    source.FirstReason ??= document.Fault;
                    malformed++;
                    continue;
                }
                if (filter?.Judge(document.Text) is { } kind and not CopyKind.None)
                {
                    source.LeaveOut(kind, document.Utf8Bytes);
                    continue;
                }
                var ids = Task.Factory.StartNew(() => Encode(source.File, document), cancellation, TaskCreationOptions.None, workers);
                pending.Enqueue((source, document, ids));
                if (pending.Count > 4 * _options.Threads) yield return Finish();
            }
        while (pending.Count > 0) yield return Finish();
        progress?.Report(new DataPrepareProgress(sources[^1].File, documents, tokens, bytes, malformed));
    }

    private int[] Encode(string file, DocumentText document)
    {
        int[] ids = _options.Encode(document.Text!);
        foreach (int id in ids)
            if ((uint)id >= (uint)_options.VocabularySize)
                throw new GlmException($"{file}, line {document.Line}: the tokenizer gave id {id}, expected one below its vocabulary size {_options.VocabularySize}");
        return [.. ids, _options.EodId];
    }

    private List<ShardEntry> WriteShards(string folder, IEnumerable<int[]> encoded, CancellationToken cancellation)
    {
        var shards = new List<ShardEntry>();
        try
        {
            using IEnumerator<int[]> documents = encoded.GetEnumerator();
            var rest = ReadOnlyMemory<int>.Empty;
            while (!rest.IsEmpty || Next(documents, ref rest)) shards.Add(WriteShard(folder, shards.Count, documents, ref rest, cancellation));
            return shards;
        }
        catch
        {
            foreach (ShardEntry shard in shards) File.Delete(Path.Combine(folder, shard.File));
            throw;
        }
    }

    private ShardEntry WriteShard(string folder, int index, IEnumerator<int[]> documents, ref ReadOnlyMemory<int> rest, CancellationToken cancellation)
    {
        string name = ShardFile.Name(index), hash = "";
        long tokens = 0;
        ReadOnlyMemory<int> ids = rest;
        AtomicFile.Write(Path.Combine(folder, name), stream =>
        {
            stream.Position = ShardFile.HeaderBytes;
            do
            {
                int count = (int)Math.Min(ids.Length, _options.TokensPerShard - tokens);
                ShardFile.WriteIds(stream, ids.Span[..count], _idBytes);
                tokens += count;
                ids = ids[count..];
            }
            while (tokens < _options.TokensPerShard && Next(documents, ref ids));
            stream.Position = 0;
            stream.Write(ShardFile.Header(_idBytes, _options.VocabularySize, tokens));
            hash = ShardFile.Hash(stream, cancellation);
        });
        rest = ids;
        return new ShardEntry(name, tokens, ShardFile.HeaderBytes + tokens * _idBytes, hash);
    }

    private static void Require(bool holds, string option, string expected, long found)
    {
        if (!holds) throw new GlmException($"data preparation: {option} must be {expected}, found {found}");
    }

    /// <summary>The ids of the next document; false at the end.</summary>
    private static bool Next(IEnumerator<int[]> documents, ref ReadOnlyMemory<int> ids)
    {
        if (!documents.MoveNext()) return false;
        ids = documents.Current;
        return true;
    }
}
