using Glm.Tokenizers;
using Glm.Training;

namespace Glm.Evaluation;

/// <summary>
/// The model that knows how often each token occurs and nothing else: p(token) = (count + 1) / (tokens + vocabulary). What a language model
/// gains over it, it has learned from context.
/// </summary>
/// <param name="vocabularySize">All ids are below it.</param>
public sealed class UnigramModel(int vocabularySize)
{
    private const int Block = 1 << 16, LongestDocument = 16 << 20;

    private readonly long[] _counts = new long[vocabularySize];

    /// <summary>Tokens counted.</summary>
    public long Tokens { get; private set; }

    /// <summary>Counts the tokens of training shards.</summary>
    /// <param name="shards">The shards.</param>
    /// <param name="vocabularySize">All ids are below it.</param>
    /// <param name="cancellation">Ends it.</param>
    public static UnigramModel FromShards(TokenShards shards, int vocabularySize, CancellationToken cancellation = default)
    {
        var model = new UnigramModel(vocabularySize);
        int[] ids = new int[Block];
        for (long start = 0; start < shards.Tokens; start += Block)
        {
            cancellation.ThrowIfCancellationRequested();
            var part = ids.AsSpan(0, (int)Math.Min(Block, shards.Tokens - start));
            shards.Read(start, part);
            model.Add(part);
        }
        return model;
    }

    /// <summary>Counts the tokens of text files.</summary>
    /// <param name="paths">Files and folders, <c>.jsonl</c> (field <c>text</c>) or <c>.txt</c>, plain or compressed.</param>
    /// <param name="tokenizer">Makes tokens of them.</param>
    /// <param name="cancellation">Ends it.</param>
    public static UnigramModel FromTexts(IReadOnlyList<string> paths, Tokenizer tokenizer, CancellationToken cancellation = default)
    {
        var model = new UnigramModel(tokenizer.VocabularySize);
        foreach (var document in InputFile.Expand(paths).SelectMany(file => new DocumentReader(file, "text", LongestDocument).Read()))
        {
            cancellation.ThrowIfCancellationRequested();
            if (document.Text is { } text) model.Add(tokenizer.Encode(text));
        }
        return model;
    }

    /// <summary>Counts some tokens.</summary>
    public void Add(ReadOnlySpan<int> ids)
    {
        foreach (int id in ids) _counts[id]++;
        Tokens += ids.Length;
    }

    /// <summary>Nats of some tokens: the sum of -ln p.</summary>
    public double Nats(ReadOnlySpan<int> ids)
    {
        double nats = 0, total = Tokens + _counts.Length;
        foreach (int id in ids) nats -= Math.Log((_counts[id] + 1) / total);
        return nats;
    }
}
