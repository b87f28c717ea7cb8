namespace Glm.Tokenizers;

/// <summary>The ids that steer a model, as far as its vocabulary has them. None of them is ever made from text.</summary>
public sealed record SpecialTokens
{
    /// <summary>Every special token under the name that stands for it in text.</summary>
    public required IReadOnlyDictionary<string, int> Names { get; init; }

    /// <summary>Ids after which there is nothing more to say.</summary>
    public required IReadOnlyList<int> End { get; init; }

    /// <summary>What the original tokenizer puts before a text that a model is to read.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <summary>What the original tokenizer puts after it.</summary>
    public IReadOnlyList<int> After { get; init; } = [];

    /// <summary>Padding.</summary>
    public int? Pad { get; init; }

    /// <summary>End of a document.</summary>
    public int? Eod { get; init; }

    /// <summary>Whether the name of a blank takes the space before it along (ChatGLM spec 6.3).</summary>
    public bool MasksTakeSpaceBefore { get; init; }

    /// <summary>The tokens of a model that fills blanks.</summary>
    public BlankTokens? Blanks { get; init; }

    /// <summary>The tokens that begin the messages of a chat.</summary>
    public RoleTokens? Roles { get; init; }
}

/// <summary>The tokens of a model that fills blanks (spec 2.1; small models: ChatGLM spec 6.4).</summary>
/// <param name="Mask"><c>[MASK]</c>, a short blank.</param>
/// <param name="GMask"><c>[gMASK]</c>, the rest of the text.</param>
/// <param name="SMask"><c>[sMASK]</c>, a sentence.</param>
/// <param name="Sop">Start of a piece: what follows fills a blank.</param>
/// <param name="Eop">End of a piece.</param>
/// <param name="Eos">End of a passage.</param>
public sealed record BlankTokens(int Mask, int? GMask, int? SMask, int Sop, int Eop, int Eos)
{
    /// <summary>The blank in which a text goes on: <c>[gMASK]</c>, or <c>[MASK]</c> where it is the only one.</summary>
    public int Continuation => GMask ?? Mask;
}

/// <summary>The tokens that begin the messages of a chat (ChatGLM spec 12.4).</summary>
/// <param name="System">Instructions.</param>
/// <param name="User">The user's words.</param>
/// <param name="Assistant">The model's words.</param>
/// <param name="Observation">What a tool gave.</param>
public sealed record RoleTokens(int System, int User, int Assistant, int Observation);
