using System.Globalization;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>
/// BERT's uncased vocabulary, of GLM-Base and GLM-Large (ChatGLM spec 6.4): text in lower case without accents is cut at spaces and around punctuation and
/// Chinese characters; a word is the longest piece it begins with, then the longest continuation (<c>##</c>) and so on, or unknown as a whole.
/// </summary>
public sealed class WordPieceTokenizer : Tokenizer
{
    private const string Continuation = "##";

    /// <summary>Longer words are unknown, in the original, too.</summary>
    private const int LongestWord = 100;

    private readonly List<string> _pieces = [];
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly SpecialText _special;
    private readonly int _unknown;

    internal WordPieceTokenizer(IEnumerable<string> pieces, IReadOnlyDictionary<string, int> added, string file)
    {
        foreach (string piece in pieces)
        {
            if (!_ids.TryAdd(piece, _pieces.Count)) throw new GlmException($"{file}: line {_pieces.Count + 1}: expected a new piece, found \"{piece}\" again");
            _pieces.Add(piece);
        }
        Special = KnownSpecials.GlmBert(_pieces.Count, name => _ids.TryGetValue(name, out int id) ? id : throw new GlmException($"{file}: expected the piece {name}, found none"), added);
        _special = new SpecialText(Special, _pieces.Count);
        _unknown = _ids["[UNK]"];
    }

    /// <inheritdoc/>
    public override VocabularyKind Kind => VocabularyKind.GlmBert;

    /// <inheritdoc/>
    public override int VocabularySize => _special.VocabularySize;

    /// <inheritdoc/>
    public override SpecialTokens Special { get; }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        var (word, stripped) = (new StringBuilder(), new List<Rune>());
        foreach (var rune in text.EnumerateRunes())
        {
            if (IsRemoved(rune)) continue;
            stripped.Clear();
            if (IsSpace(rune)) EndWord();
            else Accents.Strip(rune, stripped);
            // A Chinese character is a word; where it has a canonical form of its own, the word is made of that.
            if (IsChinese(rune)) EndWord();
            foreach (var character in stripped)
            {
                var lower = Rune.ToLowerInvariant(character);
                if (IsPunctuation(lower))
                {
                    EndWord();
                    word.Append(lower);
                    EndWord();
                }
                else word.Append(lower);
            }
            if (IsChinese(rune)) EndWord();
        }
        EndWord();

        void EndWord()
        {
            if (word.Length > 0) EncodeWord(word.ToString(), ids);
            word.Clear();
        }
    }

    /// <inheritdoc/>
    public override string PieceText(int id) => _special.NameOf(id) ?? (id >= 0 && id < _pieces.Count ? _pieces[id]
        : throw new GlmException($"token id: expected 0 to {VocabularySize - 1}, found {id}"));

    // Where spaces stood is not known: there is one before every word but not before . , ! and ?, as in the original. Blanks and unknown words are shown.
    internal override void Decode(int id, DecodedText output)
    {
        string piece = PieceText(id);
        if (_special.NameOf(id) is not null && !IsMask(id) && id != _unknown) return;
        if (piece.StartsWith(Continuation, StringComparison.Ordinal) && piece.Length > Continuation.Length) output.Append(piece.AsSpan(Continuation.Length));
        else output.Append(output.AtStart || piece is "." or "," or "!" or "?" ? piece : " " + piece);
    }

    private void EncodeWord(string word, List<int> ids)
    {
        int first = ids.Count, characters = 0;
        foreach (var _ in word.EnumerateRunes()) characters++;
        for (int start = 0, length; start < word.Length; start += length)
        {
            int id = -1;
            for (length = characters <= LongestWord ? word.Length - start : 0; length > 0; length--)
                if (_ids.TryGetValue(string.Concat(start == 0 ? "" : Continuation, word.AsSpan(start, length)), out id)) break;
            if (length == 0)
            {
                ids.RemoveRange(first, ids.Count - first);
                ids.Add(_unknown);
                return;
            }
            ids.Add(id);
        }
    }

    private static bool IsSpace(Rune rune) => rune.Value is ' ' or '\t' or '\n' or '\r' || Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

    // Controls, formats, private and unassigned characters, and what was no Unicode.
    private static bool IsRemoved(Rune rune) => rune.Value == 0xFFFD || (rune.Value is not ('\t' or '\n' or '\r') && Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned or UnicodeCategory.Surrogate);

    private static bool IsPunctuation(Rune rune) => rune.IsAscii
        ? rune.Value > ' ' && !char.IsAsciiLetterOrDigit((char)rune.Value)
        : Rune.GetUnicodeCategory(rune) is UnicodeCategory.ConnectorPunctuation or UnicodeCategory.DashPunctuation or UnicodeCategory.OpenPunctuation
            or UnicodeCategory.ClosePunctuation or UnicodeCategory.InitialQuotePunctuation or UnicodeCategory.FinalQuotePunctuation or UnicodeCategory.OtherPunctuation;

    private static bool IsChinese(Rune rune) => rune.Value is >= 0x4E00 and <= 0x9FFF or >= 0x3400 and <= 0x4DBF or >= 0x20000 and <= 0x2A6DF
        or >= 0x2A700 and <= 0x2B73F or >= 0x2B740 and <= 0x2B81F or >= 0x2B820 and <= 0x2CEAF or >= 0xF900 and <= 0xFAFF or >= 0x2F800 and <= 0x2FA1F;
}
