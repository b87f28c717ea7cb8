namespace Glm.Inference;

/// <summary>Something to generate, for <see cref="GenerationEngine"/>.</summary>
public sealed record GenerationRequest
{
    /// <summary>What is continued.</summary>
    public required DecodingContext Context { get; init; }

    /// <summary>How tokens are chosen, and which end the text.</summary>
    public required SamplingOptions Sampling { get; init; }

    /// <summary>Most new tokens, at least 1; fewer where the model's positions or the memory of keys and values end before.</summary>
    public int MaxNewTokens { get; init; } = int.MaxValue;

    /// <summary>What is added to the logits of some tokens before one is chosen.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>What is taken from the logit of a token that was generated already; OpenAI's presence_penalty.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>What is taken from it for every time that it was generated; OpenAI's frequency_penalty.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Which tokens may come; null for any.</summary>
    public ITokenConstraint? Constraint { get; init; }

    /// <summary>How many of the most probable tokens are told with each new one; null where not even its own probability is wanted.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>Whether the tokens of the context are told with their probabilities too, which takes it to be read anew.</summary>
    public bool ContextLogprobs { get; init; }

    /// <summary>Higher ones go first.</summary>
    public int Priority { get; init; }

    /// <summary>Who asks: those that wait are served in turn, whatever each of them asks for.</summary>
    public string Client { get; init; } = "";

    /// <summary>How long it may take, waiting included; null for as long as it takes.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>
    /// Sees each token on the engine's thread, which it must not keep; returns whether to go on. Tokens of the context come first where they are wanted
    /// (<see cref="ContextLogprobs"/>); an end token is not shown.
    /// </summary>
    public Func<GeneratedToken, bool>? OnToken { get; init; }
}

/// <summary>A token and how probable it was, as the model had it, before temperature, biases and constraints.</summary>
/// <param name="Id">The token.</param>
/// <param name="LogProbability">Natural logarithm of its probability; not a number where it was not asked for.</param>
/// <param name="Top">The most probable tokens in its place, in order; empty where not asked for.</param>
/// <param name="IsContext">Whether it was given, not generated.</param>
public readonly record struct GeneratedToken(int Id, float LogProbability, IReadOnlyList<TokenProbability> Top, bool IsContext = false);

/// <summary>A token that might have come.</summary>
/// <param name="Id">The token.</param>
/// <param name="LogProbability">Natural logarithm of its probability.</param>
public readonly record struct TokenProbability(int Id, float LogProbability);

/// <summary>Why generation ended.</summary>
public enum FinishReason
{
    /// <summary>The model had nothing more to say, or the caller had enough.</summary>
    Stop,

    /// <summary>There was no more room.</summary>
    Length,

    /// <summary>Its time was over (<see cref="GenerationRequest.Timeout"/>).</summary>
    Timeout,
}

/// <summary>What generation gave.</summary>
/// <param name="Ids">The new tokens, an end token left out.</param>
/// <param name="Finish">Why it ended.</param>
/// <param name="EndToken">The token that ended it, if one did.</param>
/// <param name="EndLogProbability">Natural logarithm of that token's probability; not a number where probabilities were not asked for.</param>
/// <param name="ContextTokens">Tokens of the context.</param>
/// <param name="SharedTokens">Of them, those whose keys and values were there already.</param>
/// <param name="Waited">Time until it was taken up.</param>
/// <param name="FirstToken">Time until the first token, waiting included.</param>
/// <param name="Elapsed">All of its time.</param>
public sealed record GenerationResult(
    int[] Ids, FinishReason Finish, int? EndToken, float EndLogProbability, int ContextTokens, int SharedTokens, TimeSpan Waited, TimeSpan FirstToken, TimeSpan Elapsed);

/// <summary>Which tokens may come next, of generation that has to obey a grammar. Belongs to one request.</summary>
public interface ITokenConstraint
{
    /// <summary>Forbids tokens that must not come, by logits that nothing chooses. At least one stays.</summary>
    void Mask(Span<float> logits);

    /// <summary>Goes on with a token that was chosen.</summary>
    void Accept(int token);
}

/// <summary>There is no room in the queue: try again later.</summary>
/// <param name="retryAfter">When there may be room.</param>
public sealed class QueueFullException(TimeSpan retryAfter) : Exception("too many requests are waiting")
{
    /// <summary>When there may be room.</summary>
    public TimeSpan RetryAfter { get; } = retryAfter;
}
