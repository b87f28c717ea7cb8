using System.Runtime.ExceptionServices;

namespace Glm.Distributed;

/// <summary>A job whose ranks are threads of this process.</summary>
public static class InProcessJob
{
    /// <summary>Runs <paramref name="body"/> once for every rank, each on a thread of its own, with a group of all of them.</summary>
    /// <exception cref="GlmException">A rank threw; the others were ended where they waited for it.</exception>
    public static void Run(int ranks, Action<ProcessGroup> body)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(ranks);
        var network = new Network(ranks);
        Thread[] threads = [.. Enumerable.Range(0, ranks).Select(rank => new Thread(() => RunRank(network, rank, body)) { Name = $"rank {rank}", IsBackground = true })];
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        network.Failure?.Throw();
    }

    private static void RunRank(Network network, int rank, Action<ProcessGroup> body)
    {
        try
        {
            body(ProcessGroup.World(new InProcessLink(network, rank)));
        }
        catch (Exception error)
        {
            network.Break(rank, error);
        }
    }

    /// <summary>What the ranks share: messages that were sent and not yet received.</summary>
    private sealed class Network(int size)
    {
        private readonly Dictionary<(int From, int To, int Tag), Queue<byte[]>> _sent = [];
        private string? _broken;

        public int Size => size;

        /// <summary>What the first rank that failed threw.</summary>
        public ExceptionDispatchInfo? Failure { get; private set; }

        public void Break(int rank, Exception error)
        {
            lock (_sent)
            {
                Failure ??= ExceptionDispatchInfo.Capture(error);
                _broken ??= $"rank {rank} ended: {error.Message}";
                Monitor.PulseAll(_sent);
            }
        }

        public void Put(int from, int to, int tag, byte[] content)
        {
            lock (_sent)
            {
                if (!_sent.TryGetValue((from, to, tag), out var queue)) _sent[(from, to, tag)] = queue = new Queue<byte[]>();
                queue.Enqueue(content);
                Monitor.PulseAll(_sent);
            }
        }

        public byte[] Take(int from, int to, int tag)
        {
            lock (_sent)
            {
                while (true)
                {
                    if (_broken is { } reason) throw new GlmException(reason);
                    if (_sent.TryGetValue((from, to, tag), out var queue) && queue.TryDequeue(out byte[]? content)) return content;
                    Monitor.Wait(_sent);
                }
            }
        }
    }

    private sealed class InProcessLink(Network network, int rank) : Link
    {
        private static readonly Sent Left = new();

        public override int Rank => rank;

        public override int Size => network.Size;

        public override Message Send(int peer, int tag, byte[] buffer, int start, int count)
        {
            network.Put(rank, peer, tag, buffer.AsSpan(start, count).ToArray());
            return Left;
        }

        public override Message Receive(int peer, int tag, byte[] buffer, int start, int count) => new Awaited(peer, tag, buffer, start, count);

        public override bool IsDone(Message message) => message is Sent;

        public override void Wait(Message message)
        {
            if (message is not Awaited awaited) return;
            byte[] content = network.Take(awaited.Peer, rank, awaited.Tag);
            if (content.Length != awaited.Count) throw new InvalidOperationException($"rank {awaited.Peer} sent {content.Length} bytes, {awaited.Count} were expected");
            content.CopyTo(awaited.Buffer, awaited.Start);
        }
    }

    private sealed class Sent : Message;

    private sealed class Awaited(int peer, int tag, byte[] buffer, int start, int count) : Message
    {
        public int Peer => peer;

        public int Tag => tag;

        public byte[] Buffer => buffer;

        public int Start => start;

        public int Count => count;
    }
}
