namespace Glm.Inference;

/// <summary>Parameters of <see cref="BeamSearchStrategy"/>.</summary>
public sealed record BeamSearchOptions
{
    /// <summary>Number of beams, and of candidates at the end.</summary>
    public int NumBeams { get; init; } = 4;

    /// <summary>Exponent of the length by which sums of log-probabilities are divided.</summary>
    public double LengthPenalty { get; init; } = 1;

    /// <summary>No n tokens in a row are generated twice; 0 for no such rule, 1 is not supported.</summary>
    public int NoRepeatNgramSize { get; init; }

    /// <summary>End tokens are forbidden until this many tokens were generated.</summary>
    public int MinGenLength { get; init; }

    /// <summary>Whether the best candidates are taken, or a sample of them (the original's default in generate.py).</summary>
    public bool Deterministic { get; init; } = true;

    /// <summary>Tokens that are never taken.</summary>
    public IReadOnlyList<int> InvalidIds { get; init; } = [];

    /// <summary>What the generated tokens must not begin with (LAMBADA, spec 8.7).</summary>
    public IReadOnlyList<int[]> BannedPrefixes { get; init; } = [];

    /// <summary>Tokens after which there is nothing more to say.</summary>
    public required IReadOnlyList<int> EndTokens { get; init; }

    /// <summary>Key of the random numbers, where not deterministic.</summary>
    public ulong Seed { get; init; } = 1234;

    /// <summary>These options, if they are possible.</summary>
    /// <exception cref="GlmException">One is not.</exception>
    public BeamSearchOptions Validated()
    {
        if (NumBeams is < 1 or > 1024) throw new GlmException($"num_beams: expected 1 to 1024, found {NumBeams}");
        if (!double.IsFinite(LengthPenalty)) throw new GlmException($"length_penalty: expected a number, found {LengthPenalty}");
        if (NoRepeatNgramSize is < 0 or 1) throw new GlmException($"no_repeat_ngram_size: expected 0, or 2 or more, found {NoRepeatNgramSize}");
        if (MinGenLength < 0) throw new GlmException($"min_gen_length: expected 0 or more, found {MinGenLength}");
        return this;
    }
}

/// <summary>The original's BeamSearchStrategy with consider_end (spec 5.5).</summary>
/// <remarks>
/// A beam that ends gets the score sum of log-probabilities / ((5 + length) / 6)^length_penalty, with the length of the <em>whole</em> sequence,
/// context and end token included, and competes with at most num_beams others. The search is done when the worst of a full list is at least as good
/// as the best running beam would be if it ended now without cost.
/// </remarks>
public sealed class BeamSearchStrategy : DecodingStrategy
{
    private readonly BeamSearchOptions _options;
    private readonly CounterRandom _random;
    private readonly List<Candidate> _ended = [];
    private List<Candidate> _running = [];
    private int _contextLength;
    private bool _done;

    /// <summary>A search with these parameters.</summary>
    public BeamSearchStrategy(BeamSearchOptions options)
    {
        _options = options.Validated();
        _random = new CounterRandom(options.Seed, 0);
    }

    /// <inheritdoc/>
    public override int MaxBeams => _options.NumBeams;

    /// <inheritdoc/>
    public override bool Done => _done;

    /// <inheritdoc/>
    public override void Begin(ReadOnlySpan<int> context)
    {
        _running = [new Candidate(context.ToArray(), 0)];
        _ended.Clear();
        _contextLength = context.Length;
        _done = false;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<BeamStep> Step(Span<float> logits, int vocabulary)
    {
        int length = _running[0].Ids.Length;
        // Running sums of log-probabilities: scores[beam, token] = score[beam] + logits - log(sum of e^logits).
        double[] offsets = new double[_running.Count];
        for (int beam = 0; beam < _running.Count; beam++)
        {
            var row = logits.Slice(beam * vocabulary, vocabulary);
            Forbid(row, _running[beam].Ids);
            offsets[beam] = _running[beam].Score - LogitMath.LogSumExp(row);
        }
        int count = (Math.Max(1, _options.EndTokens.Count) + 1) * _options.NumBeams;
        var running = new List<Candidate>();
        var steps = new List<BeamStep>();
        foreach (var (score, place) in Choose(logits, offsets, vocabulary, count))
        {
            int parent = place / vocabulary, token = place % vocabulary;
            var candidate = new Candidate([.. _running[parent].Ids, token], score);
            if (_options.EndTokens.Contains(token)) AddEnded(candidate);
            else if (running.Count == _options.NumBeams) break;
            else
            {
                running.Add(candidate);
                steps.Add(new BeamStep(parent, token));
            }
        }
        _running = running;
        _done = running.Count == 0 || (_ended.Count == _options.NumBeams && _ended[^1].Score >= Penalized(running[0].Score, length + 1));
        return steps;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<Candidate> Finish()
    {
        if (!_done)
            foreach (var beam in _running) AddEnded(beam);
        _done = true;
        return [.. _ended];
    }

    private double Penalized(double score, int length) => score / Math.Pow((5.0 + length) / 6, _options.LengthPenalty);

    private void AddEnded(Candidate beam)
    {
        double score = Penalized(beam.Score, beam.Ids.Length);
        int place = _ended.Count;
        while (place > 0 && score >= _ended[place - 1].Score) place--;
        _ended.Insert(place, beam with { Score = score });
        if (_ended.Count > _options.NumBeams) _ended.RemoveAt(_options.NumBeams);
    }

    private void Forbid(Span<float> logits, int[] ids)
    {
        int generated = ids.Length - _contextLength;
        foreach (int id in _options.InvalidIds) Forbid(logits, id);
        if (generated < _options.MinGenLength)
            foreach (int id in _options.EndTokens) Forbid(logits, id);
        foreach (int[] prefix in _options.BannedPrefixes)
            if (generated == prefix.Length - 1 && ids.AsSpan(_contextLength).SequenceEqual(prefix.AsSpan(..^1))) Forbid(logits, prefix[^1]);
        ForbidRepetition(logits, ids);
    }

    private static void Forbid(Span<float> logits, int id)
    {
        if ((uint)id < (uint)logits.Length) logits[id] = LogitMath.Forbidden;
    }

    // Counts n-grams whose last token was generated; their beginning may reach into the context.
    private void ForbidRepetition(Span<float> logits, int[] ids)
    {
        int n = _options.NoRepeatNgramSize;
        if (n == 0 || ids.Length <= n) return;
        var tail = ids.AsSpan(ids.Length - (n - 1));
        for (int i = Math.Max(_contextLength, n - 1); i < ids.Length; i++)
            if (ids.AsSpan(i - (n - 1), n - 1).SequenceEqual(tail)) logits[ids[i]] = LogitMath.Forbidden;
    }

    // Adding a Gumbel number to every score and taking the largest sums draws without replacement from the softmax of the scores.
    private List<(double Score, int Place)> Choose(ReadOnlySpan<float> logits, double[] offsets, int vocabulary, int count)
    {
        var best = new PriorityQueue<(double Score, int Place), double>(count + 1);
        double least = double.NegativeInfinity;
        for (int beam = 0; beam < offsets.Length; beam++)
        {
            var row = logits.Slice(beam * vocabulary, vocabulary);
            for (int token = 0; token < vocabulary; token++)
            {
                // Most tokens are far from the best ones, and are passed over many at a time.
                if (_options.Deterministic && best.Count == count) token += LogitMath.CountBelow(row[token..], MathF.BitDecrement((float)(least - offsets[beam])));
                if (token == vocabulary) break;
                int place = beam * vocabulary + token;
                double score = offsets[beam] + row[token];
                double rank = _options.Deterministic ? score : score - Math.Log(-Math.Log(1 - _random.NextDouble()));
                if (best.Count < count) best.Enqueue((score, place), rank);
                else if (rank > least) best.EnqueueDequeue((score, place), rank);
                else continue;
                best.TryPeek(out _, out least);
            }
        }
        return [.. best.UnorderedItems.Select(item => item.Element).OrderByDescending(choice => choice.Score).ThenBy(choice => choice.Place)];
    }
}
