namespace Glm.Tokenizers;

/// <summary>The ids that steer a GLM (spec 2.1).</summary>
/// <param name="Mask"><c>[MASK]</c>, a short blank.</param>
/// <param name="GMask"><c>[gMASK]</c>, the rest of the text.</param>
/// <param name="SMask"><c>[sMASK]</c>, a sentence.</param>
/// <param name="Eod">End of a document.</param>
/// <param name="Sop">Start of a piece: what follows fills a blank.</param>
/// <param name="Eop">End of a piece.</param>
/// <param name="Eos">End of a passage, <c>&lt;/s&gt;</c>.</param>
/// <param name="Pad">Padding.</param>
public sealed record SpecialTokens(int Mask, int GMask, int SMask, int Eod, int Sop, int Eop, int Eos, int Pad);
