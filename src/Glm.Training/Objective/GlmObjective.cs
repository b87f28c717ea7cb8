namespace Glm.Training;

/// <summary>
/// The pre-training objective of GLM-130B (paper section 2.2; spec section 3): each stored row of ids becomes a row of blanks to be
/// filled, and prompts with targets (multi-task instruction pre-training) become rows of the same form. Stateless and thread-safe.
/// </summary>
public sealed class GlmObjective
{
    private const int ShortestCut = 32;
    private const int LongestAdaptiveTarget = 39;

    private readonly GlmObjectiveOptions _options;
    private readonly ulong _seed;
    private readonly SpanSampler _spans;
    private readonly double[] _stayAtMask;

    /// <summary>The objective with its settings; <paramref name="seed"/> decides the masks of every sample.</summary>
    /// <exception cref="GlmException">A setting is out of range.</exception>
    public GlmObjective(GlmObjectiveOptions options, ulong seed)
    {
        options.Validate();
        _options = options;
        _seed = seed;
        _spans = new SpanSampler(options.AverageBlockLength);
        _stayAtMask = PoissonTail(options.AdaptiveMultitaskEncodingLength);
    }

    /// <summary>The settings.</summary>
    public GlmObjectiveOptions Options => _options;

    /// <summary>
    /// Builds the self-supervised sample of a stored row (<c>length_per_sample</c> ids, fewer than <see cref="GlmObjectiveOptions.MaxSeqLength"/>).
    /// The same (seed, sample index) always gives the same masks.
    /// </summary>
    /// <exception cref="GlmException">The row is too long, or cannot be cut into <see cref="GlmObjectiveOptions.SamplesPerRow"/> equal parts.</exception>
    public TrainingSample Build(ReadOnlySpan<int> ids, long sampleIndex) => Build(ids, new CounterRandomSource(_seed, sampleIndex));

    /// <summary>As <see cref="Build(ReadOnlySpan{int}, long)"/>, with given draws.</summary>
    /// <exception cref="GlmException">The row is too long, or cannot be cut into <see cref="GlmObjectiveOptions.SamplesPerRow"/> equal parts.</exception>
    public TrainingSample Build(ReadOnlySpan<int> ids, RandomSource random)
    {
        if (ids.IsEmpty || ids.Length >= _options.MaxSeqLength)
            throw new GlmException($"training row: expected 1 to {_options.MaxSeqLength - 1} ids (MaxSeqLength {_options.MaxSeqLength}), found {ids.Length}");
        double draw = random.NextDouble();
        if (draw < _options.SentProb && HasSentenceEnd(ids)) return BuildParts(ids, random, TrainingTask.Sentences);
        if (draw < 1 - _options.GptProb) return BuildParts(ids, random, TrainingTask.ShortSpans);
        return BuildParts(ids, random, TrainingTask.Generation);
    }

    /// <summary>Packs <see cref="GlmObjectiveOptions.SamplesPerRow"/> prompts and targets into one row, a part of equal length each.</summary>
    /// <exception cref="GlmException">The number of pairs is not <see cref="GlmObjectiveOptions.SamplesPerRow"/>.</exception>
    public TrainingSample BuildMultitask(IReadOnlyList<(int[] Text, int[] Target)> pairs, RandomSource random)
    {
        if (pairs.Count != _options.SamplesPerRow)
            throw new GlmException($"multi-task row: expected {_options.SamplesPerRow} pairs of text and target, found {pairs.Count}");
        TrainingSample sample = NewSample(TrainingTask.Multitask);
        for (int i = 0; i < pairs.Count; i++)
            WriteMultitask(sample, i * _options.PartLength, _options.PartLength, pairs[i].Text, pairs[i].Target, random);
        return sample;
    }

    /// <summary>
    /// Packs prompts and targets one after the other, each in a part of just its length; the last one takes the rest of the row and
    /// is cut where it does not fit.
    /// </summary>
    /// <exception cref="GlmException">There are no pairs, or they leave no room for the last.</exception>
    public TrainingSample BuildMultitaskGreedy(IReadOnlyList<(int[] Text, int[] Target)> pairs, RandomSource random)
    {
        TrainingSample sample = NewSample(TrainingTask.Multitask);
        int start = 0;
        for (int i = 0; i < pairs.Count; i++)
        {
            int rest = sample.Length - start;
            int length = i == pairs.Count - 1 ? rest : pairs[i].Text.Length + pairs[i].Target.Length + 2;
            if (length > rest || length < 3)
                throw new GlmException($"multi-task row: pair {i} needs {pairs[i].Text.Length} + {pairs[i].Target.Length} + 2 tokens, "
                    + $"{rest} are left of {sample.Length}");
            WriteMultitask(sample, start, length, pairs[i].Text, pairs[i].Target, random);
            start += length;
        }
        return pairs.Count > 0 ? sample : throw new GlmException("multi-task row: expected at least one pair of text and target, found none");
    }

    private TrainingSample NewSample(TrainingTask task) => new(_options.MaxSeqLength, twoDimensional: !_options.No2dEncoding, task);

    private bool HasSentenceEnd(ReadOnlySpan<int> ids)
    {
        foreach (int id in ids)
            if (_options.SentenceEndIds.Contains(id)) return true;
        return false;
    }

    private TrainingSample BuildParts(ReadOnlySpan<int> ids, RandomSource random, TrainingTask task)
    {
        int parts = task == TrainingTask.Generation && !_options.AggregateGptSample ? 1 : _options.SamplesPerRow;
        if (ids.Length % parts != 0)
            throw new GlmException($"training row: expected a multiple of SamplesPerRow = {parts} ids, found {ids.Length}");
        int textLength = ids.Length / parts, partLength = _options.MaxSeqLength / parts;
        TrainingSample sample = NewSample(task);
        for (int part = 0; part < parts; part++)
        {
            ReadOnlySpan<int> text = ids.Slice(part * textLength, textLength);
            var writer = new PartWriter(sample, part * partLength, partLength);
            if (task == TrainingTask.Generation) WriteGeneration(ref writer, text, random);
            else WriteBlanks(ref writer, text, random, task);
        }
        return sample;
    }

    /// <summary>A <c>[gMASK]</c> sample (spec section 3.4); in the 1D encoding the whole part, padding included, is simply numbered.</summary>
    private void WriteGeneration(ref PartWriter writer, ReadOnlySpan<int> text, RandomSource random)
    {
        int suffix = random.Next((int)(_options.MinGmaskRatio * text.Length), text.Length + 1);
        int division = writer.WriteSuffix(text[..^suffix], text[^suffix..], _options.GmaskId, _options.SopId);
        if (_options.No2dEncoding) writer.NumberPositions(0, int.MaxValue, first: 0);
        writer.Close(division);
    }

    /// <summary>A <c>[MASK]</c> or <c>[sMASK]</c> sample (spec section 3.3).</summary>
    private void WriteBlanks(ref PartWriter writer, ReadOnlySpan<int> text, RandomSource random, TrainingTask task)
    {
        if (random.NextDouble() < _options.ShortSeqProb && text.Length > ShortestCut)
            text = text[..random.Next(ShortestCut, text.Length)];

        List<(int Start, int End)> spans = task == TrainingTask.Sentences ? Sentences(text, random) : ShortSpans(text, random);
        random.Shuffle(spans);
        int mask = task == TrainingTask.Sentences ? _options.SmaskId : _options.MaskId;
        List<Blank> blanks = spans.ConvertAll(span => new Blank(span.Start, span.End, mask, _options.SopId));
        writer.Close(writer.WriteBlanks(text, blanks, _options.EopId));
    }

    private List<(int Start, int End)> ShortSpans(ReadOnlySpan<int> text, RandomSource random)
    {
        bool single = random.NextDouble() < _options.SingleSpanProb;
        List<int> lengths = single ? [_spans.Length(random)] : _spans.Lengths((int)(_options.MaskProb * text.Length), random);
        // Where a drawn span is too long for a very short text, the original stops with an error.
        while (lengths.Sum() + lengths.Count - 1 > text.Length)
            if (lengths.Count > 1) lengths.RemoveAt(lengths.Count - 1);
            else lengths[0] = text.Length;
        random.Shuffle(lengths);
        var spans = new List<(int Start, int End)>();
        SpanSampler.Place(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(lengths), 0, text.Length, random, spans);
        return spans;
    }

    /// <summary>Whole sentences until they cover their share. A tail without a sentence end is no sentence; none crosses a document's end.</summary>
    private List<(int Start, int End)> Sentences(ReadOnlySpan<int> text, RandomSource random)
    {
        var sentences = new List<(int Start, int End)>();
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            bool end = _options.SentenceEndIds.Contains(text[i]);
            if (end) sentences.Add((start, i + 1));
            if (end || text[i] == _options.EodId) start = i + 1;
        }

        if (random.NextDouble() < _options.SingleSpanProb)
            return sentences.Count == 0 ? sentences : [sentences[random.Next(0, sentences.Count)]];
        random.Shuffle(sentences);
        return SpanSampler.TakeUntil(sentences, (int)(_options.MaskProb * text.Length));
    }

    /// <summary>
    /// A prompt and its target (spec section 3.5): <c>text [MASK] sop target</c>. A text that has its own <c>[MASK]</c> gets none; its
    /// target stands at the position of that mask.
    /// </summary>
    private void WriteMultitask(TrainingSample sample, int start, int length, ReadOnlySpan<int> text, ReadOnlySpan<int> target, RandomSource random)
    {
        if (text.Length + target.Length + 2 > length) text = text[..Math.Min(text.Length, Math.Max(length / 4, length - target.Length - 2))];
        if (text.Length + target.Length + 2 > length) target = target[..(length - text.Length - 2)];

        var writer = new PartWriter(sample, start, length);
        writer.WriteContext(text);
        int mask = text.IndexOf(_options.MaskId);
        if (mask >= 0)
        {
            writer.WriteTarget(_options.SopId, target, _options.EopId, mask);
            writer.Close(text.Length);
            return;
        }

        writer.WriteContext([_options.MaskId]);
        int division = text.Length + 1;
        writer.WriteTarget(_options.SopId, target, _options.EopId, text.Length);
        if (_options.No2dEncoding)
        {
            if (_options.AdaptiveMultitaskEncoding && target.Length < _stayAtMask.Length && random.NextDouble() < _stayAtMask[target.Length])
                writer.RepeatPosition(division, text.Length);
            else if (_options.AdaptiveMultitaskEncoding || _options.UnifiedMultitaskEncoding)
                writer.NumberPositions(division, division + target.Length + 1, first: text.Length);
            else
                writer.NumberPositions(0, int.MaxValue, first: 0);
        }
        writer.Close(division);
    }

    /// <summary>P(X > n + 1) of a Poisson variable X, for targets of n = 0, 1, … tokens.</summary>
    private static double[] PoissonTail(double mean)
    {
        double[] probabilities = SpanSampler.Poisson(mean, LongestAdaptiveTarget);
        var tail = new double[LongestAdaptiveTarget];
        double below = probabilities[0];
        for (int n = 0; n < LongestAdaptiveTarget; n++)
        {
            below += probabilities[n + 1];
            tail[n] = 1 - below;
        }
        return tail;
    }
}
