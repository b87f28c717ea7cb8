namespace Glm.Tokenizers;

/// <summary>What a piece is for; the numbers are those of the SentencePiece file.</summary>
public enum PieceType
{
    /// <summary>An ordinary piece of text.</summary>
    Normal = 1,
    /// <summary>Stands for text that no piece covers.</summary>
    Unknown = 2,
    /// <summary>A symbol that is never produced from text and vanishes when decoded.</summary>
    Control = 3,
    /// <summary>A symbol that is always kept whole when it occurs in text.</summary>
    UserDefined = 4,
    /// <summary>A piece that is never produced.</summary>
    Unused = 5,
    /// <summary>One byte of UTF-8, written <c>&lt;0x0A&gt;</c>, for characters that no piece covers.</summary>
    Byte = 6,
}

/// <summary>One entry of a SentencePiece vocabulary; its id is its index.</summary>
/// <param name="Text">The text, with spaces written as U+2581.</param>
/// <param name="Score">Logarithm of the probability (unigram), or minus the rank of the merge (BPE).</param>
/// <param name="Type">What the piece is for.</param>
public readonly record struct SentencePiece(string Text, float Score, PieceType Type = PieceType.Normal);
