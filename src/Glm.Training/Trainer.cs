using System.Diagnostics;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>
/// Pre-training on one machine (spec section 4): micro-batches through the model, AdamW on float32 master weights, checkpoints from which a run goes on
/// bit for bit. Everything random is a function of the seed and the sample's or step's number, so the only state is the checkpoint.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly TrainingConfig _config;
    private readonly Workers _workers;
    private readonly Context _context;
    private readonly PretrainingData _data;
    private readonly TrainableWeights _weights;
    private readonly AdamW _optimizer;
    private readonly Checkpoints _checkpoints;
    private readonly Glm130B _model;
    private TrainingState _state = new(0, 0, 0, 0);

    /// <summary>A run at its beginning.</summary>
    /// <exception cref="GlmException">The data cannot be opened.</exception>
    public Trainer(TrainingConfig config, Workers workers)
    {
        _config = config;
        _workers = workers;
        _data = new PretrainingData(config);
        _weights = new TrainableWeights(Initialization.DeepNorm(config.Shape, config.Seed, config.InitGain), config.Precision);
        _optimizer = new AdamW(workers, _weights, config);
        _checkpoints = new Checkpoints(Path.Combine(config.Resolve(config.Output), "checkpoints"));
        _context = new Context(workers, config.Precision == Precision.BFloat16 ? DType.BFloat16 : DType.Float32);
        _model = new Glm130B(config.Shape, name => _weights.Compute[name])
        {
            HiddenDropout = (float)config.HiddenDropout,
            AttentionDropout = (float)config.AttentionDropout,
            RecomputeActivations = config.Recompute,
        };
    }

    /// <summary>Where the run stands.</summary>
    public TrainingState State => _state;

    /// <summary>Whether the run has been trained to its end.</summary>
    public bool Finished => _state.Samples >= _config.TrainSamples;

    /// <summary>Whether the run's folder holds a checkpoint.</summary>
    public bool CanResume => _checkpoints.Any;

    /// <summary>The master weights by name.</summary>
    public IReadOnlyDictionary<string, Tensor> Weights => _weights.Masters;

    /// <summary>Goes back to the newest whole checkpoint.</summary>
    /// <param name="warn">Told of damaged checkpoints that are passed over.</param>
    /// <exception cref="GlmException">There is none, or it is of another model.</exception>
    public void Resume(Action<string> warn) => _state = _checkpoints.Load(_weights, _optimizer, warn);

    /// <summary>Trains to the end, or until cancelled: then the step under way is finished and a checkpoint saved before this returns.</summary>
    /// <exception cref="GlmException">A loss or gradient is not a number, or a file cannot be written; the last checkpoint stays valid.</exception>
    public void Run(IProgress<StepLog>? progress, CancellationToken cancellation)
    {
        var log = new RunLog(Path.Combine(_config.Resolve(_config.Output), "log.jsonl"), _state.Step);
        long saved = _state.Step;
        while (!Finished && !cancellation.IsCancellationRequested)
        {
            var step = Step();
            log.Append(step);
            progress?.Report(step);
            if (_state.Step % _config.SaveInterval == 0) Save();
        }
        if (saved != _state.Step) Save();

        void Save()
        {
            _checkpoints.Save(_state, _weights, _optimizer);
            saved = _state.Step;
        }
    }

    /// <summary>Saves the model as it stands, matrices in bfloat16, with its vocabulary.</summary>
    /// <exception cref="GlmException">The directory cannot be written.</exception>
    public void Export(string path) => ModelDirectory.Save(
        path, _config.Shape, Weights.Select(weight => (weight.Key, weight.Value)), DType.BFloat16, _config.Resolve(_config.Tokenizer));

    /// <summary>One optimiser step.</summary>
    /// <exception cref="GlmException">The loss or the gradient norm is not a number; nothing was changed by the step.</exception>
    public StepLog Step()
    {
        long started = Stopwatch.GetTimestamp(), number = _state.Step + 1;
        int batch = _config.Batch.At(_state.Samples);
        batch = Math.Max(_config.MicroBatch, batch / _config.MicroBatch * _config.MicroBatch);
        double rate = _config.LearningRate.At(_state.Samples + batch), loss = 0, flops = 0;
        var byTask = new Dictionary<TrainingTask, (double Sum, int Rows)>();
        _model.EmbeddingGradientShrink = (float)_config.Shrink.At(_state.Step);
        _weights.ClearGradients();
        for (int row = 0; row < batch; row += _config.MicroBatch)
        {
            var samples = _data.Training(_state.Samples + row, _config.MicroBatch);
            _context.Reset();
            _context.Seed = CounterKey(_config.Seed, _state.Samples + row);
            _context.Record();
            var (microLoss, rowLosses) = MicroBatchLoss.Compute(_context, _model, samples);
            double value = microLoss.ToArray()[0], share = (double)_config.MicroBatch / batch;
            RequireNumber("loss", value, number);
            _context.Backward(microLoss, (float)share);
            loss += value * share;
            flops += MicroBatchLoss.ModelFlops(_model.Config, samples);
            for (int i = 0; i < samples.Rows; i++)
            {
                var (sum, rows) = byTask.GetValueOrDefault(samples.Tasks[i]);
                byTask[samples.Tasks[i]] = (sum + rowLosses[i], rows + 1);
            }
        }
        double norm = _optimizer.Step(number, rate);
        RequireNumber("gradient norm", norm, number);
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        long tokens = (long)batch * _config.SeqLength;
        _state = new TrainingState(number, _state.Samples + batch, _state.Tokens + tokens, _state.Seconds + seconds);
        double[]? validation = number % _config.EvalInterval == 0 || Finished ? Validate() : null;
        return new StepLog(number, _state.Samples, loss, Mean(TrainingTask.ShortSpans), Mean(TrainingTask.Generation), norm, rate, batch, tokens / seconds, flops / seconds, validation);

        double? Mean(TrainingTask task) => byTask.TryGetValue(task, out var sums) ? sums.Sum / sums.Rows : null;
    }

    /// <summary>Mean loss over the held-out rows of each validation source.</summary>
    public double[] Validate()
    {
        double[] losses = new double[_data.ValidationSources];
        for (int source = 0; source < losses.Length; source++)
        {
            int rows = 0;
            for (; rows < _config.EvalSamples; rows += _config.MicroBatch)
            {
                _context.Reset();
                losses[source] += MicroBatchLoss.Compute(_context, _model, _data.Validation(source, rows, _config.MicroBatch)).RowLosses.Sum();
            }
            losses[source] /= rows;
        }
        return losses;
    }

    /// <inheritdoc/>
    public void Dispose() => _data.Dispose();

    private static ulong CounterKey(ulong seed, long sample) => seed ^ ((ulong)sample * 0x9E3779B97F4A7C15);

    private void RequireNumber(string what, double value, long step)
    {
        if (!double.IsFinite(value))
            throw new GlmException($"step {step}: the {what} is {value}; the newest checkpoint in {_config.Resolve(_config.Output)} is from before it: lower lr or clip_grad and resume");
    }
}
