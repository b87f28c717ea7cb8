using Glm.Inference;

namespace Glm;

/// <summary>How a text is generated. What is null is the model's own, or the engine's.</summary>
public sealed record TextOptions
{
    /// <summary>Most new tokens; as many as there is room for if null.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Logits are divided by it; 0 always takes the most probable token.</summary>
    public double? Temperature { get; init; }

    /// <summary>Only the most probable tokens are drawn that together exceed this probability; 0 or 1 for no limit.</summary>
    public double? TopP { get; init; }

    /// <summary>Only so many of the most probable tokens are drawn; 0 for no limit.</summary>
    public int? TopK { get; init; }

    /// <summary>Same seed, same draws; any if null.</summary>
    public ulong? Seed { get; init; }

    /// <summary>The text ends before the first of these strings.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>What is added to the logits of some tokens.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <inheritdoc cref="GenerationRequest.PresencePenalty"/>
    public float PresencePenalty { get; init; }

    /// <inheritdoc cref="GenerationRequest.FrequencyPenalty"/>
    public float FrequencyPenalty { get; init; }

    /// <summary>How many of the most probable tokens are told with each new one; null for no probabilities at all.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>Whether the prompt's tokens are told with their probabilities too.</summary>
    public bool PromptLogprobs { get; init; }

    /// <summary>What the text has to be; null for any.</summary>
    public TextConstraint? Constraint { get; init; }

    /// <summary>In a chat, the tools of which the answer has to call one, whatever <see cref="Constraint"/> says; any that is announced if empty, null where the model decides.</summary>
    public IReadOnlyList<string>? RequiredTools { get; init; }

    /// <summary>Higher ones go first.</summary>
    public int Priority { get; init; }

    /// <summary>Who asks; those that wait take turns.</summary>
    public string Client { get; init; } = "";

    /// <summary>How long it may take, waiting included.</summary>
    public TimeSpan? Timeout { get; init; }

    internal GenerationRequest Request(DecodingContext context, IReadOnlyList<int> ends, ChatDefaults? defaults, Func<GeneratedToken, bool> onToken, ITokenConstraint? constraint)
    {
        if (MaxTokens < 1) throw new GlmException($"max_tokens: expected at least 1, found {MaxTokens}");
        if (Stop.Any(string.IsNullOrEmpty)) throw new GlmException("stop: expected some text, found none");
        return new GenerationRequest
        {
            Context = context,
            MaxNewTokens = Math.Min(MaxTokens ?? int.MaxValue, defaults is null ? int.MaxValue : Math.Max(1, defaults.MaxLength - context.Ids.Length)),
            Sampling = new SamplingOptions
            {
                Temperature = Temperature ?? (defaults is { Draws: false } ? 0 : defaults?.Temperature ?? 1),
                TopP = TopP ?? defaults?.TopP ?? 0,
                TopK = TopK ?? defaults?.TopK ?? 0,
                Seed = Seed ?? (ulong)Random.Shared.NextInt64(),
                EndTokens = ends,
            },
            LogitBias = LogitBias,
            PresencePenalty = PresencePenalty,
            FrequencyPenalty = FrequencyPenalty,
            TopLogprobs = TopLogprobs,
            ContextLogprobs = PromptLogprobs,
            Constraint = constraint,
            Priority = Priority,
            Client = Client,
            Timeout = Timeout,
            OnToken = onToken,
        };
    }
}
