using System.Diagnostics;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>How a model is fine-tuned.</summary>
public sealed record FineTuneOptions
{
    /// <summary>Peak learning rate; warmed up over 3 % of the prompts, then along a cosine to a tenth.</summary>
    public required double Rate { get; init; }

    /// <summary>How often every prompt is seen, each time in another order.</summary>
    public int Epochs { get; init; } = 1;

    /// <summary>Prompts of an optimiser step.</summary>
    public int Batch { get; init; } = 8;

    /// <summary>Prompts that run through the model together, one after the other in one row.</summary>
    public int MicroBatch { get; init; } = 4;

    /// <summary>Whether each layer is computed again on the way back, which takes a third more time and little memory.</summary>
    public bool Recompute { get; init; }

    /// <summary>Steps between held-out losses.</summary>
    public int EvalInterval { get; init; } = 50;

    /// <summary>Key of the order of prompts.</summary>
    public ulong Seed { get; init; } = 1234;
}

/// <summary>Fine-tuning on prompts with answers: the mean cross entropy of the answers' tokens, AdamW without weight decay on what the tuning trains.</summary>
/// <param name="tuning">What is trained.</param>
/// <param name="prompts">What it is trained on.</param>
/// <param name="heldOut">Prompts of the held-out loss; may be empty.</param>
/// <param name="options">How.</param>
/// <param name="workers">Threads.</param>
public sealed class FineTuner(Tuning tuning, IReadOnlyList<TunedPrompt> prompts, IReadOnlyList<TunedPrompt> heldOut, FineTuneOptions options, Workers workers)
{
    private readonly Context _context = new(workers);
    private readonly AdamW _optimizer = new(workers, [.. tuning.Weights.Masters.Select(weight => new WeightShard(
        weight.Key, 0, weight.Value, tuning.Weights.Gradient(weight.Key), Tensor.Zeros(DType.Float32, weight.Value.Shape), Tensor.Zeros(DType.Float32, weight.Value.Shape),
        Decays: false, IsOwn: true))], new AdamWOptions());

    private long _step, _done;

    /// <summary>Optimiser steps of the whole training.</summary>
    public long Steps => (options.Epochs * (long)prompts.Count + options.Batch - 1) / options.Batch;

    /// <summary>Whether all steps are done.</summary>
    public bool Finished => _step >= Steps;

    /// <summary>One optimiser step.</summary>
    /// <exception cref="GlmException">The loss or the gradient norm is not a number; no weight was changed by the step.</exception>
    public StepLog Step()
    {
        long started = Stopwatch.GetTimestamp(), total = options.Epochs * (long)prompts.Count;
        TunedPrompt[] batch = [.. Enumerable.Range(0, (int)Math.Min(options.Batch, total - _done)).Select(i => At(_done + i))];
        tuning.Weights.ClearGradients();
        int targets = batch.Sum(prompt => prompt.Targets);
        double loss = batch.Chunk(options.MicroBatch).Sum(part => Loss(part, targets, train: true));
        double norm = Math.Sqrt(tuning.Weights.Compute.Values.Sum(weight => TensorMath.SumOfSquares(workers, weight.Gradient!)));
        if (!double.IsFinite(loss) || !double.IsFinite(norm)) throw new GlmException($"step {_step + 1}: expected numbers, found a loss of {loss} and a gradient norm of {norm}: lower the learning rate");
        _done += batch.Length;
        double rate = new LearningRateSchedule(options.Rate, options.Rate / 10, Math.Min(0.03 * total, total - 1), total).At(_done);
        _optimizer.Step(++_step, rate, norm);
        tuning.Weights.Refresh();
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        double[]? validation = heldOut.Count > 0 && (_step % options.EvalInterval == 0 || Finished) ? [Validate()] : null;
        return new StepLog(_step, _done, loss, null, null, norm, rate, batch.Length, batch.Sum(prompt => prompt.Ids.Length - 1) / seconds, 0, validation);
    }

    /// <summary>Mean loss over the tokens of the held-out answers.</summary>
    public double Validate()
    {
        int targets = heldOut.Sum(prompt => prompt.Targets);
        return heldOut.Chunk(options.MicroBatch).Sum(part => Loss(part, targets, train: false));
    }

    /// <summary>The part of a batch's mean loss that some of its prompts are; going back, their part of the gradients is added.</summary>
    private double Loss(TunedPrompt[] part, int targets, bool train)
    {
        var model = tuning.Model;
        List<int> ids = [], rows = [], labels = [], tokens = [], blocks = [];
        var segments = new List<AttentionSegment>();
        foreach (var prompt in part)
        {
            int start = ids.Count, length = prompt.Ids.Length - 1;
            segments.Add(new AttentionSegment(start, length, model.IsCausal ? 0 : prompt.Place.Division));
            ids.AddRange(prompt.Ids.AsSpan(0, length));
            rows.AddRange(Enumerable.Range(start + prompt.Context - 1, prompt.Targets));
            labels.AddRange(prompt.Ids.AsSpan(prompt.Context));
            for (int i = 0; i < length; i++)
            {
                var (token, block) = model.PositionOf(i, prompt.Place);
                tokens.Add(token);
                blocks.Add(block);
            }
        }
        _context.Reset();
        if (train) _context.Record();
        model.RecomputeActivations = options.Recompute;
        var positions = new Positions(_context.Integers([.. tokens]), model.PositionAxes == 2 ? _context.Integers([.. blocks]) : null);
        var hidden = model.Forward(_context, _context.Integers([.. ids]), positions, model.Within(_context, [.. segments]));
        var logits = model.Logits(_context, _context.SelectRows(hidden, _context.Integers([.. rows])));
        float[] weights = new float[labels.Count];
        Array.Fill(weights, 1f / targets);
        var (loss, _) = _context.CrossEntropy(logits, _context.Integers([.. labels]), _context.Floats(weights, weights.Length));
        double value = loss.ToArray()[0];
        if (train) _context.Backward(loss);
        return value;
    }

    /// <summary>The prompt of a number: every epoch goes through all of them in an order of its own.</summary>
    private TunedPrompt At(long number)
    {
        var (epoch, place) = Math.DivRem(number, prompts.Count);
        return prompts[(int)new IndexPermutation(prompts.Count, options.Seed, (ulong)epoch)[place]];
    }
}
