namespace Glm.Tokenizers;

/// <summary>
/// A vocabulary of Glm.NET's own: SentencePiece unigram pieces, identity normaliser, byte fallback, so that decoding gives back
/// every text. Special tokens are control pieces. Since U+2581 stands for the space in pieces, a U+2581 of the text itself is
/// written as its three bytes. Train one with <see cref="UnigramTrainer"/>.
/// </summary>
public sealed class GlmTokenizer : Tokenizer
{
    /// <summary>Names of the special pieces, in the order of their ids from 0.</summary>
    internal static readonly string[] SpecialPieces =
        ["<unk>", "<s>", "</s>", "<pad>", "[MASK]", "[gMASK]", "[sMASK]", "eod", "sop", "eop", "ENC", "dBLOCK"];

    private readonly SentencePieceTokenizer _pieces;

    /// <summary>Prepares a model for use; <paramref name="name"/> stands for its file in messages.</summary>
    /// <exception cref="GlmException">The model lacks a special piece or the identity normaliser.</exception>
    public GlmTokenizer(SentencePieceModel model, string name = "tokenizer.model")
    {
        NormalizerSpec rules = model.Normalizer;
        if (!rules.PrecompiledCharsMap.IsEmpty || rules.AddDummyPrefix || rules.RemoveExtraWhitespaces || !rules.EscapeWhitespaces)
            throw new GlmException($"{name}: NormalizerSpec: expected the identity with escaped spaces, found \"{rules.Name}\" with other rules");
        if (!model.Trainer.ByteFallback)
            throw new GlmException($"{name}: TrainerSpec.byte_fallback: expected true, found false");
        _pieces = new SentencePieceTokenizer(model, name);
        int Find(string piece) => _pieces.IdOf(piece) is var id && model.Pieces[id].Type == PieceType.Control ? id
            : throw new GlmException($"{name}: pieces: expected the control piece {piece}, found none");
        Special = new SpecialTokens
        {
            Names = SpecialPieces.Skip(1).ToDictionary(piece => piece, Find),
            End = [Find("eop"), Find("</s>"), Find("eod")], // of left-to-right models; those that fill blanks have theirs in Blanks
            Pad = Find("<pad>"),
            Eod = Find("eod"),
            Blanks = new BlankTokens(Find("[MASK]"), Find("[gMASK]"), Find("[sMASK]"), Find("sop"), Find("eop"), Find("</s>")),
        };
    }

    /// <inheritdoc/>
    public override VocabularyKind Kind => VocabularyKind.GlmNet;

    /// <inheritdoc/>
    public override int VocabularySize => _pieces.VocabularySize;

    /// <inheritdoc/>
    public override SpecialTokens Special { get; }

    /// <summary>The model behind it, to be saved beside the weights.</summary>
    public SentencePieceModel Model => _pieces.Model;

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        for (int at; (at = text.IndexOf('\u2581')) >= 0; text = text[(at + 1)..])
        {
            _pieces.Encode(text[..at], ids);
            _pieces.AppendBytes("\u2581"u8, ids);
        }
        _pieces.Encode(text, ids);
    }

    /// <inheritdoc/>
    public override string PieceText(int id) => _pieces.PieceOf(id).Text;

    /// <summary>Whether a model has the special pieces of this kind.</summary>
    internal static bool Recognises(SentencePieceModel model) =>
        SpecialPieces.Skip(4).All(name => model.Pieces.Any(piece => piece.Text == name && piece.Type == PieceType.Control));

    // Blanks are shown, so that a text with blanks comes back; other control pieces vanish.
    internal override void Decode(int id, DecodedText output)
    {
        if (IsMask(id)) output.Append(PieceText(id));
        else _pieces.Decode(id, output);
    }
}
