using Glm.Distributed;

namespace Glm.Training;

/// <summary>The losses of a step's micro-batches, in total and by kind of row (spec 3.6).</summary>
public sealed class StepLosses
{
    private readonly Dictionary<TrainingTask, (double Sum, int Rows)> _byTask = [];

    /// <summary>Mean loss.</summary>
    public double Total { get; private set; }

    /// <summary>Operations that the losses and their gradients needed.</summary>
    public double Flops { get; private set; }

    /// <summary>Adds a micro-batch.</summary>
    /// <param name="batch">What was computed.</param>
    /// <param name="loss">Its part of the mean.</param>
    /// <param name="rowLosses">Mean loss of each row.</param>
    public void Add(TrainingBatch batch, double loss, double[] rowLosses)
    {
        Total += loss;
        for (int row = 0; row < batch.Rows; row++)
        {
            var (sum, rows) = _byTask.GetValueOrDefault(batch.Tasks[row]);
            _byTask[batch.Tasks[row]] = (sum + rowLosses[row], rows + 1);
        }
    }

    /// <summary>Adds operations of a micro-batch.</summary>
    public void Add(double flops) => Flops += flops;

    /// <summary>Makes these the losses of all ranks together.</summary>
    public void Join(ProcessGroup world)
    {
        if (world.Size == 1) return;
        var tasks = Enum.GetValues<TrainingTask>();
        double[] sums = world.Sum([Total, Flops, .. tasks.SelectMany(task => _byTask.TryGetValue(task, out var mine) ? new[] { mine.Sum, mine.Rows } : [0, 0])]);
        (Total, Flops) = (sums[0], sums[1]);
        foreach (var (i, task) in tasks.Index())
            if (sums[3 + (2 * i)] > 0) _byTask[task] = (sums[2 + (2 * i)], (int)sums[3 + (2 * i)]);
    }

    /// <summary>Mean loss of the rows of a kind, or null if there was none.</summary>
    public double? Of(TrainingTask task) => _byTask.TryGetValue(task, out var sums) ? sums.Sum / sums.Rows : null;
}
