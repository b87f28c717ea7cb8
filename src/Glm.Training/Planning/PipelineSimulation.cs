namespace Glm.Training;

/// <summary>A pass of a stage, and when it runs, in seconds from the beginning of the step.</summary>
public readonly record struct PipelineTask(int Stage, bool Forward, int MicroBatch, double Start, double End);

/// <summary>
/// An optimiser step of a pipeline, event by event: every stage does its passes in the order of the schedule, each as soon as what it needs has come from its neighbour.
/// </summary>
public sealed class PipelineSimulation
{
    private PipelineSimulation(int stages, IReadOnlyList<PipelineTask> tasks)
    {
        Stages = stages;
        Tasks = tasks;
        Seconds = tasks.Max(task => task.End);
        Bubble = 1 - tasks.Sum(task => task.End - task.Start) / (stages * Seconds);
    }

    /// <summary>Number of stages.</summary>
    public int Stages { get; }

    /// <summary>All passes, stage by stage, each in order.</summary>
    public IReadOnlyList<PipelineTask> Tasks { get; }

    /// <summary>When the last pass ends.</summary>
    public double Seconds { get; }

    /// <summary>Share of the stages' time in which they wait.</summary>
    public double Bubble { get; }

    /// <summary>Simulates a step.</summary>
    /// <param name="order">The order of the passes.</param>
    /// <param name="stages">Seconds that each stage takes for a micro-batch, forward and backward.</param>
    /// <param name="microBatches">Micro-batches of the step.</param>
    /// <param name="transfer">Seconds that activations or gradients take from a stage to its neighbour.</param>
    public static PipelineSimulation Run(PipelineOrder order, IReadOnlyList<(double Forward, double Backward)> stages, int microBatches, double transfer = 0)
    {
        int count = stages.Count;
        bool[][] orders = [.. Enumerable.Range(0, count).Select(stage => PipelineSchedule.Of(order, stage, count, microBatches).ToArray())];
        var forward = new double?[count, microBatches];
        var backward = new double?[count, microBatches];
        int[] forwards = new int[count];
        var done = new List<PipelineTask>[count];
        for (int stage = 0; stage < count; stage++) done[stage] = [];
        for (bool moved = true; moved;)
        {
            moved = false;
            for (int stage = 0; stage < count; stage++)
                while (done[stage].Count < orders[stage].Length)
                {
                    bool isForward = orders[stage][done[stage].Count];
                    int microBatch = isForward ? forwards[stage] : done[stage].Count - forwards[stage];
                    if (Ready(stage, isForward, microBatch) is not { } ready) break;
                    double start = done[stage].Count > 0 ? Math.Max(done[stage][^1].End, ready) : ready, end = start + (isForward ? stages[stage].Forward : stages[stage].Backward);
                    (isForward ? forward : backward)[stage, microBatch] = end;
                    done[stage].Add(new PipelineTask(stage, isForward, microBatch, start, end));
                    if (isForward) forwards[stage]++;
                    moved = true;
                }
        }
        if (done.Any(tasks => tasks.Count < 2 * microBatches)) throw new InvalidOperationException($"{order} waits for itself with {count} stages and {microBatches} micro-batches");
        return new PipelineSimulation(count, [.. done.SelectMany(tasks => tasks)]);

        double? Ready(int stage, bool isForward, int microBatch) => isForward
            ? stage == 0 ? 0 : forward[stage - 1, microBatch] + transfer
            : stage == count - 1 ? forward[stage, microBatch] : backward[stage + 1, microBatch] + transfer;
    }
}
