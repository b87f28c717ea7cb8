using Glm.Tokenizers;

namespace Glm.Training;

/// <summary>Batches of samples: stored rows as the objective has them, a pure function of (seed, sample index).</summary>
public sealed class PretrainingData : IDisposable
{
    private readonly List<TokenShards> _shards = [];
    private readonly TokenRows _training;
    private readonly List<TokenRows> _validation = [];
    private readonly GlmObjective? _blanks;
    private readonly MultitaskOptions? _multitask;
    private readonly TaskShards? _tasks;
    private readonly ulong _seed;
    private readonly int _length;

    /// <summary>Opens the sources that a configuration names.</summary>
    /// <exception cref="GlmException">The vocabulary, a manifest or a shard is missing or damaged, or they do not belong together.</exception>
    public PretrainingData(TrainingConfig config)
    {
        string tokenizerPath = config.Resolve(config.Tokenizer);
        var tokenizer = Tokenizer.Load(tokenizerPath);
        if (tokenizer.VocabularySize > config.Shape.Shape.Vocabulary)
            throw new GlmException($"{tokenizerPath}: expected at most the model's {config.Shape.Shape.Vocabulary} pieces, found {tokenizer.VocabularySize}");
        string hash = ShardManifest.HashOfTokenizer(tokenizerPath);
        if (config.Objective == ObjectiveKind.Blanks) _blanks = Blanks(config, tokenizer, tokenizerPath);
        _training = new TokenRows([.. config.Data.Select(source => (Open(source), source.Weight))], config.LengthPerSample, config.Seed);
        (_multitask, _seed, _length) = (config.Multitask, config.Seed, config.SeqLength);
        if (_multitask is not null) _tasks = TaskShards.Open(config.Resolve(_multitask.Path), hash);
        foreach (var source in config.Validation)
            _validation.Add(new TokenRows([(Open(source), 1)], config.LengthPerSample, config.Seed));

        TokenShards Open(DataSource source)
        {
            var shards = TokenShards.Open(config.Resolve(source.Path), hash);
            _shards.Add(shards);
            return shards;
        }
    }

    private static GlmObjective Blanks(TrainingConfig config, Tokenizer tokenizer, string path)
    {
        if (tokenizer.Special is not { Eod: { } eod, Blanks: { GMask: { } gmask, SMask: { } smask } special })
            throw new GlmException($"{path}: expected a vocabulary with [MASK], [gMASK], [sMASK] and an end of documents, found that of {tokenizer.Kind}");
        return new GlmObjective(new GlmObjectiveOptions
        {
            MaskId = special.Mask,
            GmaskId = gmask,
            SmaskId = smask,
            SopId = special.Sop,
            EopId = special.Eop,
            EodId = eod,
            MaxSeqLength = config.SeqLength,
            SamplesPerRow = config.SamplesPerRow,
            GptProb = config.GptProb,
            MaskProb = config.MaskProb,
            AverageBlockLength = config.AverageBlockLength,
            MinGmaskRatio = config.MinGmaskRatio,
        }, config.Seed);
    }

    /// <summary>Number of validation sources.</summary>
    public int ValidationSources => _validation.Count;

    /// <summary>The samples of these numbers.</summary>
    public TrainingBatch Training(ReadOnlySpan<long> samples) => Build(_training, samples, _multitask);

    /// <summary>Held-out samples of one validation source.</summary>
    public TrainingBatch Validation(int source, long first, int rows) => Build(_validation[source], [.. Enumerable.Range(0, rows).Select(row => first + row)], multitask: null);

    /// <inheritdoc/>
    public void Dispose()
    {
        _shards.ForEach(shards => shards.Dispose());
        _tasks?.Dispose();
    }

    private TrainingBatch Build(TokenRows rows, ReadOnlySpan<long> numbers, MultitaskOptions? multitask)
    {
        int[] ids = new int[rows.LengthPerSample];
        var samples = new List<TrainingSample>();
        foreach (long index in numbers)
        {
            if (multitask?.IsPrompted(_seed, index) == true)
            {
                samples.Add(Prompted(index));
                continue;
            }
            rows.Row(index, ids);
            samples.Add(_blanks?.Build(ids, index) ?? CausalObjective.Build(ids, _length));
        }
        return TrainingBatch.Stack(samples);
    }

    /// <summary>A row of prompts in place of the row of text of the same number.</summary>
    private TrainingSample Prompted(long index)
    {
        int parts = _blanks!.Options.SamplesPerRow;
        return _blanks.BuildMultitask([.. Enumerable.Range(0, parts).Select(part => _tasks!.Draw(_seed, (index * parts) + part))], new CounterRandomSource(_seed, index));
    }
}
