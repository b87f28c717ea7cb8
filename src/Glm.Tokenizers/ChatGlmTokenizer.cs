using System.Globalization;

namespace Glm.Tokenizers;

/// <summary>
/// The vocabulary of ChatGLM-6B (ChatGLM spec 12.2): <c>ice_text.model</c> with ids that begin after the image tokens, of which v1.1 has none and v0
/// 20000. Newlines, tabs and runs of spaces have tokens of their own.
/// </summary>
public sealed class ChatGlmTokenizer : Tokenizer
{
    private const int FirstCommand = 130000, EndPiece = 2, PadPiece = 3, TabPiece = 130008, FirstBlankPiece = 130009, Pieces = 130344;

    private readonly SentencePieceTokenizer _pieces;
    private readonly int _imageTokens;

    /// <summary>Prepares a model for use; <paramref name="name"/> stands for its file in messages.</summary>
    /// <exception cref="GlmException">The model is not that of ChatGLM-6B.</exception>
    public ChatGlmTokenizer(SentencePieceModel model, int imageTokens = 0, string name = "ice_text.model")
    {
        if (model.Pieces.Count != Pieces || model.Pieces[FirstCommand].Text != "[MASK]" || model.Pieces[TabPiece].Text != "<|tab|>")
            throw new GlmException($"{name}: pieces: expected {Pieces} with [MASK] as {FirstCommand} and <|tab|> as {TabPiece}, found {model.Pieces.Count} others");
        if (imageTokens is < 0 or > 1 << 20) throw new GlmException($"{name}: num_image_tokens: expected 0 to {1 << 20}, found {imageTokens}");
        _pieces = new SentencePieceTokenizer(model, name);
        _imageTokens = imageTokens;
        int Id(int piece) => imageTokens + piece;
        Special = new SpecialTokens
        {
            Names = new Dictionary<string, int>
            {
                ["[MASK]"] = Id(FirstCommand), ["[gMASK]"] = Id(FirstCommand + 1), ["[sMASK]"] = Id(FirstCommand + 2),
                ["<sop>"] = Id(FirstCommand + 4), ["<eop>"] = Id(FirstCommand + 5), ["<ENC>"] = Id(FirstCommand + 6), ["<dBLOCK>"] = Id(FirstCommand + 7),
                ["<s>"] = Id(1), ["</s>"] = Id(EndPiece), ["<pad>"] = Id(PadPiece),
            },
            After = [Id(FirstCommand + 1), Id(FirstCommand + 4)],
            End = [Id(FirstCommand + 5)],
            Pad = Id(PadPiece),
            Blanks = new BlankTokens(Id(FirstCommand), Id(FirstCommand + 1), Id(FirstCommand + 2), Id(FirstCommand + 4), Id(FirstCommand + 5), Id(EndPiece)),
        };
    }

    /// <inheritdoc/>
    public override VocabularyKind Kind => VocabularyKind.ChatGlm;

    /// <inheritdoc/>
    public override int VocabularySize => _imageTokens + Pieces;

    /// <inheritdoc/>
    public override SpecialTokens Special { get; }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        int first = ids.Count;
        _pieces.Encode(IceWhitespace.Escape(text), ids);
        for (int i = first; i < ids.Count; i++) ids[i] += _imageTokens;
    }

    /// <inheritdoc/>
    public override string PieceText(int id) => id >= 0 && id < _imageTokens ? $"<image_{id.ToString(CultureInfo.InvariantCulture)}>" : _pieces.PieceOf(id - _imageTokens).Text;

    // Blanks are shown, so that a text with blanks comes back; other control pieces vanish.
    internal override void Decode(int id, DecodedText output)
    {
        int piece = id - _imageTokens;
        if (id >= 0 && piece < 0) output.Append(PieceText(id));
        else if (IsMask(id)) output.Append(PieceText(id));
        else if (piece is IceWhitespace.NewlinePiece) output.Append("\n");
        else if (piece == TabPiece) output.Append("\t");
        else if (piece is >= FirstBlankPiece and < FirstBlankPiece + IceWhitespace.LongestBlank - 1) output.Append(new string(' ', piece - FirstBlankPiece + 2));
        else _pieces.Decode(piece, output);
    }
}
