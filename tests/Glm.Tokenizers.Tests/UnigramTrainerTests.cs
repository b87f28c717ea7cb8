namespace Glm.Tokenizers.Tests;

public sealed class UnigramTrainerTests
{
    [Fact]
    public void SameFileForAnyNumberOfThreads()
    {
        byte[] one = UnigramTrainer.Train(TinyVocabulary.Texts(), TinyVocabulary.Options with { Threads = 1 }).ToBytes();
        Assert.Equal(one, TinyVocabulary.Model.ToBytes());
    }

    [Fact]
    public void PiecesKeepTheRules()
    {
        string[] pieces = [.. TinyVocabulary.Model.Pieces.Where(piece => piece.Type == PieceType.Normal).Select(piece => piece.Text)];
        Assert.Equal(pieces.Length, pieces.Distinct().Count());
        Assert.Equal(TinyVocabulary.Size, TinyVocabulary.Model.Pieces.Count);
        Assert.Contains("\n", pieces);
        Assert.Contains("\n\n", pieces);
        foreach (string piece in pieces)
        {
            string body = piece.TrimStart('\u2581');
            Assert.True(piece.EnumerateRunes().Count() <= 16, piece);
            Assert.False(body.Contains('\u2581'), piece);
            Assert.True(body.Length == 0 || piece.Length - body.Length <= 1, piece);
            Assert.False(piece.Any(char.IsAsciiDigit) && piece.Length > 1, piece);
            Assert.False(piece.Contains('\n') && piece is not ("\n" or "\n\n"), piece);
            Assert.False(body.Any(char.IsAsciiLetter) && body.Any(c => c > 0x2FFF), piece);
            Assert.False(Array.IndexOf(GlmTokenizer.SpecialPieces, piece) >= 0, piece);
        }
    }

    [Fact]
    public void FrequentWordsArePieces()
    {
        Assert.Equal(["The", "▁teacher", "▁is", "▁discussing"], Pieces("The teacher is discussing"));
        Assert.InRange(Pieces("水手们正在讨论三种语言").Length, 1, 3);
        Assert.Equal(["▁", "1", "5", "▁"], Pieces(" 15 "));
        Assert.Equal(["<0xE9>", "<0xBE>", "<0x98>"], Pieces("龘"));
    }

    [Fact]
    public void ScoresAreLogProbabilities()
    {
        double sum = TinyVocabulary.Model.Pieces.Where(piece => piece.Type == PieceType.Normal).Sum(piece => Math.Exp(piece.Score));
        Assert.InRange(sum, 0.9, 1.0);
    }

    [Fact]
    public void ImpossibleSizesAreRefused()
    {
        Assert.Contains("at least", Assert.Throws<GlmException>(() => UnigramTrainer.Train(TinyVocabulary.Texts(), new() { VocabularySize = 300 })).Message);
        Assert.Contains("at most", Assert.Throws<GlmException>(() => UnigramTrainer.Train(TinyVocabulary.Texts(), new() { VocabularySize = 100_000 })).Message);
        Assert.Throws<GlmException>(() => UnigramTrainer.Train([], new() { VocabularySize = 1000 }));
    }

    [Fact]
    public void Cancels()
    {
        using var cancel = new CancellationTokenSource();
        var stop = new Stop(cancel);
        Assert.Throws<OperationCanceledException>(() => UnigramTrainer.Train(TinyVocabulary.Texts(), TinyVocabulary.Options, stop, cancel.Token));
        Assert.True(stop.Reports is > 0 and < 5);
    }

    [Fact]
    public void ReadsNoMoreThanAsked()
    {
        int taken = 0;
        IEnumerable<string> Endless()
        {
            while (true)
            {
                taken++;
                yield return string.Concat(TinyVocabulary.Texts());
            }
        }
        int length = string.Concat(TinyVocabulary.Texts()).Length;
        UnigramTrainer.Train(Endless(), TinyVocabulary.Options with { MaximumCharacters = 2 * length + 1 });
        Assert.Equal(3, taken);
    }

    [Fact]
    public void ExpectedCountsAreThoseOfAllSegmentations()
    {
        string[] words = ["abab", "bba", "a"];
        int[] counts = [3, 5, 2];
        var corpus = new UnigramCorpus(words, counts, threads: 2);
        var pieces = UnigramPieces.Start(new(StringComparer.Ordinal) { "a", "b" }, [("ab", 6), ("ba", 8), ("bab", 3)], corpus);
        Dictionary<string, double> probability = pieces.Enumerate().ToDictionary(p => p.Text, p => Math.Exp(p.LogProbability));
        var expected = probability.Keys.ToDictionary(text => text, _ => 0.0);
        double bits = 0;
        for (int i = 0; i < words.Length; i++)
        {
            var all = Segmentations(words[i], probability).ToList();
            double total = all.Sum(s => s.Probability);
            bits -= counts[i] * Math.Log2(total);
            foreach ((List<string> segmentation, double p) in all)
                foreach (string piece in segmentation) expected[piece] += counts[i] * p / total;
        }
        (double[] found, double bitsPerCharacter) = corpus.ExpectedCounts(pieces);
        Assert.Equal(bits / (3 * 4 + 5 * 3 + 2), bitsPerCharacter, 12);
        foreach (((string text, _), double count) in pieces.Enumerate().Zip(found)) Assert.Equal(expected[text], count, 10);
    }

    [Fact]
    public void DigammaAtKnownPoints()
    {
        const double euler = 0.57721566490153286;
        Assert.Equal(-euler, UnigramPieces.Digamma(1), 9);
        Assert.Equal(1 - euler, UnigramPieces.Digamma(2), 9);
        Assert.Equal(-euler - 2 * Math.Log(2), UnigramPieces.Digamma(0.5), 9);
        Assert.Equal(Math.Log(1e6) - 5e-7, UnigramPieces.Digamma(1e6), 9);
    }

    [Fact]
    public void SeedsAreTheFrequentSubstrings()
    {
        string[] words = ["banana", "bandana", "讲讲讲", "😀😀a"];
        int[] counts = [4, 2, 3, 5];
        var naive = new Dictionary<string, long>();
        for (int w = 0; w < words.Length; w++)
        {
            string[] runes = [.. words[w].EnumerateRunes().Select(rune => rune.ToString())];
            for (int start = 0; start < runes.Length; start++)
                for (int length = 2; length <= 4 && start + length <= runes.Length; length++)
                {
                    string text = string.Concat(runes[start..(start + length)]);
                    naive[text] = naive.GetValueOrDefault(text) + counts[w];
                }
        }
        var expected = naive.Where(pair => pair.Value >= 4).Select(pair => (pair.Key, pair.Value)).OrderBy(pair => pair.Key, StringComparer.Ordinal);
        var found = SeedPieces.Find(words, counts, 4, 4, 1000, default).OrderBy(pair => pair.Text, StringComparer.Ordinal);
        Assert.Equal(expected, found);
    }

    private static IEnumerable<(List<string> Pieces, double Probability)> Segmentations(string word, Dictionary<string, double> probability)
    {
        if (word.Length == 0) yield return ([], 1);
        for (int length = 1; length <= word.Length; length++)
            if (probability.TryGetValue(word[..length], out double p))
                foreach ((List<string> rest, double q) in Segmentations(word[length..], probability)) yield return ([word[..length], .. rest], p * q);
    }

    private static string[] Pieces(string text) => [.. TinyVocabulary.Tokenizer.Encode(text).Select(TinyVocabulary.Tokenizer.PieceText)];

    private sealed class Stop(CancellationTokenSource cancel) : IProgress<UnigramTrainerProgress>
    {
        public int Reports { get; private set; }

        public void Report(UnigramTrainerProgress value)
        {
            if (++Reports == 2) cancel.Cancel();
        }
    }
}
