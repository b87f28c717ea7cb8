using Glm.Tensors;

namespace Glm.Tests;

public sealed class KernelsWorkersTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void EveryItemRunsOnceAndWorkersDoNotMeet(int threads)
    {
        using var workers = new Workers(threads);
        Assert.Equal(threads, workers.Threads);
        for (int round = 0; round < 2000; round++)
        {
            int items = round % 40;
            var done = new int[items];
            var inside = new int[threads];
            int meetings = 0;
            workers.For(items, (item, worker) =>
            {
                if (Interlocked.Increment(ref inside[worker]) != 1) Interlocked.Increment(ref meetings);
                Interlocked.Increment(ref done[item]);
                Interlocked.Decrement(ref inside[worker]);
            });
            Assert.All(done, count => Assert.Equal(1, count));
            Assert.Equal(0, meetings);
        }
    }

    [Fact]
    public void SplittingCoversTheLengthOnce()
    {
        using var workers = new Workers(3);
        foreach (long length in new long[] { 0, 1, 2, 10, 1000 })
        {
            var done = new int[length];
            int parts = 0;
            workers.Split(length, 4, (start, end, _) =>
            {
                Interlocked.Increment(ref parts);
                for (long i = start; i < end; i++) Interlocked.Increment(ref done[i]);
            });
            Assert.All(done, count => Assert.Equal(1, count));
            Assert.InRange(parts, 1, 3);
        }
    }

    [Fact]
    public void AnExceptionReachesTheCallerAndThePoolGoesOn()
    {
        using var workers = new Workers(4);
        for (int round = 0; round < 100; round++)
        {
            var error = Assert.Throws<InvalidOperationException>(() => workers.For(100, (item, _) =>
            {
                if (item == 37) throw new InvalidOperationException("37");
            }));
            Assert.Equal("37", error.Message);
            int sum = 0;
            workers.For(10, (item, _) => Interlocked.Add(ref sum, item));
            Assert.Equal(45, sum);
        }
    }

    [Fact]
    public void LoopsInsideLoopsAndFromOtherThreadsAreComplete()
    {
        using var workers = new Workers(4);
        int sum = 0;
        Parallel.For(0, 8, _ => workers.For(20, (_, _) => workers.For(10, (item, _) => Interlocked.Add(ref sum, item))));
        Assert.Equal(8 * 20 * 45, sum);
    }

    [Fact]
    public void LoopsOfStructsAllocateNothing()
    {
        using var workers = new Workers(3);
        var counts = new int[64];
        var body = new Counter(counts);
        workers.Split(64, 4, body);
        for (int i = 0; i < 199; i++) workers.For(64, body);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 200; i++)
        {
            workers.For(64, body);
            workers.Split(64, 4, body);
        }
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.All(counts, count => Assert.Equal(600, count));
    }

    [Fact]
    public void ImpossibleNumbersOfThreadsAreRefused()
    {
        Assert.Throws<GlmException>(() => new Workers(0));
        Assert.Throws<GlmException>(() => new Workers(5000));
    }

    [Fact]
    public void TheInstructionSetCanBeNamedAndUnknownOnesAreRefused()
    {
        Assert.Equal(Isa.Available[^1], Isa.Choose(null));
        foreach (InstructionSet isa in Isa.Available) Assert.Equal(isa, Isa.Choose(Isa.Name(isa)));
        string message = Assert.Throws<GlmException>(() => Isa.Choose("mmx")).Message;
        Assert.Contains("portable", message, StringComparison.Ordinal);
        Assert.Contains("mmx", message, StringComparison.Ordinal);
    }

    private readonly struct Counter(int[] counts) : ILoopBody, IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            for (long i = start; i < end; i++) Interlocked.Increment(ref counts[i]);
        }

        public void Invoke(int item, int worker) => Interlocked.Increment(ref counts[item]);
    }
}
