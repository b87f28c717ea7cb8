using Glm.Distributed;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>
/// Runs micro-batches through this process' part of the model: the shares of other stages arrive and leave as messages. Each micro-batch in flight has a context of
/// its own, with tape and arena. One process is a pipeline of one stage.
/// </summary>
internal sealed class MicroBatches(TrainingConfig config, Workers workers, ParallelLayout layout, TrainableModel model, PretrainingData data)
{
    private readonly Stack<Context> _free = new();

    private ProcessGroup Pipeline => layout.Pipeline;

    /// <summary>Forward and backward passes of this data rank's micro-batches of a step: those whose number it is, modulo the data ranks.</summary>
    /// <param name="samples">Numbers of all samples of the step.</param>
    /// <param name="scale">Factor on the loss, for gradients.</param>
    /// <param name="last">Called before the last backward pass.</param>
    /// <returns>The losses of this process' micro-batches, in the last stage; how much was computed, in the first.</returns>
    public StepLosses Train(long[] samples, double scale, Action last)
    {
        var losses = new StepLosses();
        var underWay = new Queue<Pass>();
        int rows = config.MicroBatch, mine = Mine(samples.Length / rows);
        double share = (double)rows / samples.Length;
        foreach (var (isForward, number) in PipelineOrder.Of(config.PipelineSchedule, layout.Stages, layout.Stage, mine))
        {
            if (isForward)
            {
                var numbers = samples.AsSpan(rows * (layout.Data.Rank + (number * layout.Data.Size)), rows);
                underWay.Enqueue(Forward(data.Training(numbers), CounterKey(config.Seed, numbers[0]), share, losses));
                continue;
            }
            if (number == mine - 1) last();
            Backward(underWay.Dequeue(), (float)(share * scale));
        }
        Pipeline.Flush();
        return losses;
    }

    /// <summary>Sum of the losses of held-out rows, in the last stage.</summary>
    public double Validate(int source)
    {
        double sum = 0;
        for (int i = layout.Data.Rank, rows = config.MicroBatch; i * rows < config.EvalSamples; i += layout.Data.Size)
        {
            var batch = data.Validation(source, (long)i * rows, rows);
            var context = Rent();
            var output = RunPart(context, batch, Input(context, batch));
            if (model.Part.HasHead) sum += MicroBatchLoss.Of(context, model, output, batch).RowLosses.Sum();
            else Pipeline.Send(output, layout.Stage + 1);
            _free.Push(context);
        }
        Pipeline.Flush();
        return sum;
    }

    private int Mine(int microBatches) => (microBatches - layout.Data.Rank + layout.Data.Size - 1) / layout.Data.Size;

    private Pass Forward(TrainingBatch batch, ulong key, double share, StepLosses losses)
    {
        var context = Rent();
        context.Seed = key;
        context.Record();
        var input = Input(context, batch);
        var output = RunPart(context, batch, input);
        // Ranks that share matrices compute the same losses: one of them counts.
        bool counts = layout.Tensors.Rank == 0;
        if (counts && model.Part.HasEmbedding) losses.Add(MicroBatchLoss.ModelFlops(model.Config, batch));
        if (!model.Part.HasHead)
        {
            Pipeline.Send(output, layout.Stage + 1);
            return new Pass(context, input, output);
        }
        var (loss, rowLosses) = MicroBatchLoss.Of(context, model, output, batch);
        if (counts) losses.Add(batch, loss.ToArray()[0] * share, rowLosses);
        return new Pass(context, input, loss);
    }

    private void Backward(Pass pass, float scale)
    {
        var (context, input, output) = pass;
        if (model.Part.HasHead) context.Backward(output, scale);
        else context.Backward(output, Received(context, DType.Float32, output.Rows, layout.Stage + 1));
        if (!model.Part.HasEmbedding) Pipeline.Send(input.Gradient!, layout.Stage - 1);
        _free.Push(context);
    }

    private Tensor RunPart(Context context, TrainingBatch batch, Tensor input) =>
        model.RunPart(context, input, context.Integers(batch.Positions), model.Within(context, [.. batch.Segments]));

    /// <summary>What this part reads: ids, or the output of the stage before.</summary>
    private Tensor Input(Context context, TrainingBatch batch)
    {
        if (model.Part.HasEmbedding) return context.Integers(batch.Tokens);
        var hidden = Received(context, context.ActivationType, batch.Tokens.Length, layout.Stage - 1);
        hidden.RequiresGradient = context.Recording;
        return hidden;
    }

    private Tensor Received(Context context, DType type, int rows, int stage)
    {
        var tensor = context.Arena.Allocate(type, rows, model.Config.Shape.Hidden);
        Pipeline.Receive(tensor, stage);
        return tensor;
    }

    private Context Rent()
    {
        if (!_free.TryPop(out var context)) context = new Context(workers, config.Precision.ActivationType());
        context.Reset();
        return context;
    }

    private static ulong CounterKey(ulong seed, long sample) => seed ^ ((ulong)sample * 0x9E3779B97F4A7C15);

    /// <summary>A micro-batch between its forward and its backward pass.</summary>
    private readonly record struct Pass(Context Context, Tensor Input, Tensor Output);
}
