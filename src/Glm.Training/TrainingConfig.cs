using System.Text.Json;
using System.Text.Json.Serialization;
using Glm.Models;

namespace Glm.Training;

/// <summary>One folder of prepared ids, and its share of the samples.</summary>
/// <param name="Path">The folder, relative to the configuration file.</param>
/// <param name="Weight">Its weight among all sources.</param>
public sealed record DataSource(string Path, double Weight = 1);

/// <summary>Everything that decides a training run (spec 4.1); names in the file are in snake case, unknown ones are an error.</summary>
public sealed record TrainingConfig
{
    /// <summary>The shape that is trained: the name of a preset, or a <c>config.json</c> relative to the configuration file.</summary>
    public required string Model { get; init; }

    /// <summary>A model directory or checkpoint whose weights the run begins with, relative to the configuration file; weights at random if null.</summary>
    public string? InitialModel { get; init; }

    /// <summary>The vocabulary, relative to the configuration file.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>Where the text comes from.</summary>
    public required DataSource[] Data { get; init; }

    /// <summary>Held-out text, one loss for each source; never trained on.</summary>
    public DataSource[] Validation { get; init; } = [];

    /// <summary>Prompted samples among the others; null for none.</summary>
    public MultitaskOptions? Multitask { get; init; }

    /// <summary>Folder of the run, relative to the configuration file: checkpoints, log, final model.</summary>
    public required string Output { get; init; }

    /// <summary>How rows of text become samples; it follows from the architecture, and is named so that a file tells it.</summary>
    public ObjectiveKind Objective { get; init; }

    /// <summary>Tokens of a row that the model sees.</summary>
    public int SeqLength { get; init; } = 512;

    /// <summary>Ids of a stored row, before masks are put in.</summary>
    public int LengthPerSample { get; init; } = 500;

    /// <summary>Independent parts that a [MASK] row is cut into.</summary>
    public int SamplesPerRow { get; init; } = 1;

    /// <summary>Share of [gMASK] rows; the others are [MASK] rows.</summary>
    public double GptProb { get; init; } = 0.7;

    /// <summary>Share of a [MASK] row that is masked.</summary>
    public double MaskProb { get; init; } = 0.15;

    /// <summary>Mean length of a masked span (Poisson).</summary>
    public double AverageBlockLength { get; init; } = 3;

    /// <summary>Shortest suffix of a [gMASK] row, as a share of the row.</summary>
    public double MinGmaskRatio { get; init; } = 0.2;

    /// <summary>Number of samples (rows) to train on.</summary>
    public required long TrainSamples { get; init; }

    /// <summary>Rows that run through the model together.</summary>
    public int MicroBatch { get; init; } = 4;

    /// <summary>Rows of an optimiser step, a multiple of the micro-batch.</summary>
    public required int GlobalBatch { get; init; }

    /// <summary>Global batch at the start of the ramp; 0 for no ramp.</summary>
    public int RampStart { get; init; }

    /// <summary>Increment of the ramp.</summary>
    public int RampIncrement { get; init; }

    /// <summary>Samples over which the batch ramps up.</summary>
    public long RampSamples { get; init; }

    /// <summary>Peak learning rate.</summary>
    public required double Lr { get; init; }

    /// <summary>Final learning rate.</summary>
    public required double MinLr { get; init; }

    /// <summary>Samples of the linear warm-up.</summary>
    public long WarmupSamples { get; init; }

    /// <summary>Samples at which the cosine reaches the final rate; the whole run if 0.</summary>
    public long DecaySamples { get; init; }

    /// <summary>What moves the matrices of the layers.</summary>
    [JsonPropertyName("optimizer")]
    public OptimizerKind OptimizerKind { get; init; }

    /// <summary>AdamW's decay of the mean.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's decay of the squared mean.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>AdamW's epsilon.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay of matrices.</summary>
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>Largest global gradient norm.</summary>
    public double ClipGrad { get; init; } = 1;

    /// <summary>Dropout on embeddings and sublayer outputs.</summary>
    public double HiddenDropout { get; init; }

    /// <summary>Dropout on attention probabilities.</summary>
    public double AttentionDropout { get; init; }

    /// <summary>Consumed samples from which the learning rate warms up once more.</summary>
    public Rewarmup[] Rewarmups { get; init; } = [];

    /// <summary>Samples that are drawn and discarded.</summary>
    public SkipRange[] Skip { get; init; } = [];

    /// <summary>What counts as a spike of loss or gradient norm, and what follows; null to watch for none.</summary>
    public SpikeOptions? Spikes { get; init; }

    /// <summary>Embedding-gradient shrink alpha.</summary>
    public double EmbeddingShrink { get; init; } = 0.1;

    /// <summary>Steps for which alpha stays.</summary>
    public long EmbeddingShrinkSteps { get; init; }

    /// <summary>Steps over which alpha then grows to 1; 0 keeps it.</summary>
    public long EmbeddingShrinkRamp { get; init; }

    /// <summary>Later beginnings of the shrink.</summary>
    public ShrinkChange[] EmbeddingShrinkChanges { get; init; } = [];

    /// <summary>Where layers normalise, if not as the model's shape says.</summary>
    public Normalization? Normalization { get; init; }

    /// <summary>Compute type.</summary>
    public Precision Precision { get; init; } = Precision.Float32;

    /// <summary>Type of the softmax of attention: float32 with query-key layer scaling, or, in a float16 run alone, float16 without.</summary>
    public Precision Softmax { get; init; } = Precision.Float32;

    /// <summary>Loss scale of the first step of a float16 run.</summary>
    public double LossScale { get; init; } = 65536;

    /// <summary>Steps without overflow after which the loss scale doubles.</summary>
    public int LossScaleWindow { get; init; } = 2000;

    /// <summary>Overflows until the loss scale halves.</summary>
    public int LossScaleHysteresis { get; init; } = 2;

    /// <summary>Least loss scale; an overflow at it ends the run.</summary>
    public double LossScaleMin { get; init; } = 1;

    /// <summary>Ranks that share the matrices of each layer.</summary>
    public int TensorParallel { get; init; } = 1;

    /// <summary>Stages that the layers are shared out among. Ranks beyond tensor_parallel x pipeline_parallel see different data.</summary>
    public int PipelineParallel { get; init; } = 1;

    /// <summary>In which order a pipeline's stages work.</summary>
    public PipelineSchedule PipelineSchedule { get; init; } = PipelineSchedule.OneForwardOneBackward;

    /// <summary>Whether activations are recomputed in the backward pass.</summary>
    public bool Recompute { get; init; }

    /// <summary>Factor on the DeepNorm gain beta of the initial weights.</summary>
    public double InitGain { get; init; } = 1;

    /// <summary>Key of all random numbers of the run.</summary>
    public ulong Seed { get; init; } = 1234;

    /// <summary>Steps between checkpoints.</summary>
    public int SaveInterval { get; init; } = 100;

    /// <summary>Number of checkpoints that are kept, the newest ones.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Checkpoints of steps that this divides are kept for ever; 0 for none.</summary>
    public int KeepInterval { get; init; }

    /// <summary>Steps between validation losses.</summary>
    public int EvalInterval { get; init; } = 100;

    /// <summary>Rows of each validation source.</summary>
    public int EvalSamples { get; init; } = 32;

    /// <summary>The configuration file's folder, which relative paths start from.</summary>
    [JsonIgnore]
    public string Folder { get; init; } = ".";

    /// <summary>The optimiser's constants.</summary>
    [JsonIgnore]
    public AdamWOptions Optimizer => new() { Beta1 = Beta1, Beta2 = Beta2, Epsilon = Epsilon, WeightDecay = WeightDecay, ClipGrad = ClipGrad, Kind = OptimizerKind };

    /// <summary>Learning rate over the run.</summary>
    [JsonIgnore]
    public LearningRateSchedule LearningRate => new(Lr, MinLr, WarmupSamples, DecaySamples > 0 ? DecaySamples : TrainSamples) { Rewarmups = Rewarmups };

    /// <summary>Batch size over the run.</summary>
    [JsonIgnore]
    public BatchRamp Batch => new(RampStart, RampStart > 0 ? RampIncrement : 0, RampSamples, GlobalBatch);

    /// <summary>Embedding-gradient shrink over the run.</summary>
    [JsonIgnore]
    public EmbeddingShrinkSchedule Shrink => new(EmbeddingShrink, EmbeddingShrinkSteps, EmbeddingShrinkRamp) { Changes = EmbeddingShrinkChanges };

    /// <summary>The shape that is trained, with as many positions as a row has tokens.</summary>
    [JsonIgnore]
    public ModelConfig Shape => OfRowLength(Presets.Find(Model) ?? ShapeFile()) is var shape && shape is Glm130BConfig glm ? glm with { Normalization = Normalization ?? glm.Normalization } : shape;

    /// <summary>A shape with as many positions as a row has tokens.</summary>
    internal ModelConfig OfRowLength(ModelConfig shape) => shape switch
    {
        Glm130BConfig glm => glm with { MaxSequenceLength = SeqLength },
        BloomConfig bloom => bloom with { SeqLength = SeqLength },
        var other => throw new GlmException($"model: expected an architecture that is trained from nothing ({Glm130BConfig.Type}, {BloomConfig.Type}), found {other.Architecture}"),
    };

    /// <summary>The loss scale over the run; null where the precision needs none.</summary>
    [JsonIgnore]
    public LossScaler? Scaler => Precision == Precision.Float16 ? new(LossScale, LossScaleWindow, LossScaleHysteresis, LossScaleMin) : null;

    private static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter(namingPolicy: null, allowIntegerValues: false) },
    };

    /// <summary>
    /// Reads a configuration file (JSON; comments allowed). With a field <c>base</c>, it changes some fields of that file; relative paths start from the folder of
    /// the file that is asked for.
    /// </summary>
    /// <exception cref="GlmException">The file is missing or not JSON, or a field is unknown, missing or impossible.</exception>
    public static TrainingConfig Load(string path)
    {
        try
        {
            var config = JsonSerializer.Deserialize<TrainingConfig>(BasedJson.Read(System.IO.Path.GetFullPath(path)), Json) ?? throw new GlmException($"{path}: the file holds null");
            config = config with { Folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))! };
            config.Validate(path);
            return config;
        }
        catch (JsonException error)
        {
            throw new GlmException($"{path}: not a training configuration: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>A path of the configuration in full.</summary>
    public string Resolve(string path) => System.IO.Path.GetFullPath(System.IO.Path.Combine(Folder, path));

    /// <summary>The configuration as JSON, which identifies a run.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    private ModelConfig ShapeFile()
    {
        if (!File.Exists(Resolve(Model)))
            throw new GlmException($"model: expected one of {string.Join(", ", Presets.All.Keys)} or a config.json, found {Model}");
        return ConfigFile.Load(Resolve(Model));
    }

    /// <summary>Checks every field.</summary>
    /// <param name="source">What to name in the error.</param>
    /// <exception cref="GlmException">A field is impossible.</exception>
    public void Validate(string source)
    {
        var shape = Shape.Validated(source);
        bool causal = shape.Shape.IsCausal;
        Require(Objective == (causal ? ObjectiveKind.Causal : ObjectiveKind.Blanks), "objective", $"{(causal ? "causal" : "blanks")} for {shape.Architecture}", Objective);
        if (causal)
        {
            Require(Multitask is null, "multitask", "none where the objective is causal", "some");
            Require(Normalization is null, "normalization", $"none for {shape.Architecture}", Normalization!);
            Require(Softmax == Precision.Float32, "softmax", $"float32 for {shape.Architecture}", Softmax);
            Require(TensorParallel == 1 && PipelineParallel == 1, "tensor_parallel, pipeline_parallel", $"1, 1 for {shape.Architecture}, which ranks share the data of alone", $"{TensorParallel}, {PipelineParallel}");
        }
        Require(Data.Length > 0, "data", "at least one source", "none");
        Require(Data.Concat(Validation).All(d => d.Weight > 0), "data.weight", "more than 0", "0 or less");
        if (causal) Require(LengthPerSample > 1 && LengthPerSample <= SeqLength + 1, "length_per_sample", $"2 to {SeqLength + 1}, seq_length and a last target", LengthPerSample);
        else Require(LengthPerSample > 0 && LengthPerSample < SeqLength, "length_per_sample", $"1 to {SeqLength - 1}, below seq_length", LengthPerSample);
        Require(SamplesPerRow > 0 && LengthPerSample % SamplesPerRow == 0 && SeqLength % SamplesPerRow == 0, "samples_per_row", "a divisor of length_per_sample and seq_length", SamplesPerRow);
        Require(MicroBatch > 0, "micro_batch", "at least 1", MicroBatch);
        Require(GlobalBatch > 0 && GlobalBatch % MicroBatch == 0, "global_batch", $"a multiple of micro_batch {MicroBatch}", GlobalBatch);
        Require(RampStart >= 0 && RampStart % MicroBatch == 0 && RampStart <= GlobalBatch, "ramp_start", $"a multiple of micro_batch {MicroBatch}, at most global_batch", RampStart);
        Require(RampStart == 0 || (RampIncrement > 0 && RampIncrement % MicroBatch == 0), "ramp_increment", $"a multiple of micro_batch {MicroBatch}", RampIncrement);
        Require(TrainSamples > 0, "train_samples", "at least 1", TrainSamples);
        Require(Lr > 0 && MinLr >= 0 && MinLr <= Lr, "lr, min_lr", "0 < lr, 0 <= min_lr <= lr", $"{Lr}, {MinLr}");
        Require(WarmupSamples >= 0 && WarmupSamples < LearningRate.DecaySamples, "warmup_samples", "less than decay_samples", WarmupSamples);
        Require(HiddenDropout is >= 0 and < 1 && AttentionDropout is >= 0 and < 1, "dropout", "0 to below 1", $"{HiddenDropout}, {AttentionDropout}");
        Require(EmbeddingShrink is > 0 and <= 1, "embedding_shrink", "above 0 to 1", EmbeddingShrink);
        Require(EmbeddingShrinkChanges.All(change => change is { Alpha: > 0 and <= 1, FromStep: >= 0, ConstantSteps: >= 0, RampSteps: >= 0 }), "embedding_shrink_changes", "alpha above 0 to 1, steps at least 0", "others");
        Require(Rewarmups.All(rewarmup => rewarmup is { From: >= 0, Samples: > 0 }), "rewarmups", "from at least 0, samples at least 1", "others");
        Require(Skip.All(range => range is { From: >= 0 } && range.To > range.From), "skip", "0 <= from < to", "others");
        Require(Softmax == Precision.Float32 || (Softmax == Precision.Float16 && Precision == Precision.Float16), "softmax", "float32, or float16 in a float16 run", Softmax);
        Require(LossScaleMin > 0 && LossScale >= LossScaleMin && double.IsFinite(LossScale), "loss_scale, loss_scale_min", "0 < loss_scale_min <= loss_scale", $"{LossScale}, {LossScaleMin}");
        Require(LossScaleWindow > 0 && LossScaleHysteresis > 0, "loss_scale_window, loss_scale_hysteresis", "at least 1", $"{LossScaleWindow}, {LossScaleHysteresis}");
        if (Multitask is { } tasks)
            Require(tasks.Ratio is > 0 and <= 1 && tasks.FromSamples >= 0 && tasks.RampSamples >= 0, "multitask", "0 < ratio <= 1, from_samples and ramp_samples at least 0", $"{tasks.Ratio}, {tasks.FromSamples}, {tasks.RampSamples}");
        if (Spikes is { } spikes)
        {
            Require(spikes.Window > 0 && spikes.Window <= 10_000, "spikes.window", "1 to 10000", spikes.Window);
            Require(spikes.NormFactor > 1 && spikes.LossRise > 0, "spikes.norm_factor, spikes.loss_rise", "above 1, above 0", $"{spikes.NormFactor}, {spikes.LossRise}");
            Require(spikes.SkipSamples >= 0 && spikes.Limit >= 0, "spikes.skip_samples, spikes.limit", "at least 0", $"{spikes.SkipSamples}, {spikes.Limit}");
        }
        Require(InitGain > 0, "init_gain", "above 0", InitGain);
        Require(ClipGrad > 0, "clip_grad", "above 0", ClipGrad);
        Require(TensorParallel > 0 && PipelineParallel > 0, "tensor_parallel, pipeline_parallel", "at least 1", $"{TensorParallel}, {PipelineParallel}");
        Require(KeepCheckpoints > 0 && KeepInterval >= 0, "keep_checkpoints, keep_interval", "at least 1, at least 0", $"{KeepCheckpoints}, {KeepInterval}");
        Require(SaveInterval > 0 && EvalInterval > 0, "save_interval, eval_interval", "at least 1", $"{SaveInterval}, {EvalInterval}");

        void Require(bool holds, string field, string expected, object found)
        {
            if (!holds) throw new GlmException($"{source}: {field}: expected {expected}, found {found}");
        }
    }
}
