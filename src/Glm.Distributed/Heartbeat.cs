namespace Glm.Distributed;

/// <summary>
/// Tells a rank that is stopped, lost or out of reach from one that computes for long: every rank sends a beat to the next one each second, from a thread of its
/// own, and listens to the one before. Who hears nothing for too long says so, once for the whole job.
/// </summary>
internal sealed class Heartbeat : IDisposable
{
    private const int Tag = int.MaxValue;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly MpiLink _link;
    private readonly TimeSpan _limit;
    private readonly Action<int> _lost;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _stop = new();

    /// <param name="link">The ranks.</param>
    /// <param name="limit">For how long a rank may be silent.</param>
    /// <param name="lost">Told which rank was silent for longer.</param>
    public Heartbeat(MpiLink link, TimeSpan limit, Action<int> lost)
    {
        _link = link;
        _limit = limit;
        _lost = lost;
        _thread = new Thread(Beat) { IsBackground = true, Name = "heartbeat", Priority = ThreadPriority.AboveNormal };
        _thread.Start();
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
    }

    private void Beat()
    {
        byte[] sent = GC.AllocateArray<byte>(1, pinned: true), heard = GC.AllocateArray<byte>(1, pinned: true);
        int next = (_link.Rank + 1) % _link.Size, previous = (_link.Rank + _link.Size - 1) % _link.Size;
        Message listening = _link.Receive(previous, Tag, heard, 0, 1), sending = _link.Send(next, Tag, sent, 0, 1);
        long now = Environment.TickCount64, last = now;
        while (!_stop.Wait(Interval))
        {
            long woke = Environment.TickCount64;
            // This process itself was stopped, or the machine slept: others must have the time to be heard again.
            if (woke - now > 3 * Interval.TotalMilliseconds) last = woke;
            now = woke;
            for (; _link.IsDone(listening); listening = _link.Receive(previous, Tag, heard, 0, 1)) last = now;
            if (_link.IsDone(sending)) sending = _link.Send(next, Tag, sent, 0, 1);
            if (now - last > _limit.TotalMilliseconds)
            {
                _lost(previous);
                return;
            }
        }
        _link.Cancel(listening);
    }
}
