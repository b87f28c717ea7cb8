using Glm.Inference;

namespace Glm;

/// <summary>A text whose blanks were filled.</summary>
/// <param name="Text">The text.</param>
/// <param name="Blanks">What filled each blank, in order.</param>
/// <param name="PromptTokens">Tokens that were read, of all blanks.</param>
/// <param name="NewTokens">Tokens that were generated, of all blanks and alternatives.</param>
public sealed record FilledBlanks(string Text, IReadOnlyList<FilledBlank> Blanks, int PromptTokens, int NewTokens);

/// <summary>What filled a blank.</summary>
/// <param name="Text">The text, with the spaces around it that belong to it.</param>
/// <param name="Probability">How probable it is that the blank holds just this; null where a stop string or a limit cut it short.</param>
/// <param name="Tokens">Its tokens with their probabilities.</param>
/// <param name="Finish">Why it ended.</param>
/// <param name="Alternatives">What else might fill it, the most probable first: the best continuation of each of the most probable first tokens.</param>
public sealed record FilledBlank(string Text, double? Probability, IReadOnlyList<TextToken> Tokens, FinishReason Finish, IReadOnlyList<FilledBlank> Alternatives);
