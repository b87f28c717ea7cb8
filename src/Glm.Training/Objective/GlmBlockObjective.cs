using System.Runtime.InteropServices;

namespace Glm.Training;

/// <summary>Ids of one or more documents, <c>ENC</c> first, and where a loss may be taken; equal lengths.</summary>
public sealed record DocumentSample(int[] Text, byte[] LossMask);

/// <summary>
/// The objective of the small GLM models (<c>construct_blocks</c> of THUDM/GLM; GLM paper, section 2.1): one draw for a whole batch
/// decides between short spans, sentences and one long span; positions are two-dimensional. Stateless and thread-safe.
/// </summary>
public sealed class GlmBlockObjective
{
    private const int ShortestSplit = 32;

    private readonly GlmBlockOptions _options;
    private readonly SpanSampler _spans;

    /// <summary>The objective with its settings.</summary>
    public GlmBlockObjective(GlmBlockOptions options)
    {
        _options = options;
        _spans = new SpanSampler(options.AverageBlockLength);
    }

    /// <summary>Builds the rows of a batch, padded to the longest.</summary>
    /// <exception cref="GlmException">A sample does not begin with <c>ENC</c>, or no sample can hold its spans.</exception>
    public TrainingBatch Build(IReadOnlyList<DocumentSample> samples, RandomSource random)
    {
        foreach ((int[] text, byte[] lossMask) in samples)
            if (text.Length < 3 || text[0] != _options.EncId || lossMask.Length != text.Length)
                throw new GlmException($"training sample: expected at least 3 ids, ENC ({_options.EncId}) first, and a loss flag for each; "
                    + $"found {text.Length} ids and {lossMask.Length} flags");

        if (random.NextDouble() < _options.ShortSeqProb) samples = Split(samples, random);
        bool single = random.NextDouble() < _options.SingleSpanProb;
        double draw = single ? 0 : random.NextDouble();

        List<Plan> plans;
        TrainingTask task;
        if (draw < _options.BertProb)
            (task, plans) = (TrainingTask.ShortSpans, PlanShortSpans(samples, single, random));
        else if (draw < _options.BertProb + _options.GapSentenceProb)
            (task, plans) = (TrainingTask.Sentences, [.. samples.Select(sample => PlanSentences(sample, random))]);
        else
            (task, plans) = (TrainingTask.Generation, PlanLongSpans(samples, random));
        if (plans.Count == 0) throw new GlmException("training batch: no sample is long enough for its masked spans");
        return Write(plans, task);
    }

    /// <summary>What becomes of a sample: blanks, or (null) the suffix from <paramref name="Division"/> on.</summary>
    private sealed record Plan(DocumentSample Sample, List<Blank>? Blanks, int Division = 0)
    {
        public int Length => Blanks is null ? Sample.Text.Length + 1 : Sample.Text.Length + 2 * Blanks.Count;
    }

    private TrainingBatch Write(List<Plan> plans, TrainingTask task)
    {
        int length = plans.Max(plan => plan.Length);
        var rows = new List<TrainingSample>();
        foreach (Plan plan in plans)
        {
            var row = new TrainingSample(length, twoDimensional: true, task);
            var writer = new PartWriter(row, 0, length);
            (int[] text, byte[] lossMask) = plan.Sample;
            bool count = _options.BlockPositionEncoding;
            int context = plan.Blanks is { } blanks
                ? writer.WriteBlanks(text, blanks, _options.EopId, count, _options.SentinelToken ? _options.MaxSeqLength : null)
                : writer.WriteSuffix(text.AsSpan(..plan.Division), text.AsSpan(plan.Division..), Mask(task), _options.SopId, count, lossMask.AsSpan(plan.Division..));
            writer.Close(context);
            rows.Add(row);
        }
        return TrainingBatch.Stack(rows);
    }

    private int Mask(TrainingTask task) => task switch
    {
        TrainingTask.Generation when _options.TaskMask => _options.GmaskId,
        TrainingTask.Sentences when _options.TaskMask => _options.SmaskId,
        _ => _options.MaskId,
    };

    /// <summary>Short spans, inside the documents of each sample. A sample whose spans do not fit is left out.</summary>
    private List<Plan> PlanShortSpans(IReadOnlyList<DocumentSample> samples, bool single, RandomSource random)
    {
        var plans = new List<Plan>();
        foreach (DocumentSample sample in samples)
        {
            List<int> lengths = single ? [_spans.Length(random)] : _spans.Lengths((int)(_options.BertRatio * sample.Text.Length), random);
            if (PlanSpans(sample, lengths, TrainingTask.ShortSpans, random) is { } plan) plans.Add(plan);
        }
        return plans;
    }

    /// <summary>One long span in each sample: the rest of the text (always, where it holds several documents), or anywhere.</summary>
    private List<Plan> PlanLongSpans(IReadOnlyList<DocumentSample> samples, RandomSource random)
    {
        int shortest = samples.Min(sample => sample.Text.Length), longest = samples.Max(sample => sample.Text.Length);
        int upTo = random.Next((int)(_options.GptMinRatio * shortest), longest - 1);
        var plans = new List<Plan>();
        foreach (DocumentSample sample in samples)
        {
            int length = Math.Min(upTo, sample.Text.Length - 2);
            int end = Array.IndexOf(sample.Text, _options.EosId);
            bool severalDocuments = end >= 0 && end != sample.Text.Length - 1;
            if (severalDocuments || random.NextDouble() < _options.GptInfillProb)
                plans.Add(new Plan(sample, null, sample.Text.Length - length));
            else if (PlanSpans(sample, [length], TrainingTask.Generation, random) is { } plan)
                plans.Add(plan);
        }
        return plans;
    }

    private Plan PlanSentences(DocumentSample sample, RandomSource random)
    {
        int[] text = sample.Text;
        var sentences = new List<(int Start, int End)>();
        int start = 1;
        for (int i = 0; i < text.Length; i++)
        {
            bool end = _options.SentenceEndIds.Contains(text[i]);
            if (end && start < i + 1) sentences.Add((start, i + 1));
            if (end || text[i] == _options.EosId) start = i + 1;
        }
        if (start < text.Length) sentences.Add((start, text.Length));

        random.Shuffle(sentences);
        sentences = SpanSampler.TakeUntil(sentences, (int)(_options.GapSentenceRatio * text.Length));
        return new Plan(sample, ToBlanks(sentences, TrainingTask.Sentences, random));
    }

    private Plan? PlanSpans(DocumentSample sample, List<int> lengths, TrainingTask task, RandomSource random)
    {
        random.Shuffle(lengths);
        random.Shuffle(lengths); // the original shuffles twice
        List<(int Start, int End)> spans = PlaceInDocuments(sample.Text, lengths, random);
        return spans.Count < lengths.Count ? null : new Plan(sample, ToBlanks(spans, task, random));
    }

    private List<Blank> ToBlanks(List<(int Start, int End)> spans, TrainingTask task, RandomSource random)
    {
        if (_options.ShuffleBlocks) random.Shuffle(spans);
        else spans.Sort();
        var blanks = new List<Blank>();
        foreach ((int start, int end) in spans)
        {
            bool sentinel = _options.SentinelToken && blanks.Count > 0;
            if (sentinel && blanks.Count > _options.Sentinels.Count)
                throw new GlmException($"training sample: {spans.Count} spans need {spans.Count - 1} sentinels, there are {_options.Sentinels.Count}");
            int sop = sentinel ? _options.Sentinels[blanks.Count - 1].SopId : _options.SopId;
            int mask = sentinel && task == TrainingTask.ShortSpans ? _options.Sentinels[blanks.Count - 1].MaskId : Mask(task);
            blanks.Add(new Blank(start, end, mask, sop));
        }
        return blanks;
    }

    /// <summary>
    /// Places spans so that none crosses a document's end: the documents, shortest first, take spans in order up to their share of
    /// masked tokens; the longest takes what is left, as far as it fits.
    /// </summary>
    private List<(int Start, int End)> PlaceInDocuments(int[] text, List<int> lengths, RandomSource random)
    {
        List<(int Offset, int Length)> documents = Documents(text);
        var spans = new List<(int Start, int End)>();
        ReadOnlySpan<int> rest = CollectionsMarshal.AsSpan(lengths);
        for (int i = 0; i < documents.Count; i++)
        {
            (int offset, int length) = documents[i];
            bool last = i == documents.Count - 1;
            int room = last ? length : (int)(length * _options.BertRatio);
            int count = 0;
            // In the last document spans also need a token between them.
            for (int covered = 0; count < rest.Length && rest[count] + covered + (last ? count : 0) <= room; count++) covered += rest[count];
            SpanSampler.Place(rest[..count], offset, length, random, spans);
            rest = rest[count..];
        }
        return spans;
    }

    /// <summary>Documents between eos tokens, shortest first, without a leading ENC; the last token of the text is left out.</summary>
    private List<(int Offset, int Length)> Documents(int[] text)
    {
        var documents = new List<(int Offset, int Length)>();
        int end = text.Length;
        for (int before = text.Length - 1; before >= -1; before--)
        {
            if (before >= 0 && text[before] != _options.EosId) continue;
            int start = before + 1;
            if (start < text.Length && text[start] == _options.EncId) start++;
            int length = end - start;
            if (end == text.Length && length > 0) length--;
            documents.Add((start, length));
            end = before;
        }
        return [.. documents.OrderBy(document => document.Length)];
    }

    /// <summary>Cuts each sample into pieces of one random length, at sentence ends where it can.</summary>
    private List<DocumentSample> Split(IReadOnlyList<DocumentSample> samples, RandomSource random)
    {
        int target = random.Next(ShortestSplit, _options.MaxSeqLength - 1);
        int pieces = (_options.MaxSeqLength - 1) / target;
        var split = new List<DocumentSample>();
        foreach (DocumentSample sample in samples)
            for (int piece = 0; piece < pieces; piece++)
            {
                (int start, int end) = (1, sample.Text.Length);
                if (target < end - 1) (start, end) = Piece(sample.Text, target, random);
                split.Add(new DocumentSample([_options.EncId, .. sample.Text[start..end]], [0, .. sample.LossMask[start..end]]));
            }
        return split;
    }

    private (int Start, int End) Piece(int[] text, int target, RandomSource random)
    {
        bool Closed(int index) => _options.SentenceEndIds.Contains(text[index - 1]) || text[index - 1] == _options.EosId;
        int start = 1 + random.Next(0, text.Length - 1 - target);
        while (start > 1 && (text[start] == _options.EosId || !Closed(start))) start--;
        int end = start + target;
        while (end > start && !Closed(end)) end--;
        return (start, end - start < target / 2 ? start + target : end);
    }
}
