namespace Glm.Evaluation;

/// <summary>When requests may go: at most so many a minute, evenly, and none before the time that the endpoint named.</summary>
/// <param name="perMinute">Most requests a minute; null for no such limit.</param>
internal sealed class RequestPace(double? perMinute)
{
    private readonly Lock _lock = new();
    private readonly TimeSpan _gap = perMinute is { } rate ? TimeSpan.FromMinutes(1 / rate) : TimeSpan.Zero;
    private DateTime _next = DateTime.MinValue;

    /// <summary>Waits for a request's turn.</summary>
    public async Task TakeTurnAsync(CancellationToken cancellation)
    {
        TimeSpan wait;
        lock (_lock)
        {
            var now = DateTime.UtcNow;
            var turn = _next > now ? _next : now;
            _next = turn + _gap;
            wait = turn - now;
        }
        if (wait > TimeSpan.Zero) await Task.Delay(wait, cancellation).ConfigureAwait(false);
    }

    /// <summary>Nobody's turn comes before this time is over.</summary>
    public void Pause(TimeSpan time)
    {
        lock (_lock)
        {
            var until = DateTime.UtcNow + time;
            if (until > _next) _next = until;
        }
    }
}
