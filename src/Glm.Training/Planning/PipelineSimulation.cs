namespace Glm.Training;

/// <summary>A task of a stage, and when it runs, in seconds from the beginning of the step.</summary>
public readonly record struct TimedTask(int Stage, PipelineTask Task, double Start, double End);

/// <summary>
/// An optimiser step of a pipeline, event by event: every stage does its tasks in the order of the schedule, each as soon as what it needs has come from its neighbour.
/// </summary>
public sealed class PipelineSimulation
{
    private PipelineSimulation(int stages, IReadOnlyList<TimedTask> tasks)
    {
        Stages = stages;
        Tasks = tasks;
        Seconds = tasks.Max(task => task.End);
        Bubble = 1 - tasks.Sum(task => task.End - task.Start) / (stages * Seconds);
    }

    /// <summary>Number of stages.</summary>
    public int Stages { get; }

    /// <summary>All tasks, stage by stage, each in order.</summary>
    public IReadOnlyList<TimedTask> Tasks { get; }

    /// <summary>When the last task ends.</summary>
    public double Seconds { get; }

    /// <summary>Share of the stages' time in which they wait.</summary>
    public double Bubble { get; }

    /// <summary>Simulates a step.</summary>
    /// <param name="schedule">The order of the tasks.</param>
    /// <param name="stages">Seconds that each stage takes for a micro-batch, forward and backward.</param>
    /// <param name="microBatches">Micro-batches of the step.</param>
    /// <param name="transfer">Seconds that activations or gradients take from a stage to its neighbour.</param>
    public static PipelineSimulation Run(PipelineSchedule schedule, IReadOnlyList<(double Forward, double Backward)> stages, int microBatches, double transfer = 0)
    {
        int count = stages.Count;
        var orders = stages.Select((_, stage) => PipelineOrder.Of(schedule, count, stage, microBatches).ToArray()).ToArray();
        var forward = new double?[count, microBatches];
        var backward = new double?[count, microBatches];
        var timed = new List<TimedTask>[count];
        double[] free = new double[count];
        for (int stage = 0; stage < count; stage++) timed[stage] = [];
        for (int left = 2 * count * microBatches; left > 0;)
        {
            int before = left;
            for (int stage = 0; stage < count; stage++)
                while (timed[stage].Count < orders[stage].Length)
                {
                    var task = orders[stage][timed[stage].Count];
                    if (Ready(stage, task) is not { } ready) break;
                    double start = Math.Max(free[stage], ready), end = start + (task.Forward ? stages[stage].Forward : stages[stage].Backward);
                    (task.Forward ? forward : backward)[stage, task.MicroBatch] = free[stage] = end;
                    timed[stage].Add(new TimedTask(stage, task, start, end));
                    left--;
                }
            if (left == before) throw new InvalidOperationException($"{schedule} waits for itself with {count} stages and {microBatches} micro-batches");
        }
        return new PipelineSimulation(count, [.. timed.SelectMany(tasks => tasks)]);

        double? Ready(int stage, PipelineTask task) => task.Forward
            ? stage == 0 ? 0 : forward[stage - 1, task.MicroBatch] + transfer
            : stage == count - 1 ? forward[stage, task.MicroBatch] : backward[stage + 1, task.MicroBatch] + transfer;
    }
}
