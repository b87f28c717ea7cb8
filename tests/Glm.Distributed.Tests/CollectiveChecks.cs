using Glm.Tensors;

namespace Glm.Distributed.Tests;

/// <summary>Every collective against what it should give, on whatever link; sizes around those of pieces, and odd ones.</summary>
internal static class CollectiveChecks
{
    private static readonly int[] Sizes = [0, 1, 7, 4099, (1 << 18) + 5, (1 << 19) + 1];

    public static void Run(ProcessGroup group)
    {
        foreach (int size in Sizes)
        {
            AllReduces(group, size);
            Shares(group, size);
            Broadcasts(group, size);
            Ring(group, size);
        }
        Bytes(group);
        Splits(group);
        Lines(group);
    }

    private static void AllReduces(ProcessGroup group, int size)
    {
        var x = Random(group.Rank, size);
        group.AllReduce(x);
        Equal(Reduced(group.Size, size, (a, b) => a + b), x.ToArray());

        x = Random(group.Rank, size);
        group.AllReduce(x, Reduction.Max);
        Equal(Reduced(group.Size, size, Math.Max), x.ToArray());

        x = Random(group.Rank, size).To(DType.BFloat16);
        group.AllReduce(x);
        float[] sum = new float[size];
        for (int rank = 0; rank < group.Size; rank++) sum = [.. sum.Zip(Random(rank, size).To(DType.BFloat16).ToArray(), (a, b) => rank == 0 ? b : a + b)];
        Equal(Tensor.From(sum, size).To(DType.BFloat16).ToArray(), x.ToArray());

        var whole = Tensor.Zeros(DType.Int32, size);
        byte[] ones = [.. Enumerable.Range(0, size).SelectMany(i => BitConverter.GetBytes(i + group.Rank))];
        whole.CopyBytesFrom(ones);
        group.AllReduce(whole);
        whole.CopyBytesTo(ones);
        for (int i = 0; i < size; i++) Equal((i * group.Size) + (group.Size * (group.Size - 1) / 2), BitConverter.ToInt32(ones, 4 * i));
    }

    private static void Shares(ProcessGroup group, int size)
    {
        var x = Random(group.Rank, size);
        var line = new TensorLine(x);
        group.ReduceScatter(line);
        float[] expected = Reduced(group.Size, size, (a, b) => a + b), mine = Random(group.Rank, size).ToArray();
        var (start, end) = line.Share(group.Rank, group.Size);
        for (int i = 0; i < size; i++)
            if (i < start || i >= end) expected[i] = mine[i];
        Equal(expected, x.ToArray());
        group.AllGather(line);
        Equal(Reduced(group.Size, size, (a, b) => a + b), x.ToArray());
    }

    private static void Broadcasts(ProcessGroup group, int size)
    {
        for (int root = 0; root < group.Size; root++)
        {
            var x = Random(group.Rank, size);
            group.Broadcast(x, root);
            Equal(Random(root, size).ToArray(), x.ToArray());
        }
    }

    /// <summary>Everybody sends two tensors to the next rank and receives two from the one before: nobody may wait for somebody's receive.</summary>
    private static void Ring(ProcessGroup group, int size)
    {
        if (group.Size == 1) return;
        int next = (group.Rank + 1) % group.Size, previous = (group.Rank + group.Size - 1) % group.Size;
        var x = Random(group.Rank, size);
        group.Send(x, next);
        x.Clear();
        group.Send(x, next);
        group.Receive(x, previous);
        Equal(Random(previous, size).ToArray(), x.ToArray());
        group.Receive(x, previous);
        Equal(new float[size], x.ToArray());
        group.Flush();
    }

    private static void Bytes(ProcessGroup group)
    {
        byte[][] all = group.AllGather([.. Enumerable.Range(0, group.Rank * 3).Select(i => (byte)(i + group.Rank))]);
        for (int rank = 0; rank < group.Size; rank++) Equal(Enumerable.Range(0, rank * 3).Select(i => (byte)(i + rank)).ToArray(), all[rank]);
        Equal([group.Size * (group.Size - 1) / 2.0, group.Size], group.Sum(group.Rank, 1));
        Equal([7], group.Broadcast([(byte)(7 + group.Rank)], 0));
    }

    /// <summary>Groups of groups, used at the same time from two threads.</summary>
    private static void Splits(ProcessGroup group)
    {
        ProcessGroup parity = group.Split(group.Rank % 2), half = group.Split(group.Rank / 2), single = parity.Split(parity.Rank), again = group.Split(0);
        Equal(1, single.Size);
        Equal(group.Size, again.Size);
        Equal(group.Rank / 2, parity.Rank);
        var other = Task.Run(() => Repeat(half, group.Rank % 2));
        Repeat(parity, group.Rank / 2);
        other.GetAwaiter().GetResult();

        static void Repeat(ProcessGroup part, int rank)
        {
            Equal(rank, part.Rank);
            for (int i = 0; i < 20; i++) AllReduces(part, 5000 + i);
        }
    }

    private static void Lines(ProcessGroup group)
    {
        Tensor[] tensors = [Random(group.Rank, 3), Random(group.Rank, 0), Random(group.Rank, 10_001), Random(group.Rank, 5)];
        var line = new TensorLine(tensors);
        group.AllReduce(line);
        foreach (var tensor in tensors) Equal(Reduced(group.Size, (int)tensor.Count, (a, b) => a + b), tensor.ToArray());
        for (int i = 0; i < tensors.Length; i++)
            Equal(tensors[i].Count, Enumerable.Range(0, group.Size).Sum(rank => line.ShareOf(i, rank, group.Size).Count));
    }

    private static Tensor Random(int rank, int size)
    {
        var random = new CounterRandom(5, (ulong)((rank << 20) + size));
        return Tensor.From([.. Enumerable.Range(0, size).Select(_ => (float)random.NextDouble() - 0.5f)], size);
    }

    /// <summary>The reduction in the order of ranks, so that sums must agree bit for bit.</summary>
    private static float[] Reduced(int ranks, int size, Func<float, float, float> combine) =>
        Enumerable.Range(0, ranks).Select(rank => Random(rank, size).ToArray()).Aggregate((sum, next) => [.. sum.Zip(next, combine)]);

    private static void Equal<T>(T[] expected, T[] actual) => Assert.True(expected.AsSpan().SequenceEqual(actual));

    private static void Equal<T>(T expected, T actual) => Assert.Equal(expected, actual);
}
