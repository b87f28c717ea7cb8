using System.Text;

namespace Glm.Tokenizers;

/// <summary>
/// A vocabulary of byte strings: text is cut into words by a pattern, and the bytes of each word are merged by ranks. GPT-2, RoBERTa and OPT (ChatGLM spec 7.4),
/// BLOOM (8.4), GLM-4 (12.5). Every text comes back.
/// </summary>
public sealed class ByteLevelTokenizer : Tokenizer
{
    private readonly ByteVocabulary _vocabulary;
    private readonly BytePairEncoder _encoder;
    private readonly SplitPattern _pattern;
    private readonly SpecialText _special;

    internal ByteLevelTokenizer(VocabularyKind kind, ByteVocabulary vocabulary, SplitPattern pattern, SpecialTokens special)
    {
        Kind = kind;
        Special = special;
        _vocabulary = vocabulary;
        _encoder = new BytePairEncoder(vocabulary.SingleBytes, vocabulary.Merges);
        _pattern = pattern;
        _special = new SpecialText(special, vocabulary.Tokens.Length);
    }

    /// <summary>The bytes of each token, without the special ones.</summary>
    internal IReadOnlyList<byte[]?> Tokens => _vocabulary.Tokens;

    /// <inheritdoc/>
    public override VocabularyKind Kind { get; }

    /// <inheritdoc/>
    public override int VocabularySize => _special.VocabularySize;

    /// <inheritdoc/>
    public override SpecialTokens Special { get; }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        Span<byte> buffer = stackalloc byte[512];
        for (int length; !text.IsEmpty; text = text[length..])
        {
            length = _pattern.NextLength(text);
            var word = text[..length];
            Span<byte> bytes = Encoding.UTF8.GetMaxByteCount(length) <= buffer.Length ? buffer : new byte[Encoding.UTF8.GetByteCount(word)];
            bytes = bytes[..Encoding.UTF8.GetBytes(word, bytes)];
            if (_vocabulary.FindWord(bytes, out int id)) ids.Add(id);
            else _encoder.Encode(bytes, ids);
        }
    }

    /// <inheritdoc/>
    public override string PieceText(int id) => _special.NameOf(id) ?? (BytesOf(id) is { } bytes ? ByteAlphabet.Write(bytes) : _vocabulary.NameOf(id));

    // Blanks are shown, so that a text with blanks comes back; other special tokens vanish.
    internal override void Decode(int id, DecodedText output)
    {
        if (IsMask(id)) output.Append(PieceText(id));
        else if (_special.NameOf(id) is null && BytesOf(id) is { } bytes) output.Append(bytes);
    }

    private byte[]? BytesOf(int id) => (uint)id < (uint)_vocabulary.Tokens.Length ? _vocabulary.Tokens[id]
        : throw new GlmException($"token id: expected 0 to {VocabularySize - 1}, found {id}");
}
