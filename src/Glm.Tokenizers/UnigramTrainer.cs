using System.Text;

namespace Glm.Tokenizers;

/// <summary>Settings of <see cref="UnigramTrainer"/>.</summary>
public sealed record UnigramTrainerOptions
{
    /// <summary>Number of pieces of the result, special and byte pieces included.</summary>
    public int VocabularySize { get; init; } = 16384;

    /// <summary>Share of all characters of the text whose kinds get a piece; the rest become bytes.</summary>
    public double CharacterCoverage { get; init; } = 0.9995;

    /// <summary>Longest piece, in characters.</summary>
    public int MaximumPieceLength { get; init; } = 16;

    /// <summary>Training stops reading text after this many characters.</summary>
    public long MaximumCharacters { get; init; } = 40_000_000;

    /// <summary>Threads to use; the result does not depend on it.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;
}

/// <summary>How far a training is.</summary>
/// <param name="Step">What was just done.</param>
/// <param name="Pieces">Number of pieces that are left.</param>
/// <param name="BitsPerCharacter">Code length of the text under the current pieces.</param>
public readonly record struct UnigramTrainerProgress(string Step, int Pieces, double BitsPerCharacter);

/// <summary>
/// Trains the pieces of a unigram language model (Kudo 2018): start from many frequent substrings, alternate expectation
/// maximisation of their probabilities with removal of those whose loss costs the text least, until the size is reached.
/// Deterministic for the same texts in the same order.
/// </summary>
public static class UnigramTrainer
{
    private const int SeedsPerPiece = 16, IterationsPerRound = 2, MinimumSeedCount = 4;
    private const double KeptPerRound = 0.75;

    /// <summary>
    /// Trains on <paramref name="texts"/>, best given in random order, up to <see cref="UnigramTrainerOptions.MaximumCharacters"/>.
    /// The result is for <see cref="GlmTokenizer"/>.
    /// </summary>
    /// <exception cref="GlmException">The texts hold too little for a vocabulary of that size, or the size is too small.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static SentencePieceModel Train(IEnumerable<string> texts, UnigramTrainerOptions options,
        IProgress<UnigramTrainerProgress>? progress = null, CancellationToken cancel = default)
    {
        int fixedPieces = GlmTokenizer.SpecialPieces.Length + 256;
        int wanted = options.VocabularySize - fixedPieces;
        (string[] words, int[] counts) = CountWords(texts, options, cancel);
        SortedSet<string> characters = CoveredCharacters(words, counts, options.CharacterCoverage);
        if (wanted < characters.Count)
            throw new GlmException($"vocabulary size: expected at least {characters.Count + fixedPieces} for the characters of these texts, found {options.VocabularySize}");
        (words, counts) = SplitAtUncovered(words, counts, characters);

        List<(string Text, long Count)> seeds = SeedPieces.Find(words, counts, options.MaximumPieceLength, MinimumSeedCount, SeedsPerPiece * wanted, cancel);
        seeds.RemoveAll(seed => Array.IndexOf(GlmTokenizer.SpecialPieces, seed.Text) >= 0);
        if (seeds.Count + characters.Count < wanted)
            throw new GlmException($"vocabulary size: expected at most {seeds.Count + characters.Count + fixedPieces} for this much text, found {options.VocabularySize}");

        var corpus = new UnigramCorpus(words, counts, options.Threads);
        var pieces = UnigramPieces.Start(characters, seeds, corpus);
        progress?.Report(new("seed pieces", pieces.Count, double.NaN));
        while (true)
        {
            for (int i = 0; i < IterationsPerRound; i++)
            {
                cancel.ThrowIfCancellationRequested();
                (double[] expected, double bits) = corpus.ExpectedCounts(pieces);
                pieces = pieces.Reestimate(expected, wanted);
                progress?.Report(new("expectation maximisation", pieces.Count, bits));
            }
            if (pieces.Count == wanted) return Model(pieces, options);
            cancel.ThrowIfCancellationRequested();
            pieces = pieces.Prune(corpus.BestPathCounts(pieces), Math.Max(wanted, (int)(pieces.Count * KeptPerRound)));
            progress?.Report(new("removal of the least useful", pieces.Count, double.NaN));
        }
    }

    private static (string[] Words, int[] Counts) CountWords(IEnumerable<string> texts, UnigramTrainerOptions options, CancellationToken cancel)
    {
        var counts = new Dictionary<string, int>();
        long left = options.MaximumCharacters;
        foreach (string text in texts)
        {
            cancel.ThrowIfCancellationRequested();
            PreTokens.Count(text.AsSpan(0, (int)Math.Min(text.Length, left)), counts);
            left -= Math.Min(text.Length, left);
            if (left == 0) break;
        }
        return Sorted(counts);
    }

    private static (string[] Words, int[] Counts) Sorted(Dictionary<string, int> counts)
    {
        string[] words = [.. counts.Keys];
        Array.Sort(words, string.CompareOrdinal);
        return (words, Array.ConvertAll(words, word => counts[word]));
    }

    /// <summary>The most frequent characters that make up the wanted share of the text, and always printable ASCII, tab, newline and space.</summary>
    private static SortedSet<string> CoveredCharacters(string[] words, int[] counts, double coverage)
    {
        var frequencies = new Dictionary<Rune, long>();
        for (int i = 0; i < words.Length; i++)
            foreach (Rune rune in words[i].EnumerateRunes())
                frequencies[rune] = frequencies.GetValueOrDefault(rune) + counts[i];
        double left = frequencies.Values.Sum() * coverage;
        var covered = new SortedSet<string>(StringComparer.Ordinal) { "\u2581", "\n", "\n\n", "\t" };
        for (char c = '!'; c <= '~'; c++) covered.Add(c.ToString());
        foreach ((Rune rune, long count) in frequencies.OrderByDescending(f => f.Value).ThenBy(f => f.Key))
        {
            if (left <= 0) break;
            left -= count;
            covered.Add(rune.ToString());
        }
        return covered;
    }

    private static (string[] Words, int[] Counts) SplitAtUncovered(string[] words, int[] counts, SortedSet<string> characters)
    {
        HashSet<Rune> covered = [.. characters.Select(c => c.EnumerateRunes().First())];
        var split = new Dictionary<string, int>();
        void Add(string part, int count)
        {
            if (part.Length > 0) split[part] = split.GetValueOrDefault(part) + count;
        }
        for (int i = 0; i < words.Length; i++)
        {
            int start = 0, end = 0;
            foreach (Rune rune in words[i].EnumerateRunes())
            {
                if (!covered.Contains(rune))
                {
                    Add(words[i][start..end], counts[i]);
                    start = end + rune.Utf16SequenceLength;
                }
                end += rune.Utf16SequenceLength;
            }
            Add(words[i][start..], counts[i]);
        }
        return Sorted(split);
    }

    private static SentencePieceModel Model(UnigramPieces pieces, UnigramTrainerOptions options)
    {
        IEnumerable<SentencePiece> special = GlmTokenizer.SpecialPieces.Select((name, id) =>
            new SentencePiece(name, 0, id == 0 ? PieceType.Unknown : PieceType.Control));
        IEnumerable<SentencePiece> bytes = Enumerable.Range(0, 256).Select(value => new SentencePiece($"<0x{value:X2}>", 0, PieceType.Byte));
        IEnumerable<SentencePiece> normal = pieces.Enumerate()
            .Select(piece => new SentencePiece(piece.Text, (float)piece.LogProbability))
            .OrderByDescending(piece => piece.Score).ThenBy(piece => piece.Text, StringComparer.Ordinal);
        return new SentencePieceModel
        {
            Pieces = [.. special, .. bytes, .. normal],
            Trainer = new TrainerSpec
            {
                VocabularySize = options.VocabularySize,
                CharacterCoverage = (float)options.CharacterCoverage,
                SplitDigits = true,
                ByteFallback = true,
                PadId = 3,
            },
            Normalizer = new NormalizerSpec { Name = "identity", AddDummyPrefix = false, RemoveExtraWhitespaces = false },
        };
    }
}
