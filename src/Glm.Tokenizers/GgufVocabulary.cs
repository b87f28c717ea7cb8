namespace Glm.Tokenizers;

/// <summary>The vocabulary that a GGUF file carries among its metadata (ChatGLM spec 10.3): that of ChatGLM3 or of GLM-4.</summary>
/// <param name="File">Name of the file, for messages.</param>
/// <param name="Model"><c>tokenizer.ggml.model</c>: <c>llama</c> for pieces of SentencePiece, <c>gpt2</c> for strings of bytes.</param>
/// <param name="Pre"><c>tokenizer.ggml.pre</c>, the rules for text.</param>
/// <param name="Tokens"><c>tokenizer.ggml.tokens</c>; after the ordinary tokens the special ones, then padding.</param>
/// <param name="Scores"><c>tokenizer.ggml.scores</c>, of pieces.</param>
/// <param name="Types"><c>tokenizer.ggml.token_type</c>, of pieces; the numbers are those of <see cref="PieceType"/>.</param>
public sealed record GgufVocabulary(string File, string Model, string? Pre, IReadOnlyList<string> Tokens, IReadOnlyList<double>? Scores, IReadOnlyList<double>? Types)
{
    /// <summary>Whether it is of a kind that is supported.</summary>
    public bool IsKnown => (Model, Pre) is ("llama", "chatglm-spm") or ("gpt2", "chatglm-bpe" or "glm4");

    /// <summary>The tokenizer.</summary>
    /// <exception cref="GlmException">The vocabulary is of no supported kind, or contradicts itself.</exception>
    public Tokenizer Create() => (IsKnown, Model) switch
    {
        (true, "llama") => AppendedTokenizer.ChatGlm(Pieces(), VocabularyKind.ChatGlm3, File),
        (true, _) => OfRanks(Ranks()),
        _ => throw new GlmException($"{File}: tokenizer.ggml.model: expected llama with chatglm-spm, or gpt2 with chatglm-bpe or glm4, found {Model} with {Pre ?? "nothing"}"),
    };

    /// <summary>The content of a <c>tokenizer.model</c> that holds the same vocabulary: of SentencePiece, or ranks in tiktoken's form.</summary>
    /// <exception cref="GlmException">As for <see cref="Create"/>.</exception>
    public byte[] ToTokenizerModel() => Create() is ByteLevelTokenizer ? TiktokenFile.Write(Ranks()) : Pieces().ToBytes();

    private SentencePieceModel Pieces()
    {
        int count = CountBefore("[MASK]");
        Require(Scores, "scores");
        Require(Types, "token_type");
        SentencePiece[] pieces = [.. Enumerable.Range(0, count).Select(id => new SentencePiece(Tokens[id], ScoreOf(id), TypeOf(id)))];
        // The file has no rules for text; these are ChatGLM2's and ChatGLM3's (spec 12.1).
        return new SentencePieceModel
        {
            Pieces = pieces,
            Trainer = new TrainerSpec { ModelType = SentencePieceAlgorithm.Bpe, VocabularySize = count, ByteFallback = pieces.Any(piece => piece.Type == PieceType.Byte), SplitDigits = true },
            Normalizer = new NormalizerSpec { Name = "identity", RemoveExtraWhitespaces = false },
        };
    }

    // The id of a token is its rank, so that the merges, which were made from the ranks, are not needed.
    private byte[][] Ranks()
    {
        int count = CountBefore("<|endoftext|>");
        return [.. Enumerable.Range(0, count).Select(id => ByteAlphabet.Read(Tokens[id])
            ?? throw new GlmException($"{File}: tokenizer.ggml.tokens[{id}]: expected bytes in GPT-2's alphabet, found \"{Tokens[id]}\""))];
    }

    private ByteLevelTokenizer OfRanks(byte[][] tokens) => new(VocabularyKind.Glm4, ByteVocabulary.OfRanks(tokens, File), SplitPattern.Glm4, KnownSpecials.Glm4(tokens.Length));

    private int CountBefore(string special)
    {
        for (int id = 0; id < Tokens.Count; id++)
            if (Tokens[id] == special) return id;
        throw new GlmException($"{File}: tokenizer.ggml.tokens: expected the special token {special}, found none among {Tokens.Count}");
    }

    private void Require(IReadOnlyList<double>? values, string name)
    {
        if (values?.Count != Tokens.Count) throw new GlmException($"{File}: tokenizer.ggml.{name}: expected {Tokens.Count} values, found {values?.Count ?? 0}");
    }

    private float ScoreOf(int id) => double.IsFinite(Scores![id]) ? (float)Scores[id] : throw new GlmException($"{File}: tokenizer.ggml.scores[{id}]: expected a finite number, found {Scores[id]}");

    private PieceType TypeOf(int id) => Types![id] is >= 1 and <= 6 and var type && type == Math.Truncate(type) ? (PieceType)(int)type
        : throw new GlmException($"{File}: tokenizer.ggml.token_type[{id}]: expected 1 to 6, found {Types[id]}");
}
