using Glm.Models;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>The loss of one micro-batch (spec 3.6): per row the mean over its targets, then the mean over rows.</summary>
public static class MicroBatchLoss
{
    /// <summary>
    /// The loss of what the last layers gave. Logits are computed at targets alone.
    /// </summary>
    /// <param name="context">Where to run; recording if a backward pass follows.</param>
    /// <param name="model">The model, or its last part.</param>
    /// <param name="hidden">Hidden states after the last norm <c>[rows * seq, hidden]</c>.</param>
    /// <param name="batch">Rows with targets.</param>
    /// <returns>The scalar loss, and the mean loss of each row.</returns>
    public static (Tensor Loss, double[] RowLosses) Of(Context context, TrainableModel model, Tensor hidden, TrainingBatch batch)
    {
        int[] targets = [.. Enumerable.Range(0, batch.Tokens.Length).Where(i => batch.LossMask[i] != 0)];
        int[] perRow = new int[batch.Rows];
        foreach (int index in targets) perRow[index / batch.SequenceLength]++;
        int rowsWithTargets = perRow.Count(count => count > 0);
        float[] weights = [.. targets.Select(index => 1f / (perRow[index / batch.SequenceLength] * rowsWithTargets))];
        var (loss, tokenLosses) = model.Loss(
            context, context.SelectRows(hidden, context.Integers(targets)), context.Integers([.. targets.Select(index => batch.Targets[index])]), context.Floats(weights, weights.Length));
        float[] losses = tokenLosses.ToArray();
        double[] rowLosses = new double[batch.Rows];
        for (int i = 0; i < targets.Length; i++) rowLosses[targets[i] / batch.SequenceLength] += losses[i] / perRow[targets[i] / batch.SequenceLength];
        return (loss, rowLosses);
    }

    /// <summary>
    /// Multiply-adds, counted as two operations each, that the loss and its gradients need: 6 per matrix weight and token, 12 per hidden unit and
    /// pair of tokens that see each other, 6 per embedding weight and target.
    /// </summary>
    public static double ModelFlops(ModelConfig config, TrainingBatch batch)
    {
        var shape = config.Shape;
        double hidden = shape.Hidden, matrices = config.Parameters().Where(parameter => config.IsQuantizable(parameter.Name)).Sum(parameter => (double)parameter.Shape[0] * parameter.Shape[1]);
        double pairs = batch.Segments.Sum(segment =>
        {
            double division = Math.Min(segment.Division, segment.Length), rest = segment.Length - division;
            return division * division + rest * division + rest * (rest + 1) / 2;
        });
        double targets = batch.LossMask.Count(mask => mask != 0);
        return 6 * matrices * batch.Tokens.Length + 12 * hidden * shape.Layers * pairs + 6 * hidden * shape.Vocabulary * targets;
    }
}
