using System.Text.Json.Serialization;

namespace Glm.Training;

/// <summary>In which order a pipeline's stages work.</summary>
public enum PipelineOrder
{
    /// <summary>PipeDream-Flush: as soon as the first micro-batch comes back, forward and backward passes alternate, so a stage holds at most as many micro-batches as stages follow it, itself included.</summary>
    [JsonStringEnumMemberName("1f1b")]
    OneForwardOneBackward,

    /// <summary>GPipe: all forward passes, then all backward passes; a stage holds every micro-batch of the step.</summary>
    [JsonStringEnumMemberName("gpipe")]
    GPipe,
}

/// <summary>What a stage of a pipeline does in a step. Micro-batches go forward, and come back, in their order; either way a step has a bubble of (stages - 1) passes of both kinds (spec 4.3).</summary>
public static class PipelineSchedule
{
    /// <summary>The passes of a stage, one after the other: whether each is a forward pass.</summary>
    /// <param name="order">The kind of schedule.</param>
    /// <param name="stage">The stage, from 0.</param>
    /// <param name="stages">Number of stages.</param>
    /// <param name="microBatches">Micro-batches of the step.</param>
    public static IEnumerable<bool> Of(PipelineOrder order, int stage, int stages, int microBatches)
    {
        int ahead = Math.Min(microBatches, order == PipelineOrder.GPipe ? microBatches : stages - stage - 1);
        for (int i = 0; i < ahead; i++) yield return true;
        for (int i = ahead; i < microBatches; i++)
        {
            yield return true;
            yield return false;
        }
        for (int i = 0; i < ahead; i++) yield return false;
    }

    /// <summary>The most micro-batches whose forward pass a stage has done and whose backward pass it has not.</summary>
    public static int InFlight(PipelineOrder order, int stage, int stages, int microBatches) => order == PipelineOrder.GPipe ? microBatches : Math.Min(stages - stage, microBatches);
}
