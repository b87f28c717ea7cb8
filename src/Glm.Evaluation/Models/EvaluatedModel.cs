namespace Glm.Evaluation;

/// <summary>
/// What evaluation asks of a model, wherever it runs: to score choices after a prompt, to generate, to read a text. Each method is given all items of a file and
/// the indices of those that are wanted (an interrupted run has the others already); the model batches, sorts or parallelises them as suits it and hands out
/// answers as they are ready, in any order. Serves one caller at a time.
/// </summary>
public abstract class EvaluatedModel : IDisposable
{
    /// <summary>What <c>run.json</c> says of it.</summary>
    public abstract ModelIdentity Identity { get; }

    /// <summary>Tokens read and written since it was made.</summary>
    public abstract long Tokens { get; }

    /// <summary>Sees what share of a call is done before it gives an answer, where a single text takes long.</summary>
    public IProgress<double>? Progress { get; set; }

    /// <summary>Scores the choices of items.</summary>
    /// <param name="items">All items of a file: some decisions are made for the whole of it (spec 8.4).</param>
    /// <param name="wanted">Indices of the items to score.</param>
    /// <param name="options">How prompts are read.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">The model cannot do this at all.</exception>
    public abstract IEnumerable<Answer<ChoiceScores>> Choose(
        IReadOnlyList<ChoiceItem> items, IReadOnlyList<int> wanted, ReadingOptions options, CancellationToken cancellation = default);

    /// <summary>Continues prompts, or fills their blank.</summary>
    /// <inheritdoc cref="Choose"/>
    /// <param name="items">All prompts of a file.</param>
    /// <param name="wanted">Indices of those to continue.</param>
    /// <param name="options">How prompts are read.</param>
    /// <param name="generation">How text is generated.</param>
    /// <param name="cancellation">Ends it.</param>
    public abstract IEnumerable<Answer<Generation>> Generate(
        IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions options, GenerationOptions generation, CancellationToken cancellation = default);

    /// <summary>Tells how probable texts are.</summary>
    /// <inheritdoc cref="Choose"/>
    /// <param name="items">All texts of a file.</param>
    /// <param name="wanted">Indices of those to read.</param>
    /// <param name="options">How they are read.</param>
    /// <param name="stride">Tokens by which a window begins later than the one before (<c>generation_length</c>, spec 8.6).</param>
    /// <param name="cancellation">Ends it.</param>
    public abstract IEnumerable<Answer<TextLikelihood>> Read(
        IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions options, int? stride, CancellationToken cancellation = default);

    /// <summary>Tokens per second at which it reads prompts in batches, measured now; null where that is not up to us.</summary>
    public virtual double? MeasureReading(CancellationToken cancellation = default) => null;

    /// <inheritdoc/>
    public virtual void Dispose() => GC.SuppressFinalize(this);
}

/// <summary>A text, or the ids that it is to be in a vocabulary; ids are for local models alone. <c>[MASK]</c> and its like in the text of a prompt are blanks.</summary>
/// <param name="Text">The text; null where ids are given.</param>
/// <param name="Ids">The ids; null where a text is given.</param>
public readonly record struct ItemText(string? Text, int[]? Ids)
{
    /// <summary>A text.</summary>
    public static implicit operator ItemText(string text) => new(text, null);

    /// <summary>Ids.</summary>
    public static implicit operator ItemText(int[] ids) => new(null, ids);
}

/// <summary>A prompt and what may follow it.</summary>
/// <param name="Prompt">The prompt, with or without a blank in it.</param>
/// <param name="Choices">At least one.</param>
public sealed record ChoiceItem(ItemText Prompt, IReadOnlyList<ItemText> Choices);

/// <summary>How a prompt is read (spec 8.1). What concerns blanks means nothing to a causal model.</summary>
public sealed record ReadingOptions
{
    /// <summary><c>[gMASK]</c> is appended to a prompt without a blank, instead of <c>[MASK]</c>.</summary>
    public bool UseTaskMask { get; init; }

    /// <summary>Positions of choices run on from the blank.</summary>
    public bool UseMultitaskEncoding { get; init; }

    /// <summary>The prompt is read causally, after <c>[gMASK] sop</c>; choices are not (as in the original).</summary>
    public bool Unidirectional { get; init; }

    /// <summary>A prompt whose answer is generated is a message to a model that chats, in its own template; other models read it as it is.</summary>
    public bool AsChat { get; init; }

    /// <summary>Tokens of prompt and answer; null for what the model takes. Longer prompts lose their beginning (spec 8.3).</summary>
    public int? MaxSequenceLength { get; init; }
}

/// <summary>What of a model's text is the answer.</summary>
public enum AnswerForm
{
    /// <summary>All of it.</summary>
    Text,

    /// <summary>One word, found as the original does for LAMBADA where tokens can be forbidden (spec 8.7).</summary>
    Word,
}

/// <summary>How text is generated (spec 8.1, 8.5).</summary>
public sealed record GenerationOptions
{
    /// <summary>Most new tokens.</summary>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>Beams; 1 takes the most probable token each time, unless a temperature is given.</summary>
    public int NumBeams { get; init; } = 1;

    /// <summary>Exponent of the length by which sums of log-probabilities are divided.</summary>
    public double LengthPenalty { get; init; } = 1;

    /// <summary>No n tokens in a row are generated twice; 0 for no such rule. Beam search alone.</summary>
    public int NoRepeatNgramSize { get; init; } = 3;

    /// <summary>No end before so many tokens. Beam search alone.</summary>
    public int MinNewTokens { get; init; }

    /// <summary>Draws at this temperature; 0 for none.</summary>
    public double Temperature { get; init; }

    /// <summary>Where tokens are drawn: the most probable ones that together exceed this.</summary>
    public double TopP { get; init; }

    /// <summary>Texts per prompt, where tokens are drawn.</summary>
    public int Samples { get; init; } = 1;

    /// <summary>Key of the draws.</summary>
    public ulong Seed { get; init; } = 1234;

    /// <summary>The text ends before the first of these.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>What is asked for.</summary>
    public AnswerForm Form { get; init; }
}

/// <summary>What a model says of an item.</summary>
/// <param name="Item">Index of the item in its file.</param>
/// <param name="Value">The answer; null where there is none.</param>
/// <param name="Error">Why there is none, in one line.</param>
public sealed record Answer<T>(int Item, T? Value, string? Error = null) where T : class;

/// <summary>Scores of the choices of an item.</summary>
/// <param name="Prediction">The best one, the first of equals; -1 where the model's words name none.</param>
/// <param name="Scores">Sum of the log-probabilities (nats) of the tokens of each; null where the model gives no probabilities.</param>
/// <param name="Tokens">How many tokens each has; null likewise.</param>
public sealed record ChoiceScores(int Prediction, IReadOnlyList<double>? Scores, IReadOnlyList<int>? Tokens)
{
    /// <summary>An answer with the best choice found from the scores.</summary>
    public static ChoiceScores Of(IReadOnlyList<double> scores, IReadOnlyList<int> tokens)
    {
        int best = 0;
        for (int i = 1; i < scores.Count; i++)
            if (scores[i] > scores[best]) best = i;
        return new ChoiceScores(best, scores, tokens);
    }
}

/// <summary>Generated text.</summary>
/// <param name="Texts">Beams, best first, or samples; at least one.</param>
/// <param name="Ids">Their ids where the model tells, without end tokens.</param>
public sealed record Generation(IReadOnlyList<string> Texts, IReadOnlyList<int[]>? Ids = null)
{
    /// <summary>The best text.</summary>
    public string Text => Texts[0];
}

/// <summary>How probable a text is.</summary>
/// <param name="Nats">Sum of the negative log-probabilities of its tokens.</param>
/// <param name="Tokens">Tokens that were predicted.</param>
public sealed record TextLikelihood(double Nats, long Tokens);

/// <summary>Which model it is and how it runs.</summary>
public sealed record ModelIdentity
{
    /// <summary>Its name: last part of the path, or name at the endpoint.</summary>
    public required string Name { get; init; }

    /// <summary>Path, or URL of the endpoint.</summary>
    public required string Location { get; init; }

    /// <summary>Hash of its files; null for an endpoint.</summary>
    public string? Hash { get; init; }

    /// <summary>Architecture, as <c>glm info</c> says it.</summary>
    public string? Architecture { get; init; }

    /// <summary>Number of parameters.</summary>
    public long? Parameters { get; init; }

    /// <summary>Bytes of the weights.</summary>
    public long? Bytes { get; init; }

    /// <summary>Precision of the weights: bf16, int8, int4, …</summary>
    public string? Precision { get; init; }

    /// <summary>How keys and values are kept.</summary>
    public string? KvCache { get; init; }

    /// <summary>Threads it computes with.</summary>
    public int? Threads { get; init; }

    /// <summary>Tokens that it can read.</summary>
    public int? MaxSequenceLength { get; init; }
}
