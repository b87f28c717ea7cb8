namespace Glm.Tokenizers;

/// <summary>
/// The most probable sequence of pieces under a unigram model (Kudo 2018), found by Viterbi over the bytes. Scores are added and
/// compared in SentencePiece's precisions, so that ties fall the same way.
/// </summary>
internal sealed class UnigramSegmenter : Segmenter
{
    /// <summary>Best path that ends at a byte.</summary>
    /// <param name="Score">Sum of the scores of its pieces.</param>
    /// <param name="Start">Where its last piece starts, or -1 if no path ends here.</param>
    /// <param name="Id">Id of its last piece.</param>
    internal record struct PathNode(float Score, int Start, int Id);

    private const float UnknownPenalty = 10;

    private readonly Vocabulary _vocabulary;
    private readonly DoubleArray _trie;
    private readonly double[] _scores;
    private readonly float _unknownScore;

    /// <exception cref="GlmException">The model has no pieces that text could become.</exception>
    public UnigramSegmenter(Vocabulary vocabulary, string file)
    {
        _vocabulary = vocabulary;
        _trie = vocabulary.TrieOf(PieceType.Normal, PieceType.UserDefined)
            ?? throw new GlmException($"{file}: pieces: expected some of type normal, found none");
        // SentencePiece starts its maximum from the smallest positive float, which logarithms never exceed.
        float minimum = float.MaxValue, maximum = 1.17549435e-38f;
        for (int id = 0; id < vocabulary.Count; id++)
            if (vocabulary[id] is { Type: PieceType.Normal, Score: var score })
            {
                minimum = Math.Min(minimum, score);
                maximum = Math.Max(maximum, score);
            }
        _unknownScore = minimum - UnknownPenalty;
        _scores = new double[vocabulary.Count];
        for (int id = 0; id < _scores.Length; id++)
            _scores[id] = vocabulary[id].Type == PieceType.UserDefined
                ? System.Text.Encoding.UTF8.GetByteCount(vocabulary[id].Text) * maximum - 0.1
                : vocabulary[id].Score;
    }

    public override void Segment(ReadOnlySpan<byte> text, EncodingScratch scratch, List<int> ids)
    {
        if (text.IsEmpty) return;
        Span<PathNode> best = scratch.Path(text.Length + 1);
        FindBestPath(text, best);
        AppendPath(text, best, ids);
    }

    private void FindBestPath(ReadOnlySpan<byte> text, Span<PathNode> best)
    {
        best.Fill(new PathNode(0, -1, -1));
        ReadOnlySpan<DoubleArray.Node> nodes = _trie.Nodes;
        ReadOnlySpan<double> scores = _scores;
        for (int start = 0; start < text.Length;)
        {
            int characterEnd = Math.Min(start + Utf8.LengthAt(text[start]), text.Length);
            double scoreHere = best[start].Score;
            bool characterIsPiece = false;
            int node = DoubleArray.Root;
            for (int end = start; end < text.Length;)
            {
                int child = nodes[node].Base ^ text[end];
                if (nodes[child].Parent != node) break;
                node = child;
                end++;
                int id = nodes[node].Value;
                if (id < 0) continue;
                double score = scores[id] + scoreHere;
                ref PathNode target = ref best[end];
                if (target.Start < 0 || score > target.Score) target = new PathNode((float)score, start, id);
                characterIsPiece |= end == characterEnd;
            }
            if (!characterIsPiece)
            {
                float score = _unknownScore + best[start].Score;
                ref PathNode target = ref best[characterEnd];
                if (target.Start < 0 || score > target.Score) target = new PathNode(score, start, _vocabulary.UnknownId);
            }
            start = characterEnd;
        }
    }

    private void AppendPath(ReadOnlySpan<byte> text, Span<PathNode> best, List<int> ids)
    {
        // Turn the chain of starts around, from the end to the beginning, then follow it forwards.
        int end = text.Length;
        for (int start = best[end].Start, last = end; last > 0;)
        {
            int before = best[start].Start;
            best[start].Start = last;
            last = start;
            start = before;
        }
        bool afterUnknown = false;
        for (int start = 0; start < text.Length; start = end)
        {
            end = best[start].Start;
            _vocabulary.Append(best[end].Id, text[start..end], ids, ref afterUnknown);
        }
    }
}
