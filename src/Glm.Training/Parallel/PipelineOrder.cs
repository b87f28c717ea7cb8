using System.Text.Json.Serialization;

namespace Glm.Training;

/// <summary>In which order the stages of a pipeline compute their micro-batches (spec 4.3).</summary>
public enum PipelineSchedule
{
    /// <summary>As PipeDream-Flush has it: after a warm-up every stage alternates, so that at most as many micro-batches are in flight as there are stages.</summary>
    [JsonStringEnumMemberName("1f1b")]
    OneForwardOneBackward,

    /// <summary>As GPipe has it: all forward passes, then all backward passes.</summary>
    [JsonStringEnumMemberName("gpipe")]
    GPipe,
}

/// <summary>One thing that a stage does.</summary>
/// <param name="Forward">A forward pass, or else a backward pass.</param>
/// <param name="MicroBatch">Of which micro-batch, from 0.</param>
public readonly record struct PipelineTask(bool Forward, int MicroBatch);

/// <summary>The order of the tasks of a stage.</summary>
public static class PipelineOrder
{
    /// <summary>What a stage does in one optimiser step.</summary>
    /// <param name="schedule">The schedule.</param>
    /// <param name="stages">Stages of the pipeline.</param>
    /// <param name="stage">This one, from 0.</param>
    /// <param name="microBatches">Micro-batches of the step.</param>
    public static IEnumerable<PipelineTask> Of(PipelineSchedule schedule, int stages, int stage, int microBatches)
    {
        int ahead = InFlight(schedule, stages, stage, microBatches);
        for (int forward = 0; forward < ahead; forward++) yield return new PipelineTask(true, forward);
        for (int backward = 0; backward < microBatches; backward++)
        {
            yield return new PipelineTask(false, backward);
            if (ahead + backward < microBatches) yield return new PipelineTask(true, ahead + backward);
        }
    }

    /// <summary>The most micro-batches whose forward pass a stage has done and whose backward pass it has not.</summary>
    public static int InFlight(PipelineSchedule schedule, int stages, int stage, int microBatches) =>
        schedule == PipelineSchedule.GPipe ? microBatches : Math.Min(stages - stage, microBatches);
}
