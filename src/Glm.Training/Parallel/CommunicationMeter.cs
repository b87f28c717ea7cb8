namespace Glm.Training;

/// <summary>What steps pay for having several ranks: the time that they hold up computation, waiting for slower ranks and empty pipelines included, and bytes.</summary>
internal sealed class CommunicationMeter(ParallelLayout layout, WeightShards shards)
{
    private double _seconds;
    private long _bytes;

    /// <summary>Since the last call: share of a step of so many seconds, the mean of all ranks, and bytes that all ranks have sent. Null for one process. Ranks call it together.</summary>
    public (double? Share, double? Bytes) OfStep(double stepSeconds)
    {
        if (layout.World.Size == 1) return (null, null);
        double seconds = (layout.World.Elapsed + layout.Tensors.Elapsed + layout.Pipeline.Elapsed + layout.Ends.Elapsed + shards.Elapsed).TotalSeconds;
        long bytes = layout.SentBytes;
        double[] sums = layout.World.Sum((seconds - _seconds) / stepSeconds, bytes - _bytes);
        (_seconds, _bytes) = (seconds, bytes);
        return (sums[0] / layout.World.Size, sums[1]);
    }
}
