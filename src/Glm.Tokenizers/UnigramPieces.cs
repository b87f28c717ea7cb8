using System.Text;

namespace Glm.Tokenizers;

/// <summary>The candidate pieces of a training with their probabilities, in the byte order of their texts.</summary>
internal sealed class UnigramPieces
{
    /// <summary>Expected counts below this remove a piece, as in SentencePiece.</summary>
    private const double MinimumExpectedCount = 0.5;

    private readonly string[] _texts;
    private readonly byte[][] _bytes;
    private readonly bool[] _isRequired;

    private UnigramPieces(string[] texts, byte[][] bytes, bool[] isRequired, double[] logProbabilities)
    {
        (_texts, _bytes, _isRequired, LogProbabilities) = (texts, bytes, isRequired, logProbabilities);
        Trie = DoubleArray.Build(bytes, [.. Enumerable.Range(0, texts.Length)]);
    }

    public int Count => _texts.Length;

    /// <summary>Logarithm of the probability of each piece.</summary>
    public double[] LogProbabilities { get; }

    /// <summary>The pieces by their UTF-8; values are indices.</summary>
    public DoubleArray Trie { get; }

    /// <summary>All pieces with their scores.</summary>
    public IEnumerable<(string Text, double LogProbability)> Enumerate() => _texts.Zip(LogProbabilities);

    /// <summary>The first candidates: every covered character, which is never removed, and the seeds; probabilities by frequency.</summary>
    public static UnigramPieces Start(SortedSet<string> required, List<(string Text, long Count)> seeds, UnigramCorpus corpus)
    {
        Dictionary<string, long> counts = seeds.ToDictionary(seed => seed.Text, seed => seed.Count);
        foreach (string text in required) counts.TryAdd(text, corpus.CountOf(text));
        string[] texts = [.. counts.Keys];
        byte[][] bytes = Array.ConvertAll(texts, Encoding.UTF8.GetBytes);
        Array.Sort(bytes, texts, Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b)));
        double logSum = Math.Log(counts.Values.Sum(count => Math.Max(count, 1)));
        return new UnigramPieces(texts, bytes, Array.ConvertAll(texts, required.Contains),
            Array.ConvertAll(texts, text => Math.Log(Math.Max(counts[text], 1)) - logSum));
    }

    /// <summary>
    /// The M step under a sparse Dirichlet prior, log p = digamma(count) - digamma(sum); pieces that the text hardly needs go,
    /// as long as <paramref name="wanted"/> remain.
    /// </summary>
    public UnigramPieces Reestimate(double[] expected, int wanted)
    {
        int[] kept = Keep(Enumerable.Range(0, Count).Where(i => _isRequired[i] || expected[i] >= MinimumExpectedCount));
        if (kept.Length < wanted) kept = Keep(Enumerable.Range(0, Count).OrderByDescending(i => _isRequired[i]).ThenByDescending(i => expected[i]).Take(wanted));
        double[] counts = Array.ConvertAll(kept, i => Math.Max(expected[i], MinimumExpectedCount));
        double logSum = Digamma(counts.Sum());
        return Select(kept, Array.ConvertAll(counts, count => Digamma(count) - logSum));
    }

    /// <summary>
    /// Keeps the <paramref name="size"/> pieces whose removal would lower the likelihood most. A removed piece is rewritten as
    /// its best segmentation into others, which take over its count; one that is not its own best segmentation goes first.
    /// </summary>
    public UnigramPieces Prune(long[] counts, int size)
    {
        double total = counts.Sum();
        var loss = new double[Count];
        Parallel.For(0, Count, i => loss[i] = _isRequired[i] ? double.PositiveInfinity : Loss(i, counts, total));
        int[] kept = Keep(Enumerable.Range(0, Count).OrderByDescending(i => loss[i]).ThenBy(i => i).Take(size));
        return Select(kept, Array.ConvertAll(kept, i => LogProbabilities[i]));
    }

    private double Loss(int piece, long[] counts, double total)
    {
        var path = new List<int>();
        double alternative = UnigramCorpus.BestPath(this, _bytes[piece], piece, path);
        if (alternative >= LogProbabilities[piece]) return double.NegativeInfinity;
        if (counts[piece] == 0) return 0;
        double logTotal = Math.Log(total + counts[piece] * (path.Count - 1));
        double rewritten = path.Sum(i => Math.Log(counts[i] + counts[piece]) - logTotal);
        return counts[piece] / total * (Math.Log(counts[piece] / total) - rewritten);
    }

    private static int[] Keep(IEnumerable<int> indices)
    {
        int[] kept = [.. indices];
        Array.Sort(kept);
        return kept;
    }

    private UnigramPieces Select(int[] kept, double[] logProbabilities) => new(
        Array.ConvertAll(kept, i => _texts[i]), Array.ConvertAll(kept, i => _bytes[i]), Array.ConvertAll(kept, i => _isRequired[i]), logProbabilities);

    /// <summary>Digamma(x) by recurrence up to 7 and the asymptotic series in 1/(x - 1/2).</summary>
    internal static double Digamma(double x)
    {
        double result = 0;
        for (; x < 7; x++) result -= 1 / x;
        x -= 0.5;
        double square = 1 / (x * x);
        return result + Math.Log(x) + square * (1.0 / 24 + square * (-7.0 / 960 + square * (31.0 / 8064 - square * 127.0 / 30720)));
    }
}
