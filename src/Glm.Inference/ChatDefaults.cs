using Glm.Models;
using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>How a chat model's own configuration has it answer (ChatGLM spec 13).</summary>
/// <param name="MaxLength">Most tokens of the chat and the answer together.</param>
/// <param name="TopP">See <see cref="SamplingOptions.TopP"/>.</param>
/// <param name="Temperature">See <see cref="SamplingOptions.Temperature"/>.</param>
/// <param name="TopK">See <see cref="SamplingOptions.TopK"/>.</param>
/// <param name="Draws">Whether tokens are drawn; otherwise the most probable one is taken.</param>
public sealed record ChatDefaults(int MaxLength, double TopP, double Temperature, int TopK = 0, bool Draws = true)
{
    /// <summary>
    /// What the file beside a model says, and for what it does not say the values published for the model whose vocabulary it is. ChatGLM3-6B and its 32k variant are
    /// limited by their own numbers of positions.
    /// </summary>
    /// <exception cref="GlmException">It is not the vocabulary of a chat model.</exception>
    public static ChatDefaults Of(VocabularyKind kind, GenerationConfig? file = null)
    {
        var published = Published(kind);
        return new ChatDefaults(file?.MaxLength ?? published.MaxLength, file?.TopP ?? published.TopP, file?.Temperature ?? published.Temperature,
            file?.TopK ?? published.TopK, file?.DoSample ?? published.Draws);
    }

    private static ChatDefaults Published(VocabularyKind kind) => kind switch
    {
        VocabularyKind.ChatGlm => new(2048, TopP: 0.7, Temperature: 0.95),
        VocabularyKind.ChatGlm2 => new(8192, TopP: 0.8, Temperature: 0.8),
        VocabularyKind.ChatGlm3 => new(32768, TopP: 0.8, Temperature: 0.8),
        VocabularyKind.Glm4 => new(128000, TopP: 0.8, Temperature: 0.8),
        _ => throw new GlmException($"tokenizer: expected that of a chat model, found that of {kind}"),
    };

    /// <summary>As options of generation, with no limit of their own to the length of an answer.</summary>
    public FillOptions Options => new()
    {
        Strategy = Draws ? StrategyKind.Sample : StrategyKind.Greedy,
        TopP = TopP,
        Temperature = Temperature,
        TopK = TopK,
        MaxNewTokens = MaxLength,
    };
}
