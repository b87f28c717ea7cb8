using System.Diagnostics;

namespace Glm.Cli;

/// <summary>The speed of the last seconds, from a count of bytes that is given now and then.</summary>
internal sealed class TransferRate
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(10), Step = TimeSpan.FromSeconds(0.5);

    private readonly Queue<(long Time, long Bytes)> _past = new();
    private long _last;

    /// <summary>Takes the count as it is now; 0 until there is something to compare it with.</summary>
    public double BytesPerSecond(long bytes)
    {
        long now = Stopwatch.GetTimestamp();
        if (_past.Count == 0 || Stopwatch.GetElapsedTime(_last, now) >= Step)
        {
            _past.Enqueue((now, bytes));
            _last = now;
        }
        while (_past.Count > 2 && Stopwatch.GetElapsedTime(_past.Peek().Time, now) > Window) _past.Dequeue();
        var (time, before) = _past.Peek();
        double seconds = Stopwatch.GetElapsedTime(time, now).TotalSeconds;
        return seconds >= Step.TotalSeconds ? Math.Max(0, bytes - before) / seconds : 0;
    }
}
