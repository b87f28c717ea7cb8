namespace Glm.Tokenizers;

/// <summary>How a SentencePiece vocabulary cuts text; the numbers are those of the file.</summary>
public enum SentencePieceAlgorithm
{
    /// <summary>The most probable sequence of pieces.</summary>
    Unigram = 1,
    /// <summary>Merging of neighbours, best score first.</summary>
    Bpe = 2,
}

/// <summary>The settings of training that SentencePiece needs for encoding (its <c>TrainerSpec</c>).</summary>
public sealed record TrainerSpec
{
    /// <summary>How text is cut into pieces.</summary>
    public SentencePieceAlgorithm ModelType { get; init; } = SentencePieceAlgorithm.Unigram;

    /// <summary>Number of pieces that the training was asked for.</summary>
    public int VocabularySize { get; init; } = 8000;

    /// <summary>Share of the characters of the training text that got pieces.</summary>
    public float CharacterCoverage { get; init; } = 0.9995f;

    /// <summary>Whether a space belongs to the word before it instead of the word after it.</summary>
    public bool TreatWhitespaceAsSuffix { get; init; }

    /// <summary>Whether every digit is a piece of its own.</summary>
    public bool SplitDigits { get; init; }

    /// <summary>Whether characters without a piece become byte pieces.</summary>
    public bool ByteFallback { get; init; }

    /// <summary>Id of the unknown piece.</summary>
    public int UnknownId { get; init; }

    /// <summary>Id of the begin of a sentence, or -1.</summary>
    public int BosId { get; init; } = 1;

    /// <summary>Id of the end of a sentence, or -1.</summary>
    public int EosId { get; init; } = 2;

    /// <summary>Id of padding, or -1.</summary>
    public int PadId { get; init; } = -1;

    /// <summary>What the unknown piece decodes to.</summary>
    public string UnknownSurface { get; init; } = " \u2047 ";

    /// <summary>Fields that this reader does not interpret, as they stood in the file.</summary>
    internal byte[] OtherFields { get; init; } = [];
}

/// <summary>What happens to text before it is cut (SentencePiece's <c>NormalizerSpec</c>).</summary>
public sealed record NormalizerSpec
{
    /// <summary>Name of the rules, for example <c>nmt_nfkc</c> or <c>identity</c>.</summary>
    public string Name { get; init; } = "";

    /// <summary>Replacement rules: a double-array trie and its strings; empty for none.</summary>
    public ReadOnlyMemory<byte> PrecompiledCharsMap { get; init; }

    /// <summary>Whether a space is put before the text.</summary>
    public bool AddDummyPrefix { get; init; } = true;

    /// <summary>Whether spaces at both ends vanish and runs of spaces become one.</summary>
    public bool RemoveExtraWhitespaces { get; init; } = true;

    /// <summary>Whether spaces become U+2581.</summary>
    public bool EscapeWhitespaces { get; init; } = true;

    /// <summary>Fields that this reader does not interpret, as they stood in the file.</summary>
    internal byte[] OtherFields { get; init; } = [];
}
