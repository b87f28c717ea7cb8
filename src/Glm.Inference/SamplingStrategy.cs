namespace Glm.Inference;

/// <summary>Parameters of <see cref="SamplingStrategy"/>.</summary>
public sealed record SamplingOptions
{
    /// <summary>Logits are divided by it; 0 takes the most probable token.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>Tokens less probable than the k-th are not drawn; 0 for no limit.</summary>
    public int TopK { get; init; }

    /// <summary>Only the most probable tokens are drawn that together exceed this probability; 0 for no limit.</summary>
    public double TopP { get; init; }

    /// <summary>Tokens that are never drawn.</summary>
    public IReadOnlyList<int> InvalidIds { get; init; } = [];

    /// <summary>Tokens after which there is nothing more to say.</summary>
    public required IReadOnlyList<int> EndTokens { get; init; }

    /// <summary>Key of the random numbers.</summary>
    public ulong Seed { get; init; } = 1234;

    /// <summary>These options, if they are possible.</summary>
    /// <exception cref="GlmException">One is not.</exception>
    public SamplingOptions Validated()
    {
        if (!(Temperature >= 0 && double.IsFinite(Temperature))) throw new GlmException($"temperature: expected 0 or more, found {Temperature}");
        if (TopK < 0) throw new GlmException($"top_k: expected 0 or more, found {TopK}");
        if (!(TopP is >= 0 and <= 1)) throw new GlmException($"top_p: expected 0 to 1, found {TopP}");
        return this;
    }
}

/// <summary>
/// Draws one token after the other, the original's BaseStrategy (spec 5.4). The most probable token is always taken with a
/// <see cref="SamplingOptions.TopK"/> of 1 or a <see cref="SamplingOptions.Temperature"/> of 0.
/// </summary>
public sealed class SamplingStrategy : DecodingStrategy
{
    private readonly SamplingOptions _options;
    private readonly List<int> _ids = [];
    private readonly BeamStep[] _step = new BeamStep[1];
    private int _drawn;
    private bool _done;

    /// <summary>A strategy whose draws depend on the seed and the logits alone.</summary>
    public SamplingStrategy(SamplingOptions options) => _options = options.Validated();

    /// <inheritdoc/>
    public override bool Done => _done;

    /// <inheritdoc/>
    public override void Begin(ReadOnlySpan<int> context)
    {
        _ids.Clear();
        _ids.AddRange(context);
        _done = false;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<BeamStep> Step(Span<float> logits, int vocabulary)
    {
        int token = Choose(logits, _drawn++);
        _ids.Add(token);
        _done = Ends(token);
        _step[0] = new BeamStep(0, token);
        return _step;
    }

    /// <summary>
    /// What would be chosen so many steps from now if the logits were these, which another model guesses: draws are made with the numbers of those steps, so the
    /// more its probabilities are like those of the model, the more often the guess is right. Changes nothing but the logits.
    /// </summary>
    internal int Guess(Span<float> logits, int ahead) => Choose(logits, _drawn + ahead);

    internal bool Ends(int token) => _options.EndTokens.Contains(token);

    /// <inheritdoc/>
    public override IReadOnlyList<Candidate> Finish() => [new Candidate([.. _ids], 0)];

    private int Choose(Span<float> logits, int step)
    {
        if (_options is not ({ Temperature: 0 } or { TopK: 1 }))
        {
            Filter(logits, _options);
            return Draw(logits, _options.Seed, (ulong)step);
        }
        Forbid(logits, _options.InvalidIds);
        return logits.IndexOf(Largest(logits));
    }

    private static float Largest(ReadOnlySpan<float> logits) =>
        LogitMath.Max(logits) is var largest && float.IsFinite(largest) ? largest : throw new GlmException($"the model's logits are not numbers (the largest is {largest})");

    private static void Forbid(Span<float> logits, IReadOnlyList<int> ids)
    {
        for (int i = 0; i < ids.Count; i++)
            if ((uint)ids[i] < (uint)logits.Length) logits[ids[i]] = LogitMath.Forbidden;
    }

    /// <summary>
    /// Divides by the temperature, then forbids: invalid tokens, those below the k-th (ties stay), and over the softmax of what is left, in
    /// descending order, those after the first that brings the sum above p.
    /// </summary>
    internal static void Filter(Span<float> logits, SamplingOptions options)
    {
        int topK = options.Temperature == 0 ? 1 : options.TopK;
        float temperature = options.Temperature == 0 ? 1 : (float)options.Temperature;
        if (temperature != 1)
            foreach (ref float logit in logits) logit /= temperature;
        Forbid(logits, options.InvalidIds);
        if (topK > 0 && topK < logits.Length)
        {
            float least = LogitMath.KthLargest(logits, topK);
            foreach (ref float logit in logits)
                if (logit < least) logit = LogitMath.Forbidden;
        }
        if (options.TopP is > 0 and < 1) KeepNucleus(logits, options.TopP);
    }

    // Of n tokens those below (1 - p) / n together have less than 1 - p, so the nucleus lies among the others, and only they are sorted.
    private static void KeepNucleus(Span<float> logits, double topP)
    {
        double logSum = LogitMath.LogSumExp(logits), least = logSum + Math.Log((1 - topP) / logits.Length);
        var likely = new List<(float Logit, int Id)>();
        for (int i = 0; i < logits.Length; i++)
            if (logits[i] >= least) likely.Add((logits[i], i));
        likely.Sort((a, b) => a.Logit != b.Logit ? b.Logit.CompareTo(a.Logit) : a.Id.CompareTo(b.Id));
        logits.Fill(LogitMath.Forbidden);
        double sum = 0;
        foreach (var (logit, id) in likely)
        {
            logits[id] = logit;
            if ((sum += Math.Exp(logit - logSum)) > topP) break;
        }
    }

    /// <summary>
    /// Draws by a race: every token has a number of its own for the step, and the lowest -log(number) / weight wins, which is the softmax's distribution. Where the
    /// weights of two models are alike, so are their draws, which a walk along the sum of the weights would not give.
    /// </summary>
    private static int Draw(ReadOnlySpan<float> logits, ulong seed, ulong step)
    {
        Span<uint> numbers = stackalloc uint[256];
        float max = Largest(logits);
        double best = double.PositiveInfinity;
        int winner = -1;
        for (int i = 0; i < logits.Length; i++)
        {
            if (i % numbers.Length == 0) CounterRandom.Fill(seed, step, (ulong)i, numbers);
            double weight = logits[i] == LogitMath.Forbidden ? 0 : Math.Exp(logits[i] - max);
            if (weight == 0) continue;
            double number = (numbers[i % numbers.Length] + 0.5) / (1L << 32);
            // 1 - x is at most exp(-x), so most logarithms need not be known.
            if (number <= 1 - best * weight) continue;
            double time = -Math.Log(number) / weight;
            if (time < best) (best, winner) = (time, i);
        }
        return winner;
    }
}
