using System.Text;
using Glm.Inference;
using Glm.Tokenizers;

namespace Glm.Evaluation;

/// <summary>Options of <see cref="BitsPerByte"/>.</summary>
public sealed record BitsPerByteOptions
{
    /// <summary>Name of the task in the result.</summary>
    public string Task { get; init; } = "bits-per-byte";

    /// <summary>Field of a JSON line that holds the text.</summary>
    public string TextField { get; init; } = "text";

    /// <summary>Most documents; null for all.</summary>
    public int? MaxDocuments { get; init; }

    /// <summary>No document begins after this many bytes of text; null for all.</summary>
    public long? MaxBytes { get; init; }

    /// <summary>A baseline over the same tokens.</summary>
    public UnigramModel? Unigram { get; init; }
}

/// <summary>
/// How well a model compresses text: bits per byte = nats / (ln 2 x UTF-8 bytes), every document on its own and every token scored once
/// (spec 8.6).
/// </summary>
/// <param name="scorer">The model.</param>
/// <param name="tokenizer">Its vocabulary.</param>
public sealed class BitsPerByte(Scorer scorer, Tokenizer tokenizer)
{
    private const int GroupTokens = 1 << 15;

    /// <summary>Scores the documents of some files.</summary>
    /// <param name="paths">Files and folders, <c>.jsonl</c> or <c>.txt</c> (one document each), plain or compressed.</param>
    /// <param name="options">What to read, and how much.</param>
    /// <param name="progress">Sees documents and bits per byte so far.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>
    /// Metrics <c>bits_per_byte</c>, <c>bits_per_token</c>, <c>bytes</c>, <c>tokens</c> and, with a baseline, <c>unigram_bits_per_byte</c>.
    /// </returns>
    /// <exception cref="GlmException">A file cannot be read, or there is no text in any.</exception>
    public EvaluationResult Run(
        IReadOnlyList<string> paths, BitsPerByteOptions options, IProgress<EvaluationProgress>? progress = null, CancellationToken cancellation = default)
    {
        var errors = new List<string>();
        double nats = 0, unigramNats = 0;
        long bytes = 0, tokens = 0;
        int documents = 0;
        foreach (var group in Groups(paths, options, errors))
        {
            int[][] ids = [.. group.Select(document => document.Ids)];
            nats -= scorer.Score(ids, null, cancellation).Sum(scores => scores.Sum(score => (double)score));
            if (options.Unigram is { } unigram) unigramNats += ids.Sum(text => unigram.Nats(text));
            bytes += group.Sum(document => (long)document.Bytes);
            tokens += ids.Sum(text => (long)text.Length);
            documents += group.Count;
            progress?.Report(new EvaluationProgress(documents, Scorer.BitsPerByte(nats, bytes)));
        }
        if (documents == 0) throw new GlmException($"{string.Join(", ", paths)}: expected some text, found none");
        var metrics = new Dictionary<string, double>
        {
            ["bits_per_byte"] = Scorer.BitsPerByte(nats, bytes),
            ["bits_per_token"] = nats / Math.Log(2) / tokens,
            ["bytes"] = bytes,
            ["tokens"] = tokens,
        };
        if (options.Unigram is not null) metrics["unigram_bits_per_byte"] = Scorer.BitsPerByte(unigramNats, bytes);
        return new EvaluationResult(options.Task, metrics, documents, errors);
    }

    // Enough documents at a time to fill the model's batches.
    private IEnumerable<List<Document>> Groups(IReadOnlyList<string> paths, BitsPerByteOptions options, List<string> errors)
    {
        var group = new List<Document>();
        int documents = 0, tokens = 0;
        long bytes = 0;
        foreach (string text in EvaluationTexts.Read(paths, options.TextField, errors))
        {
            if (documents >= options.MaxDocuments || bytes >= options.MaxBytes) break;
            var document = new Document(tokenizer.Encode(text), Encoding.UTF8.GetByteCount(text));
            group.Add(document);
            documents++;
            bytes += document.Bytes;
            tokens += document.Ids.Length;
            if (tokens < GroupTokens) continue;
            yield return group;
            group = [];
            tokens = 0;
        }
        if (group.Count > 0) yield return group;
    }

    private readonly record struct Document(int[] Ids, int Bytes);
}
