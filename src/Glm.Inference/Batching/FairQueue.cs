namespace Glm.Inference;

/// <summary>
/// Requests that wait. Those of higher priority go first; among equals clients take turns by the tokens they ask for (start-time fair queueing), so that one with
/// many or long requests does not keep others waiting; each client's own stay in order.
/// </summary>
internal sealed class FairQueue
{
    private const int RememberedClients = 1024;

    private readonly SortedSet<BatchEntry> _entries = new(Comparer<BatchEntry>.Create((a, b) => a.Turn.CompareTo(b.Turn)));
    private readonly Dictionary<string, double> _served = [];
    private double _now;
    private long _arrivals;

    /// <summary>Number of requests.</summary>
    public int Count => _entries.Count;

    /// <summary>The requests, the next one first.</summary>
    public IEnumerable<BatchEntry> InOrder => _entries;

    /// <summary>Adds a request, and gives it its turn.</summary>
    /// <param name="entry">The request.</param>
    /// <param name="cost">Tokens that it may take.</param>
    public void Add(BatchEntry entry, double cost)
    {
        string client = entry.Request.Client;
        double start = Math.Max(_now, _served.GetValueOrDefault(client));
        if (_served.Count >= RememberedClients)
            foreach (string idle in _served.Where(s => s.Value <= _now).Select(s => s.Key).ToArray()) _served.Remove(idle);
        _served[client] = start + cost;
        entry.Turn = new Turn(-entry.Request.Priority, start, _arrivals++);
        _entries.Add(entry);
    }

    /// <summary>Adds a request again that had to make room, at its old place.</summary>
    public void Return(BatchEntry entry) => _entries.Add(entry);

    /// <summary>Takes a request out; time goes on to its turn.</summary>
    public void Remove(BatchEntry entry)
    {
        if (_entries.Remove(entry)) _now = Math.Max(_now, entry.Turn.Start);
    }

    /// <summary>When a request is served: by priority, then virtual time, then arrival.</summary>
    internal readonly record struct Turn(int Rank, double Start, long Arrival) : IComparable<Turn>
    {
        public int CompareTo(Turn other) =>
            Rank != other.Rank ? Rank.CompareTo(other.Rank) : Start != other.Start ? Start.CompareTo(other.Start) : Arrival.CompareTo(other.Arrival);
    }
}
