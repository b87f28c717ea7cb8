using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace Glm.Tokenizers.Tests;

/// <summary>The segmenters and their trie beside straightforward twins, on random vocabularies over a few letters.</summary>
public sealed class SegmenterTests
{
    private static readonly Gen<string> Word = Gen.Elements("a", "b", "c", "é", "讲").ArrayOf().Select(string.Concat);

    private static readonly Gen<string[]> Words = Word.Where(word => word.Length > 0).ArrayOf().Select(words => words.Distinct().ToArray());

    [Fact]
    public void TrieFindsWhatADictionaryFinds() => Prop.ForAll(Words.ToArbitrary(), Word.ToArbitrary(), (keys, text) =>
    {
        DoubleArray trie = DoubleArray.Build(Array.ConvertAll(keys, Encoding.UTF8.GetBytes), [.. Enumerable.Range(0, keys.Length)]);
        int Value(string key) => trie.Walk(DoubleArray.Root, Encoding.UTF8.GetBytes(key)) is >= 0 and int node ? trie.ValueAt(node) : -1;
        int longest = keys.Where(key => text.StartsWith(key, StringComparison.Ordinal)).Select(Encoding.UTF8.GetByteCount).DefaultIfEmpty(0).Max();
        return keys.Select(Value).SequenceEqual(Enumerable.Range(0, keys.Length))
            && Value(text) == Array.IndexOf(keys, text)
            && trie.LongestPrefix(Encoding.UTF8.GetBytes(text)) == longest;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void TrieHoldsManyKeys()
    {
        byte[][] keys = [.. Enumerable.Range(0, 60_000).Select(i => Encoding.UTF8.GetBytes($"{i * 7919 % 100_003:x}{(char)(i % 251)}"))];
        DoubleArray trie = DoubleArray.Build(keys, [.. Enumerable.Range(0, keys.Length)]);
        for (int i = 0; i < keys.Length; i++) Assert.Equal(i, trie.ValueAt(trie.Walk(DoubleArray.Root, keys[i])));
    }

    [Fact]
    public void UnigramFindsTheBestScore() => Prop.ForAll(Words.ToArbitrary(), Word.ToArbitrary(), (words, text) =>
    {
        string[] pieces = [.. words.Union(["a"])];
        // Halves and quarters add exactly, so that sums compare without tolerance.
        float Score(int i) => -1 - 0.25f * (i * 5 % 11);
        SentencePieceTokenizer tokenizer = Tokenizer(SentencePieceAlgorithm.Unigram, pieces, Score);
        float unknown = Enumerable.Range(0, pieces.Length).Min(Score) - 10;
        int[] ids = tokenizer.Encode(text);
        var best = new float[text.Length + 1];
        for (int end = 1; end <= text.Length; end++)
        {
            best[end] = pieces.Contains(text[(end - 1)..end]) ? float.NegativeInfinity : best[end - 1] + unknown;
            for (int i = 0; i < pieces.Length; i++)
                if (text.AsSpan(0, end).EndsWith(pieces[i]))
                    best[end] = Math.Max(best[end], best[end - pieces[i].Length] + Score(i));
        }
        // A run of unknown characters is one id: count them by what the pieces leave of the text.
        int unknownCharacters = text.Length - ids.Sum(id => id == 0 ? 0 : tokenizer.PieceOf(id).Text.Length);
        return best[text.Length] == ids.Sum(id => id == 0 ? 0 : tokenizer.PieceOf(id).Score) + unknownCharacters * unknown;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void BpeMergesTheBestPairFirst() => Prop.ForAll(Words.ToArbitrary(), Word.ToArbitrary(), (words, text) =>
    {
        string[] pieces = [.. words.Union(["a", "b", "ab", "aba", "讲讲"])];
        SentencePieceTokenizer tokenizer = Tokenizer(SentencePieceAlgorithm.Bpe, pieces, i => -(i * 7 % 13));
        List<string> symbols = [.. text.Select(c => c.ToString())];
        while (true)
        {
            int at = -1;
            float best = float.NegativeInfinity;
            for (int i = 0; i + 1 < symbols.Count; i++)
                if (tokenizer.IdOf(symbols[i] + symbols[i + 1]) is > 0 and int id && tokenizer.PieceOf(id).Score > best)
                    (at, best) = (i, tokenizer.PieceOf(id).Score);
            if (at < 0) break;
            symbols[at] += symbols[at + 1];
            symbols.RemoveAt(at + 1);
        }
        List<int> expected = [];
        foreach (int id in symbols.Select(tokenizer.IdOf))
            if (id != 0 || expected.Count == 0 || expected[^1] != 0) expected.Add(id);
        return expected.SequenceEqual(tokenizer.Encode(text));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void UnusedPiecesAreNeverProduced()
    {
        foreach (SentencePieceAlgorithm algorithm in Enum.GetValues<SentencePieceAlgorithm>())
        {
            SentencePieceModel model = Model(algorithm, ["a", "b", "ab", "abab"], i => -1 - i);
            model = model with { Pieces = [.. model.Pieces.Select(p => p.Text == "ab" ? p with { Type = PieceType.Unused } : p)] };
            var tokenizer = new SentencePieceTokenizer(model);
            Assert.Equal(["a", "b"], tokenizer.Encode("ab").Select(id => tokenizer.PieceOf(id).Text));
        }
    }

    [Fact]
    public void UserDefinedPiecesStayWhole()
    {
        foreach (SentencePieceAlgorithm algorithm in Enum.GetValues<SentencePieceAlgorithm>())
        {
            SentencePieceModel model = Model(algorithm, ["a", "b", "ab", "ba", "<a>", "<", ">"], i => -1 - 0.1f * i);
            model = model with { Pieces = [.. model.Pieces.Select(p => p.Text == "<a>" ? p with { Type = PieceType.UserDefined } : p)] };
            var tokenizer = new SentencePieceTokenizer(model);
            Assert.Equal(["ab", "<a>", "ba"], tokenizer.Encode("ab<a>ba").Select(id => tokenizer.PieceOf(id).Text));
        }
    }

    private static SentencePieceTokenizer Tokenizer(SentencePieceAlgorithm algorithm, string[] pieces, Func<int, float> score) =>
        new(Model(algorithm, pieces, score));

    private static SentencePieceModel Model(SentencePieceAlgorithm algorithm, string[] pieces, Func<int, float> score) => new()
    {
        Pieces = [new("<unk>", 0, PieceType.Unknown), .. pieces.Select((piece, i) => new SentencePiece(piece, score(i)))],
        Trainer = new() { ModelType = algorithm },
        Normalizer = new() { AddDummyPrefix = false, RemoveExtraWhitespaces = false },
    };
}
