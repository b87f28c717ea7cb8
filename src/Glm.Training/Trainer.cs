using System.Diagnostics;
using Glm.Distributed;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>
/// Pre-training (spec section 4): micro-batches through the model, AdamW on float32 master weights, checkpoints from which a run goes on bit for bit.
/// Everything random is a function of the seed and the sample's or step's number, so the only state is the checkpoint. All ranks of a job make the same
/// steps, and come to the same decisions, since these rest on sums over all of them.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly TrainingConfig _config;
    private readonly Workers _workers;
    private readonly PretrainingData _data;
    private readonly TrainableWeights _weights;
    private readonly AdamW _optimizer;
    private readonly Checkpoints _checkpoints;
    private readonly TrainableModel _model;
    private readonly ParallelLayout _layout;
    private readonly WeightShards _shards;
    private readonly MicroBatches _microBatches;
    private readonly CommunicationMeter _meter;
    private readonly SampleOrder _order;
    private readonly SpikeDetector? _spikes;
    private readonly LossScaler? _scaler;
    private TrainingState _state = new(0, 0, 0, 0);
    private int _spikesSinceCheckpoint;
    private long _saved = -1;
    private bool _lastBackward;

    /// <summary>A run at its beginning.</summary>
    /// <param name="config">What is trained.</param>
    /// <param name="workers">Threads of this rank.</param>
    /// <param name="world">The ranks that train together; this process alone if null.</param>
    /// <exception cref="GlmException">The data cannot be opened, or the model cannot be shared out among so many ranks.</exception>
    public Trainer(TrainingConfig config, Workers workers, ProcessGroup? world = null)
    {
        _config = config;
        _workers = workers;
        _layout = new ParallelLayout(world ?? ProcessGroup.Alone, config.TensorParallel, config.PipelineParallel);
        if (config.OptimizerKind == OptimizerKind.Muon && _layout.World.Size > 1)
            throw new GlmException($"optimizer: muon moves whole matrices and runs in one process, found {_layout.World.Size}; adamw runs in several");
        var part = ModelPart.Stage(config.Shape.Shape.Layers, _layout.Stage, _layout.Stages, _layout.Tensors);
        _data = new PretrainingData(config);
        (_weights, _model) = Begun(config, part);
        _shards = new WeightShards(_weights, _model, _layout);
        if (_layout.Data.Size > 1) _model.LayerDone = layer =>
        {
            if (_lastBackward) _shards.LayerDone(layer);
        };
        _optimizer = new AdamW(workers, _shards.Shards, config.Optimizer);
        _checkpoints = new Checkpoints(config, _layout, _shards);
        _microBatches = new MicroBatches(config, workers, _layout, _model, _data);
        _meter = new CommunicationMeter(_layout, _shards);
        _order = new SampleOrder(config.Skip);
        _spikes = config.Spikes is { } spikes ? new SpikeDetector(spikes) : null;
        _scaler = config.Scaler;
        _state = _state with { LossScale = _scaler?.Begin };
    }

    private static (TrainableWeights Weights, TrainableModel Model) Begun(TrainingConfig config, ModelPart part)
    {
        var shape = config.Shape;
        var weights = new TrainableWeights(InitialModel.Find(config) is { } initial ? initial.Weights(part)
            : shape is BloomConfig bloom ? Initialization.PreLn(bloom, config.Seed, config.InitGain)
            : Initialization.DeepNorm((Glm130BConfig)shape, config.Seed, config.InitGain, part: part), config.Precision);
        TrainableModel model = shape is Glm130BConfig glm ? new Glm130B(glm, name => weights.Compute[name], part) { HalfSoftmax = config.Softmax == Precision.Float16 }
            : new Bloom((BloomConfig)shape, name => weights.Compute[name]);
        model.HiddenDropout = (float)config.HiddenDropout;
        model.AttentionDropout = (float)config.AttentionDropout;
        model.RecomputeActivations = config.Recompute;
        return (weights, model);
    }

    /// <summary>Where the run stands.</summary>
    public TrainingState State => _state;

    /// <summary>Whether the run has been trained to its end.</summary>
    public bool Finished => _state.Samples >= _config.TrainSamples;

    /// <summary>Whether the run's folder holds a checkpoint.</summary>
    public bool CanResume => _checkpoints.Any;

    /// <summary>The master weights by name, as far as this rank has them.</summary>
    public IReadOnlyDictionary<string, Tensor> Weights => _weights.Masters;

    /// <summary>10^9 operations per second that the machine's multipliers were measured to do, for the log; null where nobody measured.</summary>
    public double? Peak { get; set; }

    /// <summary>Told of what happens beside the steps: overflows, spikes, going back.</summary>
    public Action<RunEvent>? Happened { get; set; }

    /// <summary>Goes back to the newest whole checkpoint.</summary>
    /// <param name="warn">Told of damaged checkpoints that are passed over.</param>
    /// <exception cref="GlmException">There is none, or it is of another model.</exception>
    public void Resume(Action<string> warn) => Load(warn, regularOnly: false);

    private void Load(Action<string> warn, bool regularOnly)
    {
        var state = _checkpoints.Load(warn, regularOnly);
        _saved = state.Step;
        _weights.Refresh();
        _state = state with { LossScale = _scaler is null ? null : state.LossScale ?? _scaler.Begin };
    }

    /// <summary>Trains to the end, or until cancelled: then the step under way is finished and a checkpoint saved before this returns.</summary>
    /// <exception cref="GlmException">Another process trains in the folder, a loss or gradient is not a number, or a file cannot be written; the last checkpoint stays valid.</exception>
    public void Run(IProgress<StepLog>? progress, CancellationToken cancellation)
    {
        string folder = _config.Resolve(_config.Output);
        using var only = _layout.IsFirst ? RunLock.Take(folder) : null;
        var log = _layout.IsFirst ? new RunLog(Path.Combine(folder, RunLog.FileName), _state.Step) : null;
        var events = _layout.IsFirst ? new RunEvents(Path.Combine(folder, RunEvents.FileName)) : null;
        using var board = _layout.IsFirst ? new TensorBoardLog(Path.Combine(folder, "tensorboard"), _state.Step) : null;
        var listener = Happened;
        Happened = happened =>
        {
            events?.Append(happened);
            listener?.Invoke(happened);
        };
        try
        {
            Tell(_state.Step == 0 ? "start" : "resume", Described());
            long logged = _state.Step;
            if (_config.Spikes?.Reaction == SpikeReaction.Rollback && !CanResume) Save();
            while (!Finished && !Cancelled())
            {
                var step = Step();
                if (step.Step <= logged)
                {
                    log?.Rewind(step.Step - 1);
                    board?.Rewind(step.Step - 1);
                }
                log?.Append(step);
                board?.Append(step);
                logged = step.Step;
                progress?.Report(step);
                _checkpoints.ThrowIfFailed();
                if (_state.Step % _config.SaveInterval == 0) Save();
            }
            if (_state.Step > 0) SaveUnlessSaved();
            _checkpoints.Wait();

            // Ranks are told at different times; they stop together.
            bool Cancelled() => _layout.World.Sum(cancellation.IsCancellationRequested ? 1 : 0)[0] > 0;
        }
        finally
        {
            _checkpoints.Settle();
            Happened = listener;
        }
    }

    private void Save()
    {
        _checkpoints.Save(_state);
        _spikesSinceCheckpoint = 0;
        _saved = _state.Step;
    }

    private void SaveUnlessSaved()
    {
        if (_saved != _state.Step) Save();
    }

    /// <summary>Saves the model as it stands, matrices in bfloat16, with its vocabulary: the first rank does, from a checkpoint, when all have called this.</summary>
    /// <exception cref="GlmException">The checkpoint or the directory cannot be written.</exception>
    public void Export(string path)
    {
        SaveUnlessSaved();
        var checkpoint = _checkpoints.Newest();
        if (_layout.IsFirst) ModelDirectory.Save(path, _config.Shape, checkpoint.Names.Select(name => (name, checkpoint[name])), DType.BFloat16, _config.Resolve(_config.Tokenizer));
        _layout.World.Barrier();
    }

    /// <summary>One optimiser step; after a spike whose data is skipped, the first one that is none.</summary>
    /// <exception cref="GlmException">The loss or the gradient norm is not a number, or spikes do not end; the newest checkpoint is from before it.</exception>
    public StepLog Step()
    {
        while (true)
            if (TryStep() is { } step) return step;
    }

    private StepLog? TryStep()
    {
        long started = Stopwatch.GetTimestamp(), number = _state.Step + 1;
        int batch = _config.Batch.At(_state.Samples);
        batch = Math.Max(_config.MicroBatch, batch / _config.MicroBatch * _config.MicroBatch);
        var (samples, iterated) = _order.Next(_state.Samples + _state.Discarded, batch);
        _model.EmbeddingGradientShrink = (float)_config.Shrink.At(_state.Step);
        double scale = _state.LossScale?.Value ?? 1, rate = _config.LearningRate.At(_state.Samples + batch);
        var losses = Accumulate(samples, scale);
        double norm = Math.Sqrt(_layout.World.Sum(_shards.OwnSquares(_workers))[0]) / scale;
        bool finite = double.IsFinite(losses.Total) && double.IsFinite(norm), overflow = _scaler is not null && !finite;
        if (!overflow)
        {
            if (_spikes?.Reason(_state.Recent, losses.Total, norm) is { } reason && React(reason, finite, samples[0], iterated)) return null;
            if (!finite) throw new GlmException($"step {number}: {(double.IsFinite(losses.Total) ? "the gradient norm" : "the loss")} is {(double.IsFinite(losses.Total) ? norm : losses.Total)}; "
                + $"the newest checkpoint in {_config.Resolve(_config.Output)} is from before it: lower lr or clip_grad and resume");
            _optimizer.Step(number - _state.Overflows, rate, norm, scale);
            _shards.Gather();
            _weights.Refresh();
        }
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        long tokens = (long)batch * _config.SeqLength;
        _state = _state with
        {
            Step = number,
            Samples = _state.Samples + batch,
            Tokens = _state.Tokens + tokens,
            Seconds = _state.Seconds + seconds,
            Discarded = iterated - _state.Samples - batch,
            Overflows = _state.Overflows + (overflow ? 1 : 0),
            LossScale = NextScale(overflow),
            Recent = _spikes is null || overflow ? _state.Recent : _spikes.With(_state.Recent, losses.Total, norm),
        };
        var communication = _meter.OfStep(seconds);
        double[]? validation = number % _config.EvalInterval == 0 || Finished ? Validate() : null;
        return new StepLog(
            number, _state.Samples, losses.Total, losses.Of(TrainingTask.ShortSpans), losses.Of(TrainingTask.Generation), norm, rate, batch, tokens / seconds, losses.Flops / seconds, validation)
        {
            MultitaskLoss = losses.Of(TrainingTask.Multitask),
            LossScale = _scaler is null ? null : scale,
            Overflows = _state.Overflows,
            Discarded = _state.Discarded,
            PeakShare = losses.Flops / seconds / 1e9 / Peak,
            CommunicationShare = communication.Share,
            SentBytes = communication.Bytes,
        };
    }

    /// <summary>Forward and backward passes of a step's micro-batches; the gradients are those of the mean loss times the scale.</summary>
    private StepLosses Accumulate(long[] samples, double scale)
    {
        _weights.ClearGradients();
        var losses = _microBatches.Train(samples, scale, last: () => _lastBackward = true);
        _lastBackward = false;
        _shards.Finish();
        losses.Join(_layout.World);
        return losses;
    }

    /// <summary>Does what was chosen about a spike; false if the step is taken nevertheless.</summary>
    private bool React(string reason, bool finite, long first, long iterated)
    {
        var spikes = _config.Spikes!;
        Tell("spike", $"step {_state.Step + 1}: {reason}");
        if (spikes.Reaction == SpikeReaction.Warn) return false;
        if (++_spikesSinceCheckpoint > spikes.Limit)
            throw new GlmException($"step {_state.Step + 1}: {reason}; expected at most {spikes.Limit} spikes without a checkpoint between them, found one more: the cause is not the data");
        long resumed = iterated + spikes.SkipSamples;
        if (spikes.Reaction == SpikeReaction.Rollback)
        {
            Load(warning => Tell("rollback", warning), regularOnly: true);
            first = _state.Samples + _state.Discarded;
        }
        _state = _state with { Discarded = resumed - _state.Samples };
        Tell(spikes.Reaction == SpikeReaction.Skip ? "skip" : "rollback", $"goes on after step {_state.Step}, without samples {first} to {resumed - 1}");
        return true;
    }

    private LossScale? NextScale(bool overflow)
    {
        if (_scaler is null) return null;
        var scale = _state.LossScale!;
        var next = _scaler.Next(scale, overflow) ?? throw new GlmException(
            $"step {_state.Step + 1}: gradients overflow at the least loss scale, {scale.Value}; the newest checkpoint in {_config.Resolve(_config.Output)} is from before it: go back and lower lr or embedding_shrink");
        if (overflow) Tell("overflow", FormattableString.Invariant($"step {_state.Step + 1} changes no weight: gradients overflow at the loss scale {scale.Value}, the next is {next.Value}"));
        return next;
    }

    private void Tell(string kind, string message)
    {
        if (_layout.IsFirst) Happened?.Invoke(new RunEvent(DateTime.UtcNow, _state.Step, _state.Samples + _state.Discarded, kind, message));
    }

    /// <summary>The choices that decide how a run computes.</summary>
    private string Described() => FormattableString.Invariant(
        $"{_config.Shape.ParameterCount} parameters, {(_config.Shape as Glm130BConfig)?.Normalization.ToString() ?? _config.Shape.Architecture}, compute {_config.Precision}, softmax {(_config.Softmax == Precision.Float16 ? "Float16" : "Float32")}, ")
        + FormattableString.Invariant($"loss scale {(_scaler is null ? "none" : _state.LossScale!.Value)}, embedding-gradient shrink {_config.Shrink.At(_state.Step)}, spikes {_config.Spikes?.Reaction.ToString() ?? "not watched"}");

    /// <summary>Mean loss over the held-out rows of each validation source.</summary>
    public double[] Validate()
    {
        double[] losses = new double[_data.ValidationSources];
        for (int source = 0; source < losses.Length; source++)
        {
            int rows = (_config.EvalSamples + _config.MicroBatch - 1) / _config.MicroBatch * _config.MicroBatch;
            double sum = _microBatches.Validate(source);
            losses[source] = _layout.World.Sum(_layout.Tensors.Rank == 0 ? sum : 0)[0] / rows;
        }
        return losses;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _checkpoints.Dispose();
        _data.Dispose();
    }
}
