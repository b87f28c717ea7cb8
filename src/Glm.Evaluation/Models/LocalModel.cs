using System.Text;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Evaluation;

/// <summary>A model that runs here. Items go through it in batches of about the same length; contexts of a causal model in the order of their ids, so that what they begin with in common is computed once.</summary>
public sealed class LocalModel : EvaluatedModel
{
    /// <summary>A beginning is shared where contexts have at least so many tokens in common.</summary>
    private const int LeastShared = 64;

    private readonly LanguageModel _model;
    private readonly Workers _workers;
    private readonly SpecialTokens _special;
    private readonly Tokenizer? _tokenizer;
    private readonly PromptReader _reader;
    private readonly ChoiceScorer _choices;
    private readonly Lazy<Session> _session;
    private readonly DType? _readingCache;
    private readonly Lazy<LambadaWords> _words;
    private long _tokens;

    /// <summary>A model with its vocabulary.</summary>
    /// <param name="model">The model.</param>
    /// <param name="workers">Threads to compute with.</param>
    /// <param name="tokenizer">Its vocabulary.</param>
    /// <param name="identity">What to say of it.</param>
    /// <param name="cacheType">How keys and values of contexts are kept.</param>
    /// <param name="readingCache">The type of a cache through which texts are read; null for keys and values as they are computed.</param>
    public LocalModel(LanguageModel model, Workers workers, Tokenizer tokenizer, ModelIdentity identity, DType cacheType = DType.Float32, DType? readingCache = null)
        : this(model, workers, tokenizer.Special, tokenizer, identity, cacheType) => _readingCache = readingCache;

    internal LocalModel(LanguageModel model, Workers workers, SpecialTokens special, Tokenizer? tokenizer, ModelIdentity identity, DType cacheType = DType.Float32)
    {
        _model = model;
        _workers = workers;
        _special = special;
        _tokenizer = tokenizer;
        _reader = PromptReader.For(model, special, tokenizer);
        _choices = new ChoiceScorer(model, workers, cacheType: cacheType);
        _session = new Lazy<Session>(() => new Session(model, workers, cacheType: cacheType));
        _words = new Lazy<LambadaWords>(() => new LambadaWords(Vocabulary));
        Identity = identity;
    }

    /// <inheritdoc/>
    public override ModelIdentity Identity { get; }

    /// <inheritdoc/>
    public override long Tokens => _tokens + _choices.Tokens + (_session.IsValueCreated ? _session.Value.Tokens : 0);

    private Tokenizer Vocabulary => _tokenizer ?? throw new InvalidOperationException("text takes a tokenizer");

    /// <inheritdoc/>
    public override IEnumerable<Answer<ChoiceScores>> Choose(
        IReadOnlyList<ChoiceItem> items, IReadOnlyList<int> wanted, ReadingOptions options, CancellationToken cancellation = default)
    {
        EncodedItem[] encoded = [.. items.Select(item => _reader.Encode(item, options))];
        bool single = encoded.All(item => item.IsSingle);
        var contexts = new List<(int Item, ContextChoices Context)>();
        foreach (int item in wanted)
        {
            string? error = Attempt(() => contexts.Add((item, _reader.Choices(encoded[item], single, options))));
            if (error is not null) yield return new Answer<ChoiceScores>(item, null, error);
        }
        foreach (var (batch, shared) in _model.IsCausal ? Related(contexts) : ByLength(contexts))
        {
            double[][] scores = _choices.Score([.. batch.Select(entry => entry.Context)], shared, cancellation);
            for (int i = 0; i < batch.Count; i++)
                yield return new Answer<ChoiceScores>(batch[i].Item, ChoiceScores.Of(scores[i], [.. batch[i].Context.Choices.Select(choice => choice.Length)]));
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<Answer<Generation>> Generate(
        IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions options, GenerationOptions generation, CancellationToken cancellation = default)
    {
        var contexts = new List<(int Item, DecodingContext Context)>();
        foreach (int item in wanted)
        {
            string? error = Attempt(() => contexts.Add((item, _reader.Context(items[item], options, Room(generation)))));
            if (error is not null) yield return new Answer<Generation>(item, null, error);
        }
        // Beginning with the longest ones: if memory does not suffice, that shows at once.
        contexts.Sort((a, b) => a.Context.Ids.Length != b.Context.Ids.Length ? b.Context.Ids.Length - a.Context.Ids.Length : a.Item - b.Item);
        DecodingTask[] tasks = [.. contexts.Select(entry => new DecodingTask(entry.Context, Strategy(generation, entry.Item), Room(generation), Stopper(generation)))];
        foreach (var (task, result) in Decoding.Run(_session.Value, tasks, cancellation))
        {
            int read = contexts[task].Context.Ids.Length;
            int[][] found = [.. result.Candidates.Select(candidate => WithoutEnd(candidate.Ids[read..]))];
            yield return new Answer<Generation>(contexts[task].Item, generation.Form == AnswerForm.Word ? new Generation([_words.Value.Answer(found)]) : new Generation([.. found.Select(ids => Text(ids, generation))], found));
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<Answer<TextLikelihood>> Read(
        IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions options, int? stride, CancellationToken cancellation = default)
    {
        int longest = _reader.Longest(options);
        // Where the model is shorter than the task, its windows are so in proportion.
        if (stride is { } tokens && options.MaxSequenceLength is { } asked && longest < asked) stride = Math.Max(1, (int)((long)tokens * longest / asked));
        var scorer = new Scorer(_model, _workers, _special, new ScoringOptions
        {
            MaxSequenceLength = longest, Stride = stride, Unidirectional = options.Unidirectional, RepeatsOverlap = options.Unidirectional,
            ShortMask = !options.UseTaskMask, CacheType = _readingCache,
        });
        long read = 0, done = 0;
        var texts = wanted.Select(item => (Item: item, Ids: items[item].Ids ?? Vocabulary.Encode(items[item].Text!))).ToList();
        long all = Math.Max(1, texts.Sum(text => (long)text.Ids.Length));
        for (int first = 0, end; first < texts.Count; first = end)
        {
            int count = texts[first].Ids.Length;
            for (end = first + 1; end < texts.Count && count + texts[end].Ids.Length <= 4 * ChoiceScorer.BatchTokens; end++) count += texts[end].Ids.Length;
            var batch = texts.GetRange(first, end - first);
            var sums = scorer.Nats([.. batch.Select(text => text.Ids)], new Share(Progress, done, all), cancellation);
            done += count;
            _tokens += scorer.Tokens - read;
            read = scorer.Tokens;
            for (int i = 0; i < batch.Count; i++) yield return new Answer<TextLikelihood>(batch[i].Item, new TextLikelihood(sums[i].Nats, sums[i].Tokens));
        }
    }

    /// <inheritdoc/>
    public override double? MeasureReading(CancellationToken cancellation = default)
    {
        long before = _session.Value.Tokens;
        double speed = SpeedMeasurement.Reading(_session.Value, ChoiceScorer.BatchTokens, cancellation);
        _tokens -= _session.Value.Tokens - before; // of no text
        return speed;
    }

    /// <summary>Contexts of about the same length together, the longest first: if memory does not suffice, that shows at once.</summary>
    private static IEnumerable<(List<(int Item, ContextChoices Context)> Batch, int Shared)> ByLength(List<(int Item, ContextChoices Context)> contexts)
    {
        var batch = new List<(int, ContextChoices)>();
        int tokens = 0;
        foreach (var entry in contexts.OrderByDescending(entry => entry.Context.Context.Length))
        {
            int length = entry.Context.Context.Length;
            if (batch.Count > 0 && tokens + length > ChoiceScorer.BatchTokens)
            {
                yield return (batch, 0);
                (batch, tokens) = ([], 0);
            }
            batch.Add(entry);
            tokens += length;
        }
        if (batch.Count > 0) yield return (batch, 0);
    }

    /// <summary>
    /// Contexts in the order of their ids, in batches that begin alike. A batch takes the next context as long as fewer tokens are so computed than if that one
    /// began another batch, and as long as its tokens fit; batches that share nothing are as large as others.
    /// </summary>
    internal static IEnumerable<(List<(int Item, ContextChoices Context)> Batch, int Shared)> Related(List<(int Item, ContextChoices Context)> contexts)
    {
        var sorted = contexts.OrderBy(entry => entry.Context.Context, Comparer<int[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b))).ToList();
        var batch = new List<(int Item, ContextChoices Context)>();
        int shared = 0, tokens = 0;
        foreach (var entry in sorted)
        {
            int[] context = entry.Context.Context;
            if (batch.Count > 0)
            {
                int common = Math.Min(batch.Count > 1 ? shared : int.MaxValue, context.AsSpan().CommonPrefixLength(batch[^1].Context.Context));
                if (common < LeastShared) common = 0;
                // Tokens of the batch with the context and without it.
                int joined = tokens + context.Length - batch.Count * common, apart = tokens - (batch.Count > 1 ? (batch.Count - 1) * shared : 0) + context.Length;
                if (joined > apart || joined - common > (common > 0 ? 8 : 1) * ChoiceScorer.BatchTokens)
                {
                    yield return (batch, batch.Count > 1 ? shared : 0);
                    (batch, tokens) = ([], 0);
                }
                else shared = common;
            }
            batch.Add(entry);
            tokens += context.Length;
        }
        if (batch.Count > 0) yield return (batch, batch.Count > 1 ? shared : 0);
    }

    private DecodingStrategy Strategy(GenerationOptions generation, int item)
    {
        bool word = generation.Form == AnswerForm.Word;
        if (generation.Temperature > 0)
            return new SampleSetStrategy([.. Enumerable.Range(0, generation.Samples).Select(sample => Sampling(generation.Temperature, generation.TopP, generation.Seed + ((ulong)item << 16) + (ulong)sample))]);
        if (!word && generation.NumBeams == 1) return Sampling(0, 0, generation.Seed);
        return new BeamSearchStrategy(new BeamSearchOptions
        {
            NumBeams = word ? LambadaWords.Beams : generation.NumBeams,
            LengthPenalty = generation.LengthPenalty,
            NoRepeatNgramSize = generation.NoRepeatNgramSize,
            MinGenLength = generation.MinNewTokens,
            InvalidIds = word ? _words.Value.InvalidIds : [],
            BannedPrefixes = word ? _words.Value.BannedPrefixes : [],
            EndTokens = _reader.EndTokens,
        });
    }

    private SamplingStrategy Sampling(double temperature, double topP, ulong seed) =>
        new(new SamplingOptions { Temperature = temperature, TopP = topP, EndTokens = _reader.EndTokens, Seed = seed });

    /// <summary>Sees where a single text stops.</summary>
    private Func<int, bool>? Stopper(GenerationOptions generation) => generation.Stop.Count > 0 ? new StreamingText(Vocabulary, generation.Stop).Add : null;

    private static int Room(GenerationOptions generation) => generation.Form == AnswerForm.Word ? LambadaWords.NewTokens : generation.MaxNewTokens;

    private int[] WithoutEnd(int[] ids) => ids.Length > 0 && _reader.EndTokens.Contains(ids[^1]) ? ids[..^1] : ids;

    private string Text(int[] ids, GenerationOptions generation)
    {
        if (_tokenizer is null) return "";
        string text = _tokenizer.Decode([.. ids.Where(id => id < _tokenizer.VocabularySize)]);
        int end = generation.Stop.Select(stop => text.IndexOf(stop, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(text.Length).Min();
        return text[..end];
    }

    private static string? Attempt(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (GlmException error)
        {
            return error.Message;
        }
    }

    /// <summary>Tells what share of all tokens is done.</summary>
    private sealed class Share(IProgress<double>? progress, long before, long all) : IProgress<long>
    {
        public void Report(long value) => progress?.Report(Math.Min(1, (double)(before + value) / all));
    }

    /// <summary>The text of tokens as they arrive, as far as it takes to find where it stops.</summary>
    private sealed class StreamingText(Tokenizer tokenizer, IReadOnlyList<string> stop)
    {
        private readonly StreamingDecoder _decoder = new(tokenizer);
        private readonly StringBuilder _text = new();

        /// <summary>Adds a token; returns whether the text goes on.</summary>
        public bool Add(int id)
        {
            if (id < tokenizer.VocabularySize) _text.Append(_decoder.Append(id));
            string text = _text.ToString();
            return !stop.Any(text.Contains);
        }
    }
}
