namespace Glm.Inference;

/// <summary>A text whose blanks were filled.</summary>
/// <param name="Beams">The candidates, best first.</param>
/// <param name="Fills">One entry per blank, in the order in which they were filled.</param>
public sealed record FilledText(IReadOnlyList<FilledBeam> Beams, IReadOnlyList<BlankFill> Fills);

/// <summary>One candidate. Beams after the first hold the best fills of all blanks but the last, and their own of that.</summary>
/// <param name="Ids">Token ids with the blanks in place, without sop, end token and a final eos.</param>
/// <param name="Blanks">Token ids of this beam's own fill of every blank.</param>
/// <param name="Text">The text as the vocabulary spells it; null without a tokenizer.</param>
/// <param name="BlankTexts">The texts of the fills; null without a tokenizer.</param>
/// <param name="Score">Penalised score of the last fill, of beam search.</param>
public sealed record FilledBeam(int[] Ids, IReadOnlyList<int[]> Blanks, string? Text, IReadOnlyList<string>? BlankTexts, double Score);

/// <summary>How one blank was filled.</summary>
/// <param name="Context">What the model read, sop included.</param>
/// <param name="MaskPosition">Index of the blank in it; its length where a causal model continues.</param>
/// <param name="MaxNewTokens">Room there was for new tokens.</param>
/// <param name="Decoding">The candidates as decoding gave them, and times.</param>
public sealed record BlankFill(DecodingContext Context, int MaskPosition, int MaxNewTokens, DecodingResult Decoding);

/// <summary>A piece of text as it is generated.</summary>
/// <param name="Blank">Number of the blank, from 0.</param>
/// <param name="Text">The piece.</param>
public readonly record struct BlankPiece(int Blank, string Text);
