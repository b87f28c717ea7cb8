using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>
/// Log-probabilities of the tokens of texts, every token given those before it inside its window (see <see cref="ScoringWindow.Of"/>).
/// Many windows go through the model at once. Serves one caller at a time.
/// </summary>
/// <remarks>
/// Where a vocabulary puts nothing before a text (BLOOM's, and ours with a left-to-right model), no prediction of the first token is there; it gets the probability 1 / vocabulary, so that bits per
/// byte are still those of a code that could be decoded.
/// </remarks>
public sealed class Scorer
{
    private const int BatchTokens = 2048;

    private readonly LanguageModel _model;
    private readonly Context _context;
    private readonly int[] _start;
    private readonly ScoringOptions _options;
    private readonly KvCache? _cache;

    /// <summary>A scorer over a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="workers">Threads to compute with.</param>
    /// <param name="special">What begins a window: [gMASK] and sop, or what the vocabulary of a causal model puts before a text.</param>
    /// <param name="options">Windows.</param>
    /// <param name="activationType">How activations are stored.</param>
    public Scorer(LanguageModel model, Workers workers, SpecialTokens special, ScoringOptions? options = null, DType activationType = DType.Float32)
    {
        _model = model;
        _context = new Context(workers, activationType) { InputBits = model.InputBits };
        _start = model.IsCausal ? [.. special.Before]
            : special.Blanks is { } blanks ? [options?.ShortMask == true ? blanks.Mask : blanks.Continuation, blanks.Sop]
            : special.Before.Count == 2 ? [.. special.Before]
            : throw new GlmException("tokenizer: expected one with [gMASK] and sop to score texts, found neither");
        _options = options ?? new ScoringOptions();
        if (_options.MaxSequenceLength > model.MaxSequenceLength)
            throw new GlmException($"max_sequence_length: expected at most the model's {model.MaxSequenceLength}, found {_options.MaxSequenceLength}");
        if (_options.CacheType is { } type) _cache = new KvCache(model.NumLayers, model.Heads, type);
        if (model.VirtualTokens is { } tokens) _cache?.BeginWith(_context, tokens);
    }

    /// <summary>Tokens that went through the model.</summary>
    public long Tokens { get; private set; }

    /// <summary>Bits per byte: nats / (ln 2 x UTF-8 bytes).</summary>
    public static double BitsPerByte(double nats, long utf8Bytes) => nats / (Math.Log(2) * utf8Bytes);

    /// <summary>Natural logarithms of the probabilities of the tokens of one text <c>[tokens]</c>.</summary>
    /// <exception cref="GlmException">An id lies outside the vocabulary.</exception>
    public float[] Score(int[] ids, CancellationToken cancellation = default) => Score([ids], null, cancellation)[0];

    /// <summary>Natural logarithms of the probabilities of the tokens of several texts, which do not see each other <c>[texts][tokens]</c>.</summary>
    /// <param name="texts">Token ids of each text.</param>
    /// <param name="progress">Sees the number of tokens scored so far.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    /// <exception cref="GlmException">An id lies outside the vocabulary.</exception>
    public float[][] Score(IReadOnlyList<int[]> texts, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        int longest = _options.MaxSequenceLength ?? _model.MaxSequenceLength;
        int stride = _options.Stride ?? Math.Max(1, longest / 2);
        float[][] scores = [.. texts.Select(text => new float[text.Length])];
        int[] scored = new int[texts.Count];
        long done = 0;
        if (_start.Length == 0)
            foreach (var (text, index) in texts.Select((text, index) => (text, index)).Where(item => item.text.Length > 0))
            {
                if ((uint)text[0] >= (uint)_model.VocabSize) throw new GlmException($"id {text[0]} at position 0: expected 0 to {_model.VocabSize - 1}");
                scores[index][scored[index]++] = -MathF.Log(_model.VocabSize);
                done++;
            }
        foreach (var (batch, values) in ScoreWindows(texts, longest, stride, cancellation))
        {
            // Windows of a text come in order, and so do the tokens they score.
            int row = 0;
            foreach (var (text, window) in batch)
            {
                int count = window.Tokens.Length - window.ScoredFrom;
                values.AsSpan(row, count).CopyTo(scores[text].AsSpan(scored[text]));
                scored[text] += count;
                row += count;
            }
            done += row;
            progress?.Report(done);
        }
        return scores;
    }

    /// <summary>
    /// Nats of several texts, and how many tokens were predicted: as <see cref="Score(IReadOnlyList{int[]}, IProgress{long}, CancellationToken)"/>, but with
    /// <see cref="ScoringOptions.RepeatsOverlap"/>.
    /// </summary>
    /// <param name="texts">Token ids of each text.</param>
    /// <param name="progress">Sees the number of tokens scored so far.</param>
    /// <param name="cancellation">Ends it between two batches.</param>
    public (double Nats, long Tokens)[] Nats(IReadOnlyList<int[]> texts, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        var sums = new (double Nats, long Tokens)[texts.Count];
        if (!_options.RepeatsOverlap || _start.Length == 0)
        {
            foreach (var (scores, i) in Score(texts, progress, cancellation).Select((scores, i) => (scores, i))) sums[i] = (-scores.Sum(score => (double)score), scores.Length);
            return sums;
        }
        int longest = _options.MaxSequenceLength ?? _model.MaxSequenceLength;
        foreach (var (batch, values) in ScoreWindows(texts, longest, _options.Stride ?? Math.Max(1, longest / 2), cancellation))
        {
            int row = 0;
            foreach (var (text, window) in batch)
                for (int end = row + window.Tokens.Length - window.ScoredFrom; row < end; row++) sums[text] = (sums[text].Nats - values[row], sums[text].Tokens + 1);
            progress?.Report(sums.Sum(sum => sum.Tokens));
        }
        return sums;
    }

    /// <summary>The windows of texts in batches, with the log-probabilities of what they predict.</summary>
    private IEnumerable<(List<(int Text, ScoringWindow Window)> Batch, float[] Values)> ScoreWindows(
        IReadOnlyList<int[]> texts, int longest, int stride, CancellationToken cancellation)
    {
        foreach (var batch in Batches(texts.SelectMany((text, index) => Windows(text).Select(window => (index, window)))))
        {
            cancellation.ThrowIfCancellationRequested();
            yield return (batch, Score([.. batch.Select(item => item.Window)]));
        }

        IEnumerable<ScoringWindow> Windows(int[] text)
        {
            var windows = ScoringWindow.Of(text, longest, stride, _start, _options.Unidirectional || _model.IsCausal);
            return _options.RepeatsOverlap && _options.Unidirectional ? windows.Select(window => window with { ScoredFrom = _start.Length - 1 }) : windows;
        }
    }

    /// <summary>Log-probabilities of the targets of some windows from where they count, one window after the other.</summary>
    internal float[] Score(IReadOnlyList<ScoringWindow> windows)
    {
        var rows = new List<int>();
        var targets = new List<int>();
        var segments = new AttentionSegment[windows.Count];
        int start = 0;
        for (int i = 0; i < windows.Count; start += windows[i++].Tokens.Length)
        {
            var window = windows[i];
            segments[i] = new AttentionSegment(start, window.Tokens.Length, window.Division);
            rows.AddRange(Enumerable.Range(start + window.ScoredFrom, window.Tokens.Length - window.ScoredFrom));
            targets.AddRange(window.Targets[window.ScoredFrom..]);
        }
        Tokens += start;
        _context.Reset();
        var ids = _context.Integers([.. windows.SelectMany(window => window.Tokens)]);
        (int Token, int Block)[] places = [.. windows.SelectMany(window => Enumerable.Range(0, window.Tokens.Length).Select(i => _model.PositionOf(i, window.Place)))];
        var positions = new Positions(
            _context.Integers([.. places.Select(place => place.Token)]), _model.PositionAxes == 2 ? _context.Integers([.. places.Select(place => place.Block)]) : null);
        var hidden = _cache is null ? _model.Forward(_context, ids, positions, _model.Within(_context, segments)) : Forward(_cache, ids, positions, segments);
        return TargetScores.Of(_model, _context, hidden, [.. rows], [.. targets]);
    }

    /// <summary>The pass of whole windows whose attention reads what the cache holds of them.</summary>
    private Tensor Forward(KvCache cache, Tensor ids, Positions positions, AttentionSegment[] segments)
    {
        KvCache.Sequence[] sequences = [.. segments.Select(_ => cache.Add())];
        try
        {
            CachedSequence[] cached = [.. segments.Zip(sequences, (segment, sequence) => sequence.Append(segment.Start, segment.Length, segment.Division))];
            return _model.Forward(_context, ids, positions, (qkv, layer) => _context.CachedAttention(qkv, _model.Heads, cache.Pages(layer), cached, _model.Slopes));
        }
        finally
        {
            foreach (var sequence in sequences) sequence.Release();
        }
    }

    private static IEnumerable<List<(int Text, ScoringWindow Window)>> Batches(IEnumerable<(int Text, ScoringWindow Window)> windows)
    {
        var batch = new List<(int, ScoringWindow Window)>();
        int tokens = 0;
        foreach (var item in windows)
        {
            int length = item.Window.Tokens.Length;
            if (batch.Count > 0 && tokens + length > BatchTokens)
            {
                yield return batch;
                batch = [];
                tokens = 0;
            }
            batch.Add(item);
            tokens += length;
        }
        if (batch.Count > 0) yield return batch;
    }
}
