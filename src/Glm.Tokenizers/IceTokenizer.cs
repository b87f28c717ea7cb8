namespace Glm.Tokenizers;

/// <summary>Which of the two published behaviours of GLM-130B's tokenizer to follow.</summary>
public enum IceMode
{
    /// <summary>That of 2022, with which the published evaluation ran: no byte fallback, tabs and runs of spaces collapse (spec 2.3).</summary>
    Original,
    /// <summary>That of 2023 (sat 0.3, ChatGLM-6B): newlines, tabs, runs of spaces and unknown bytes have tokens (spec 2.4).</summary>
    Extended,
}

/// <summary>How <see cref="IceTokenizer"/> treats text.</summary>
public sealed record IceOptions
{
    /// <summary>The behaviour to follow.</summary>
    public IceMode Mode { get; init; } = IceMode.Original;

    /// <summary>Whether newlines become <c>&lt;n&gt;</c> in <see cref="IceMode.Original"/>, which by default loses them; the other mode always keeps them.</summary>
    public bool KeepNewlines { get; init; }
}

/// <summary>
/// The vocabulary of GLM-130B (icetk, spec 2): image tokens below 20000, 130,000 SentencePiece pieces, and special tokens from
/// 150000. Reads icetk's own <c>ice_text.model</c> and that of ChatGLM-6B, which has the extensions of 2023 appended.
/// </summary>
public sealed class IceTokenizer : Tokenizer
{
    private const int ImageTokens = 20000, TextPieces = 130000, FirstCommand = ImageTokens + TextPieces;
    private const int PaddedSize = 150528, NewlinePiece = IceWhitespace.NewlinePiece, EosPiece = 2, MaximumBlank = IceWhitespace.LongestBlank;
    private const int TabPiece = TextPieces + 8, FirstBlankPiece = TabPiece + 1, FirstBytePiece = FirstBlankPiece + MaximumBlank - 1;
    private static readonly string[] CommandNames = ["[MASK]", "[gMASK]", "[sMASK]", "eod", "sop", "eop", "ENC", "dBLOCK"];

    private readonly SentencePieceTokenizer _pieces;
    private readonly IceOptions _options;

    /// <summary>Prepares a model for use; <paramref name="name"/> stands for its file in messages.</summary>
    /// <exception cref="GlmException">The model is not icetk's.</exception>
    public IceTokenizer(SentencePieceModel model, IceOptions? options = null, string name = "ice_text.model")
    {
        if (!Recognises(model))
            throw new GlmException($"{name}: pieces: expected at least {TextPieces} with </s> as 2 and <n> as {NewlinePiece}, found {model.Pieces.Count}");
        _options = options ?? new IceOptions();
        bool extended = _options.Mode == IceMode.Extended;
        IEnumerable<SentencePiece> pieces = model.Pieces.Take(TextPieces);
        _pieces = new SentencePieceTokenizer(model with
        {
            Pieces = [.. extended ? pieces.Concat(ExtraPieces()) : pieces],
            Trainer = model.Trainer with { ByteFallback = extended },
        }, name);
    }

    /// <inheritdoc/>
    public override VocabularyKind Kind => VocabularyKind.Glm130B;

    /// <summary>The padded size of GLM-130B's embedding table; ids above the known ones decode to nothing.</summary>
    public override int VocabularySize => PaddedSize;

    /// <inheritdoc/>
    public override SpecialTokens Special { get; } = new()
    {
        Names = new Dictionary<string, int>
        {
            ["[MASK]"] = FirstCommand, ["[gMASK]"] = FirstCommand + 1, ["[sMASK]"] = FirstCommand + 2, ["<eod>"] = FirstCommand + 3,
            ["<sop>"] = FirstCommand + 4, ["<eop>"] = FirstCommand + 5, ["<ENC>"] = FirstCommand + 6, ["<dBLOCK>"] = FirstCommand + 7, ["</s>"] = ImageTokens + EosPiece,
        },
        End = [FirstCommand + 5, ImageTokens + EosPiece],
        Pad = 0,
        Eod = FirstCommand + 3,
        Blanks = new BlankTokens(Mask: FirstCommand, GMask: FirstCommand + 1, SMask: FirstCommand + 2, Sop: FirstCommand + 4, Eop: FirstCommand + 5, Eos: ImageTokens + EosPiece),
    };

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        int first = ids.Count;
        if (_options.Mode == IceMode.Extended || _options.KeepNewlines) _pieces.Encode(Replace(text), ids);
        else _pieces.Encode(text, ids);
        for (int i = first; i < ids.Count; i++) ids[i] += ImageTokens;
    }

    /// <inheritdoc/>
    public override string PieceText(int id)
    {
        if ((uint)id >= PaddedSize) throw new GlmException($"token id: expected 0 to {PaddedSize - 1}, found {id}");
        int piece = id - ImageTokens;
        return piece < 0 ? $"<image_{id}>"
            : piece is >= TextPieces and < TabPiece ? CommandNames[piece - TextPieces]
            : piece < _pieces.VocabularySize ? _pieces.PieceOf(piece).Text
            : piece == TabPiece ? "<t>"
            : piece < FirstBytePiece ? $"<blank_{piece - FirstBlankPiece + 2}>"
            : $"<unused_{id}>";
    }

    /// <summary>Whether a model is icetk's, extended or not.</summary>
    internal static bool Recognises(SentencePieceModel model) =>
        model.Pieces.Count >= TextPieces && model.Pieces[NewlinePiece].Text == "<n>" && model.Pieces[EosPiece].Text == "</s>";

    // The original's detokenize: commands print in brackets, the text between two of them decodes as a unit.
    internal override void Decode(int id, DecodedText output)
    {
        string text = PieceText(id);
        int piece = id - ImageTokens;
        bool extended = _options.Mode == IceMode.Extended;
        if (id == 0) AppendUnit("[pad]", output);
        else if (piece < 0) AppendUnit(text, output);
        else if (piece == NewlinePiece) output.Append("\n");
        else if (extended && piece == TabPiece) output.Append("\t");
        else if (extended && piece is >= FirstBlankPiece and < FirstBytePiece) output.Append(new string(' ', piece - FirstBlankPiece + 2));
        else if (piece == EosPiece || piece is >= TextPieces and < FirstBytePiece) AppendUnit($"[{text}]", output);
        else if (piece < _pieces.VocabularySize) _pieces.Decode(piece, output);
    }

    private static void AppendUnit(string text, DecodedText output)
    {
        output.Append(text);
        output.AtStart = true;
    }

    private string Replace(ReadOnlySpan<char> text) => _options.Mode == IceMode.Original ? text.ToString().Replace("\n", "<n>") : IceWhitespace.Escape(text);

    private static IEnumerable<SentencePiece> ExtraPieces()
    {
        foreach (string name in CommandNames)
            yield return new(name is ['[', ..] ? name : name == "eod" ? "<unused_0>" : $"<{name}>", 0, PieceType.Control);
        yield return new("<|tab|>", 0, PieceType.UserDefined);
        for (int length = 2; length <= MaximumBlank; length++) yield return new($"<|blank_{length}|>", 0, PieceType.UserDefined);
        for (int value = 0; value < 256; value++) yield return new($"<0x{value:X2}>", 0, PieceType.Byte);
    }
}
