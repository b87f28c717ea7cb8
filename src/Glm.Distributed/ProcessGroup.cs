using System.Diagnostics;
using System.Runtime.InteropServices;
using Glm.Tensors;

namespace Glm.Distributed;

/// <summary>
/// Ranks that compute together. Every member calls the same collectives in the same order, from one thread at a time; different groups may be used at the same
/// time. Sums run in the order of ranks, so they have the same bits on every rank and in every run.
/// </summary>
/// <remarks>
/// Tensors are copied to pinned host memory and back, some megabytes at a time, so that memory of another device can stand behind them. A group of one does nothing.
/// </remarks>
public sealed class ProcessGroup
{
    /// <summary>Bytes that travel between two ranks at a time.</summary>
    private const int PieceBytes = 1 << 20;

    /// <summary>Below this, everybody sends everything to everybody: one round instead of two.</summary>
    private const int SmallBytes = 16 << 10;

    private readonly Link? _link;
    private readonly int[] _members; // ranks of the job
    private readonly int _tag;
    private readonly List<Message> _messages = [];
    private readonly Queue<(Message Message, byte[] Buffer)> _outgoing = new();
    private readonly Stack<byte[]> _free = new();
    private byte[] _sending = [], _receiving = [];
    private long _ticks;

    private ProcessGroup(Link? link, int[] members, int tag)
    {
        _link = link;
        _members = members;
        _tag = tag;
        Rank = link is null ? 0 : Array.IndexOf(members, link.Rank);
    }

    /// <summary>A group of this process alone.</summary>
    public static ProcessGroup Alone => new(null, [0], 0);

    /// <summary>This process among the members, from 0.</summary>
    public int Rank { get; }

    /// <summary>Number of members.</summary>
    public int Size => _members.Length;

    /// <summary>Time that this process has spent in this group's messages: copies, sums, and waiting for the others.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(0, _ticks);

    /// <summary>Bytes that this process has sent in this group.</summary>
    public long SentBytes { get; private set; }

    /// <summary>All ranks of a job.</summary>
    internal static ProcessGroup World(Link link) => new(link, [.. Enumerable.Range(0, link.Size)], 0);

    /// <summary>The group of all members that give the same colour, in the order of their ranks here.</summary>
    public ProcessGroup Split(int colour)
    {
        if (_link is null) return Alone;
        // Two groups that share two ranks must not share a tag. A tag that is new to every member here is new to every pair.
        int[] told = MemoryMarshal.Cast<byte, int>(AllGather(MemoryMarshal.AsBytes<int>([colour, _link.NextTag])).SelectMany(bytes => bytes).ToArray()).ToArray();
        int tag = Enumerable.Range(0, Size).Max(member => told[2 * member + 1]);
        _link.NextTag = tag + 1;
        return new ProcessGroup(_link, [.. Enumerable.Range(0, Size).Where(member => told[2 * member] == colour).Select(member => _members[member])], tag);
    }

    /// <summary>Returns when every member has called it.</summary>
    public void Barrier() => AllGather([]);

    /// <summary>Every member's tensor becomes the sum, or the largest, of all.</summary>
    public void AllReduce(Tensor tensor, Reduction reduction = Reduction.Sum) => AllReduce(new TensorLine(tensor), reduction);

    /// <inheritdoc cref="AllReduce(Tensor, Reduction)"/>
    public void AllReduce(TensorLine line, Reduction reduction = Reduction.Sum)
    {
        if (Size == 1) return;
        if (line.Count * line.Width <= SmallBytes)
        {
            AllReduceSmall(line, reduction);
            return;
        }
        ReduceScatter(line, reduction);
        AllGather(line);
    }

    /// <summary>The sums of the members' numbers.</summary>
    public double[] Sum(params ReadOnlySpan<double> values)
    {
        double[] sums = new double[values.Length];
        foreach (byte[] bytes in AllGather(MemoryMarshal.AsBytes(values)))
            for (int i = 0; i < sums.Length; i++) sums[i] += MemoryMarshal.Cast<byte, double>(bytes)[i];
        return sums;
    }

    /// <summary>In every member's share of a line (<see cref="TensorLine.Share"/>), the sum of all members' elements; the rest stays as it is.</summary>
    public void ReduceScatter(TensorLine line, Reduction reduction = Reduction.Sum)
    {
        if (Size == 1) return;
        var sum = new RankSum(line.Type, reduction);
        ForPieces(line, step =>
        {
            var (mine, length) = step(Rank);
            for (int peer = 0; peer < Size; peer++)
            {
                if (peer == Rank) continue;
                Receive(peer, Slot(peer), length * line.Width);
                var (start, count) = step(peer);
                line.CopyTo(_sending.AsSpan(Slot(peer), count * line.Width), start);
                Send(peer, Slot(peer), count * line.Width);
            }
            line.CopyTo(_receiving.AsSpan(Slot(Rank), length * line.Width), mine);
            Wait();
            int bytes = length * line.Width;
            sum.Reduce(_sending.AsSpan(0, bytes), Size, i => _receiving.AsSpan(Slot(i), bytes));
            line.CopyFrom(_sending.AsSpan(0, bytes), mine);
        });
    }

    /// <summary>Every member gets the share of every other one.</summary>
    public void AllGather(TensorLine line)
    {
        if (Size == 1) return;
        ForPieces(line, step =>
        {
            var (mine, length) = step(Rank);
            line.CopyTo(_sending.AsSpan(0, length * line.Width), mine);
            for (int peer = 0; peer < Size; peer++)
            {
                if (peer == Rank) continue;
                Receive(peer, Slot(peer), step(peer).Count * line.Width);
                Send(peer, 0, length * line.Width);
            }
            Wait();
            for (int peer = 0; peer < Size; peer++)
            {
                var (start, count) = step(peer);
                if (peer != Rank) line.CopyFrom(_receiving.AsSpan(Slot(peer), count * line.Width), start);
            }
        });
    }

    /// <summary>Every member's bytes, of any length, in the order of ranks.</summary>
    public byte[][] AllGather(ReadOnlySpan<byte> mine)
    {
        byte[][] all = new byte[Size][];
        all[Rank] = mine.ToArray();
        if (Size == 1) return all;
        int[] lengths = [.. Exchanged(BitConverter.GetBytes(mine.Length), Enumerable.Repeat(4, Size)).Select(bytes => BitConverter.ToInt32(bytes))];
        return lengths.All(length => length == 0) ? all.Select(_ => Array.Empty<byte>()).ToArray() : Exchanged(all[Rank], lengths);
    }

    /// <summary>Every member gets the tensor of <paramref name="root"/>.</summary>
    public void Broadcast(Tensor tensor, int root)
    {
        if (Size == 1) return;
        if (Rank != root) Receive(tensor, root);
        else
        {
            for (int peer = 0; peer < Size; peer++)
                if (peer != root) Send(tensor, peer);
            Flush();
        }
    }

    /// <summary>Every member gets the bytes of <paramref name="root"/>.</summary>
    public byte[] Broadcast(ReadOnlySpan<byte> bytes, int root) => AllGather(Rank == root ? bytes : [])[root];

    /// <summary>Sends a tensor, which may be changed when this returns; it need not have arrived.</summary>
    public void Send(Tensor tensor, int peer)
    {
        long began = Stopwatch.GetTimestamp();
        while (_outgoing.TryPeek(out var oldest) && _link!.IsDone(oldest.Message)) _free.Push(_outgoing.Dequeue().Buffer);
        for (long start = 0; start < tensor.Bytes; start += PieceBytes)
        {
            int count = (int)Math.Min(PieceBytes, tensor.Bytes - start);
            byte[] buffer = _free.TryPop(out byte[]? free) ? free : Pinned(PieceBytes);
            tensor.CopyBytesTo(buffer.AsSpan(0, count), start);
            _outgoing.Enqueue((_link!.Send(_members[peer], _tag, buffer, 0, count), buffer));
            SentBytes += count;
        }
        _ticks += Stopwatch.GetTimestamp() - began;
    }

    /// <summary>Receives a tensor of the type and shape that the peer sends.</summary>
    public void Receive(Tensor tensor, int peer)
    {
        long began = Stopwatch.GetTimestamp();
        for (long start = 0; start < tensor.Bytes; start += PieceBytes)
        {
            int count = (int)Math.Min(PieceBytes, tensor.Bytes - start);
            Grow(ref _receiving, count);
            Receive(peer, 0, count);
            Wait();
            tensor.CopyBytesFrom(_receiving.AsSpan(0, count), start);
        }
        _ticks += Stopwatch.GetTimestamp() - began;
    }

    /// <summary>Returns when everything that was sent has left this process.</summary>
    public void Flush()
    {
        long began = Stopwatch.GetTimestamp();
        for (; _outgoing.TryDequeue(out var sent); _free.Push(sent.Buffer)) _link!.Wait(sent.Message);
        _ticks += Stopwatch.GetTimestamp() - began;
    }

    private void AllReduceSmall(TensorLine line, Reduction reduction)
    {
        long began = Stopwatch.GetTimestamp();
        int bytes = (int)line.Count * line.Width;
        Grow(ref _sending, bytes);
        Grow(ref _receiving, Size * bytes);
        line.CopyTo(_sending.AsSpan(0, bytes), 0);
        _sending.AsSpan(0, bytes).CopyTo(_receiving.AsSpan(Rank * bytes));
        for (int peer = 0; peer < Size; peer++)
        {
            if (peer == Rank) continue;
            Receive(peer, peer * bytes, bytes);
            Send(peer, 0, bytes);
        }
        Wait();
        new RankSum(line.Type, reduction).Reduce(_sending.AsSpan(0, bytes), Size, i => _receiving.AsSpan(i * bytes, bytes));
        line.CopyFrom(_sending.AsSpan(0, bytes), 0);
        _ticks += Stopwatch.GetTimestamp() - began;
    }

    /// <summary>Sends the same bytes to everybody and returns everybody's, whose lengths are known.</summary>
    private byte[][] Exchanged(byte[] mine, IEnumerable<int> lengths)
    {
        long began = Stopwatch.GetTimestamp();
        int[] starts = new int[Size + 1];
        foreach (var (peer, length) in lengths.Index()) starts[peer + 1] = checked(starts[peer] + length);
        Grow(ref _sending, mine.Length);
        Grow(ref _receiving, starts[^1]);
        mine.CopyTo(_sending, 0);
        for (int peer = 0; peer < Size; peer++)
        {
            if (peer == Rank) continue;
            Receive(peer, starts[peer], starts[peer + 1] - starts[peer]);
            Send(peer, 0, mine.Length);
        }
        Wait();
        _ticks += Stopwatch.GetTimestamp() - began;
        return [.. Enumerable.Range(0, Size).Select(peer => peer == Rank ? mine : _receiving[starts[peer]..starts[peer + 1]])];
    }

    /// <summary>Goes through all shares of a line at the same time, a piece of each after the other; the step is told which piece of a rank's share is its turn.</summary>
    private void ForPieces(TensorLine line, Action<Func<int, (long Start, int Count)>> step)
    {
        long began = Stopwatch.GetTimestamp();
        Grow(ref _sending, Size * PieceBytes);
        Grow(ref _receiving, Size * PieceBytes);
        int most = PieceBytes / line.Width;
        long longest = (line.Count + Size - 1) / Size;
        for (long done = 0; done < longest; done += most)
            step(rank =>
            {
                var (start, end) = line.Share(rank, Size);
                return (start + done, (int)Math.Clamp(end - start - done, 0, most));
            });
        _ticks += Stopwatch.GetTimestamp() - began;
    }

    private static int Slot(int rank) => rank * PieceBytes;

    private void Send(int peer, int start, int count)
    {
        if (count == 0) return;
        _messages.Add(_link!.Send(_members[peer], _tag, _sending, start, count));
        SentBytes += count;
    }

    private void Receive(int peer, int start, int count)
    {
        if (count > 0) _messages.Add(_link!.Receive(_members[peer], _tag, _receiving, start, count));
    }

    private void Wait()
    {
        foreach (var message in _messages) _link!.Wait(message);
        _messages.Clear();
    }

    private static void Grow(ref byte[] buffer, int bytes)
    {
        if (buffer.Length < bytes) buffer = Pinned(bytes);
    }

    private static byte[] Pinned(int bytes) => GC.AllocateUninitializedArray<byte>(bytes, pinned: true);
}
