using Glm.Tokenizers;

namespace Glm.Evaluation;

/// <summary>
/// What makes beam search stop at a word (spec 8.7): tokens that are never allowed, beginnings that are not allowed, and the word that is read off the
/// beams. For icetk the ids are the original's, its slip (46010 for 146010) included; for other vocabularies they are those of the same pieces.
/// </summary>
internal sealed class LambadaWords
{
    /// <summary>Beams of the original's search, and the tokens that it may write.</summary>
    public const int Beams = 16, NewTokens = 5;

    private const string Punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

    private readonly Tokenizer _tokenizer;
    private readonly bool _dummyPrefix;

    public LambadaWords(Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        _dummyPrefix = tokenizer is IceTokenizer;
        var prefixes = new List<int[]>();
        var invalid = new HashSet<int>();
        foreach (string mark in Punctuation.Select(mark => mark.ToString()).Concat(["''", "``"]))
        {
            // As it stands after a space, which icetk puts before every text by itself.
            int[] ids = tokenizer.Encode(_dummyPrefix ? mark : " " + mark);
            if (ids.Length == 1) invalid.Add(ids[0]);
            prefixes.Add(ids);
            if (!_dummyPrefix) prefixes.Add(tokenizer.Encode(mark));
        }
        if (_dummyPrefix) prefixes.Add([46010]);
        InvalidIds = [.. invalid];
        BannedPrefixes = prefixes;
    }

    /// <summary>Tokens that are never allowed.</summary>
    public IReadOnlyList<int> InvalidIds { get; }

    /// <summary>Beginnings that are not allowed.</summary>
    public IReadOnlyList<int[]> BannedPrefixes { get; }

    /// <summary>The answer: the first word of the best beam that goes on with punctuation, else of the best beam.</summary>
    /// <param name="beams">Generated ids, best first, without end tokens.</param>
    public string Answer(IReadOnlyList<int[]> beams)
    {
        string? first = null;
        foreach (int[] beam in beams)
        {
            // A line may end behind the word.
            string[] words = _tokenizer.Decode([.. beam.Where(id => id < _tokenizer.VocabularySize)]).Trim().ReplaceLineEndings(" ").Split(' ');
            // Only in icetk's texts does punctuation stand apart from the word.
            string word = _dummyPrefix ? words[0] : words[0].TrimEnd(Punctuation.ToCharArray());
            first ??= word;
            if (word.Length < words[0].Length || (words.Length > 1 && Punctuation.Contains(words[1], StringComparison.Ordinal))) return word;
        }
        return first ?? "";
    }
}
