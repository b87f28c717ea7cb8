using Glm.Inference;
using Glm.Models;
using Glm.Tokenizers;

namespace Glm.Evaluation;

/// <summary>Options of <see cref="Lambada"/>.</summary>
public sealed record LambadaOptions
{
    /// <summary>Whether the passage is read causally instead of bidirectionally.</summary>
    public bool Unidirectional { get; init; }

    /// <summary>Most passages; null for all.</summary>
    public int? MaxItems { get; init; }
}

/// <summary>Prediction of the last word of a passage, with the original's beam search (spec 8.7).</summary>
/// <param name="session">The model.</param>
/// <param name="tokenizer">Its vocabulary.</param>
public sealed class Lambada(Session session, Tokenizer tokenizer)
{
    private const int Beams = 16, NewTokens = 5;

    private readonly LambadaWords _words = new(tokenizer);

    /// <summary>Predicts the last words of the passages of a file.</summary>
    /// <param name="path"><c>.jsonl</c> with a field <c>text</c>, or <c>.txt</c> with a passage per line, plain or compressed; the last word is the target.</param>
    /// <param name="options">Which way to read.</param>
    /// <param name="progress">Sees passages and accuracy so far.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>Metric <c>accuracy</c>, in percent.</returns>
    /// <exception cref="GlmException">The file cannot be read, or there is no passage in it.</exception>
    public EvaluationResult Run(
        string path, LambadaOptions options, IProgress<EvaluationProgress>? progress = null, CancellationToken cancellation = default)
    {
        var errors = new List<string>();
        int items = 0, right = 0;
        foreach (string text in EvaluationTexts.ReadItems(path, "text", errors))
        {
            if (items >= options.MaxItems) break;
            string passage = text.Trim();
            int space = passage.LastIndexOfAny([' ', '\t', '\n']);
            if (space < 0)
            {
                errors.Add($"{path}: expected a passage of several words, found \"{passage}\"");
                continue;
            }
            if (Predict(passage[..space].TrimEnd(), options.Unidirectional, cancellation) == passage[(space + 1)..]) right++;
            items++;
            progress?.Report(new EvaluationProgress(items, 100.0 * right / items));
        }
        if (items == 0) throw new GlmException($"{path}: expected some passages, found none");
        string task = options.Unidirectional ? "lambada-unidirectional" : "lambada";
        return new EvaluationResult(task, new Dictionary<string, double> { ["accuracy"] = 100.0 * right / items }, items, errors);
    }

    /// <summary>The word that the model expects after a text.</summary>
    public string Predict(string text, bool unidirectional, CancellationToken cancellation = default)
    {
        var special = tokenizer.Blanks;
        int[] endTokens = [special.Eop, special.Eos];
        int[] ids = tokenizer.Encode(text);
        int room = Math.Max(0, session.Model.MaxSequenceLength - NewTokens - 2);
        if (ids.Length > room) ids = ids[^room..]; // the end of a long text is kept (spec 8.3)
        var context = unidirectional
            ? new DecodingContext([special.Continuation, special.Sop, .. ids], new BlankPlace(1, 0, RunsOn: true))
            : new DecodingContext([.. ids, special.Continuation, special.Sop], new BlankPlace(ids.Length + 1, ids.Length, RunsOn: true));
        var strategy = new BeamSearchStrategy(new BeamSearchOptions
        {
            NumBeams = Beams,
            NoRepeatNgramSize = 3,
            InvalidIds = _words.InvalidIds,
            BannedPrefixes = _words.BannedPrefixes,
            EndTokens = endTokens,
        });
        var result = Decoding.Run(session, strategy, context, NewTokens, null, cancellation);
        return _words.Answer([.. result.Candidates.Select(candidate => candidate.Ids[context.Ids.Length..].Where(id => !endTokens.Contains(id)).ToArray())]);
    }
}
