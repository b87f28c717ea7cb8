namespace Glm.Tokenizers;

/// <summary>
/// A SentencePiece vocabulary with special tokens appended after its pieces: ChatGLM2-6B and ChatGLM3-6B (ChatGLM spec 12.3, 12.4), the Chinese small
/// GLMs (6.4).
/// </summary>
public sealed class AppendedTokenizer : Tokenizer
{
    private readonly SentencePieceTokenizer _pieces;
    private readonly SpecialText _special;

    /// <summary>Prepares a model for use; <paramref name="name"/> stands for its file in messages.</summary>
    internal AppendedTokenizer(SentencePieceModel model, VocabularyKind kind, SpecialTokens special, string name)
    {
        _pieces = new SentencePieceTokenizer(model, name);
        Kind = kind;
        Special = special;
        _special = new SpecialText(special, _pieces.VocabularySize);
    }

    /// <summary>The vocabulary of ChatGLM2 or ChatGLM3 over its pieces.</summary>
    internal static AppendedTokenizer ChatGlm(SentencePieceModel model, VocabularyKind kind, string name) =>
        new(model, kind, KnownSpecials.ChatGlm2(model.Pieces.Count, roles: kind == VocabularyKind.ChatGlm3), name);

    /// <summary>The pieces, without the special tokens.</summary>
    internal IReadOnlyList<SentencePiece> Pieces => _pieces.Model.Pieces;

    /// <inheritdoc/>
    public override VocabularyKind Kind { get; }

    /// <inheritdoc/>
    public override int VocabularySize => _special.VocabularySize;

    /// <inheritdoc/>
    public override SpecialTokens Special { get; }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, List<int> ids) => _pieces.Encode(text, ids);

    /// <inheritdoc/>
    public override string PieceText(int id) => _special.NameOf(id) ?? _pieces.PieceOf(id).Text;

    internal override void Decode(int id, DecodedText output)
    {
        if (IsMask(id)) output.Append(PieceText(id));
        else if (_special.NameOf(id) is null) _pieces.Decode(id, output);
    }
}
