using System.Text;

namespace Glm.Tokenizers;

/// <summary>The distinct words of a training text with their counts, and the sums over all their segmentations.</summary>
internal sealed class UnigramCorpus
{
    /// <summary>The words are cut into this many parts whatever the number of threads, so that sums come out the same.</summary>
    private const int Parts = 4;

    private readonly byte[][] _words;
    private readonly int[] _counts;
    private readonly ParallelOptions _parallel;
    private readonly double _characters;
    private readonly Dictionary<string, long> _characterCounts = [];

    public UnigramCorpus(string[] words, int[] counts, int threads)
    {
        _words = Array.ConvertAll(words, Encoding.UTF8.GetBytes);
        _counts = counts;
        _parallel = new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, threads) };
        for (int i = 0; i < words.Length; i++)
        {
            if (words[i] == "\n\n") _characterCounts[words[i]] = counts[i];
            foreach (Rune rune in words[i].EnumerateRunes())
            {
                _characters += counts[i];
                string character = rune.ToString();
                _characterCounts[character] = _characterCounts.GetValueOrDefault(character) + counts[i];
            }
        }
    }

    /// <summary>How often a character (or a pair of newlines) occurs.</summary>
    public long CountOf(string character) => _characterCounts.GetValueOrDefault(character);

    /// <summary>
    /// The E step: how often each piece is expected over all segmentations of the text (forward-backward), and the code length
    /// of the text in bits per character. Words are short enough for plain products of probabilities.
    /// </summary>
    public (double[] Expected, double BitsPerCharacter) ExpectedCounts(UnigramPieces pieces)
    {
        double[] probabilities = Array.ConvertAll(pieces.LogProbabilities, Math.Exp);
        var expected = new double[Parts][];
        var bits = new double[Parts];
        Parallel.For(0, Parts, _parallel, part =>
        {
            expected[part] = new double[pieces.Count];
            var lattice = new Lattice(pieces.Trie, probabilities);
            for (int i = part; i < _words.Length; i += Parts)
                bits[part] -= _counts[i] * Math.Log2(lattice.AddExpected(_words[i], _counts[i], expected[part]));
        });
        for (int part = 1; part < Parts; part++)
            for (int i = 0; i < pieces.Count; i++) expected[0][i] += expected[part][i];
        return (expected[0], bits.Sum() / _characters);
    }

    /// <summary>How often each piece occurs in the best segmentations.</summary>
    public long[] BestPathCounts(UnigramPieces pieces)
    {
        var counts = new long[Parts][];
        Parallel.For(0, Parts, _parallel, part =>
        {
            counts[part] = new long[pieces.Count];
            var path = new List<int>();
            for (int i = part; i < _words.Length; i += Parts)
            {
                path.Clear();
                BestPath(pieces, _words[i], -1, path);
                foreach (int piece in path) counts[part][piece] += _counts[i];
            }
        });
        for (int part = 1; part < Parts; part++)
            for (int i = 0; i < pieces.Count; i++) counts[0][i] += counts[part][i];
        return counts[0];
    }

    /// <summary>
    /// Appends the pieces of the best segmentation of <paramref name="word"/> that does without piece <paramref name="without"/>,
    /// last piece first; returns its log-probability, minus infinity if there is none.
    /// </summary>
    public static double BestPath(UnigramPieces pieces, ReadOnlySpan<byte> word, int without, List<int> path)
    {
        ReadOnlySpan<DoubleArray.Node> nodes = pieces.Trie.Nodes;
        Span<double> best = stackalloc double[word.Length + 1];
        Span<(int Start, int Piece)> last = stackalloc (int, int)[word.Length + 1];
        best.Fill(double.NegativeInfinity);
        best[0] = 0;
        for (int start = 0; start < word.Length; start++)
        {
            if (double.IsNegativeInfinity(best[start])) continue;
            int node = DoubleArray.Root;
            for (int end = start; end < word.Length;)
            {
                int child = nodes[node].Base ^ word[end];
                if (nodes[child].Parent != node) break;
                node = child;
                end++;
                int piece = nodes[node].Value;
                if (piece < 0 || piece == without) continue;
                double score = best[start] + pieces.LogProbabilities[piece];
                if (score > best[end]) (best[end], last[end]) = (score, (start, piece));
            }
        }
        if (!double.IsNegativeInfinity(best[^1]))
            for (int end = word.Length; end > 0; end = last[end].Start) path.Add(last[end].Piece);
        return best[^1];
    }

    /// <summary>All segmentations of one word at a time.</summary>
    private sealed class Lattice(DoubleArray trie, double[] probabilities)
    {
        private readonly List<(int Start, int End, int Piece)> _edges = [];

        /// <summary>Adds the expected counts of the pieces in <paramref name="word"/>; returns the word's probability.</summary>
        public double AddExpected(ReadOnlySpan<byte> word, int count, double[] expected)
        {
            Span<double> forward = stackalloc double[word.Length + 1], backward = stackalloc double[word.Length + 1];
            forward.Clear();
            backward.Clear();
            forward[0] = backward[^1] = 1;
            ReadOnlySpan<DoubleArray.Node> nodes = trie.Nodes;
            _edges.Clear();
            for (int start = 0; start < word.Length; start++)
            {
                if (forward[start] == 0) continue;
                int node = DoubleArray.Root;
                for (int end = start; end < word.Length;)
                {
                    int child = nodes[node].Base ^ word[end];
                    if (nodes[child].Parent != node) break;
                    node = child;
                    end++;
                    int piece = nodes[node].Value;
                    if (piece < 0) continue;
                    forward[end] += forward[start] * probabilities[piece];
                    _edges.Add((start, end, piece));
                }
            }
            double scale = count / forward[^1];
            for (int i = _edges.Count - 1; i >= 0; i--)
            {
                (int start, int end, int piece) = _edges[i];
                double weight = probabilities[piece] * backward[end];
                backward[start] += weight;
                expected[piece] += scale * forward[start] * weight;
            }
            return forward[^1];
        }
    }
}
