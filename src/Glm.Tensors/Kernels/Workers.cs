using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Glm.Tensors;

/// <summary>The body of a parallel loop. A struct, so that a loop allocates nothing and its body is inlined.</summary>
internal interface ILoopBody
{
    /// <summary>Does one item. <paramref name="worker"/> lies in [0, threads) and no two threads of one loop share it.</summary>
    void Invoke(int item, int worker);
}

/// <summary>The body of a parallel loop over ranges, a struct as well.</summary>
internal interface IRangeBody
{
    /// <summary>Does [start, end). <paramref name="worker"/> is that of <see cref="ILoopBody"/>.</summary>
    void Invoke(long start, long end, int worker);
}

/// <summary>
/// A fixed pool of threads for loops that last microseconds. The calling thread takes part; the others spin briefly between
/// loops and then sleep. A loop ends when its items are done: a thread that the system did not schedule in time is not waited
/// for, so that crowded machines lose little. Every thread has a share of the items that lie together, since memory is read
/// faster in order, and the same one in each loop, which its caches may still hold; when it is done it helps the others.
/// Loops started inside a loop, or while another thread's loop runs, run on their calling thread alone. Nothing is allocated
/// per loop.
/// </summary>
public sealed unsafe class Workers : IDisposable
{
    private const int Closed = 1 << 30;
    private const int SpinRounds = 200; // of about 0.1 microseconds each

    private readonly Thread[] helpers;
    private readonly Lock scratchLock = new();
    private readonly Stack<Scratch> freeScratch = new();
    private readonly object wake = new();
    private readonly object done = new();

    // The loop that runs. Helpers read it only between entering (state + 1) and leaving (state - 1).
    private delegate*<void*, int, int, void> invoke;
    private void* body;
    private int items;
    private ExceptionDispatchInfo? error;
    private readonly PaddedCounter[] next; // of each thread's share of the items, the first that nobody has taken

    private PaddedCounter state; // number of helpers inside the loop, plus Closed when nobody may enter
    private PaddedCounter loop; // counts loops, so that a helper enters each one once
    private int sleeping;
    private int busy;
    private volatile bool stopped;

    /// <summary>Starts a pool of <paramref name="threads"/> threads, the calling one included.</summary>
    /// <exception cref="GlmException"><paramref name="threads"/> is not within 1 to 1024.</exception>
    public Workers(int threads)
    {
        if (threads is < 1 or > 1024) throw new GlmException($"threads: expected 1 to 1024, found {threads}");
        Threads = threads;
        next = new PaddedCounter[threads];
        state.Value = Closed;
        for (int i = 0; i <= threads; i++) freeScratch.Push(new Scratch()); // one per thread, and one that they share
        helpers = new Thread[threads - 1];
        for (int i = 0; i < helpers.Length; i++)
        {
            int worker = i + 1;
            helpers[i] = new Thread(() => Help(worker)) { IsBackground = true, Name = $"glm worker {worker}" };
            helpers[i].Start();
        }
    }

    /// <summary>A pool with as many threads as the process may use processors.</summary>
    public Workers() : this(Environment.ProcessorCount) { }

    /// <summary>How many threads take part in a loop, the calling one included.</summary>
    public int Threads { get; }

    /// <summary>
    /// Calls <paramref name="body"/>(item, worker) once for every item in [0, <paramref name="items"/>), in any order, in parallel.
    /// The first exception that a body throws ends the loop and is thrown here.
    /// </summary>
    public void For(int items, Action<int, int> body) => For(items, new ActionBody(body));

    /// <summary>
    /// Calls <paramref name="body"/>(start, end, worker) for contiguous parts of [0, <paramref name="length"/>), one per thread,
    /// none shorter than <paramref name="grain"/> unless it is the only one.
    /// </summary>
    public void Split(long length, long grain, Action<long, long, int> body) => Split(length, grain, new ActionRangeBody(body));

    /// <inheritdoc cref="Split(long, long, Action{long, long, int})"/>
    internal void Split<TBody>(long length, long grain, TBody body) where TBody : struct, IRangeBody
    {
        int parts = Parts(length, grain);
        For(parts, new PartBody<TBody>(length, parts, body));
    }

    /// <summary>Into how many parts <see cref="Split"/> cuts a length.</summary>
    internal int Parts(long length, long grain) => (int)Math.Min(Threads, Math.Max(1, length / Math.Max(1, grain)));

    /// <inheritdoc cref="For(int, Action{int, int})"/>
    internal void For<TBody>(int items, TBody body) where TBody : struct, ILoopBody, allows ref struct
    {
        if (items <= 1 || helpers.Length == 0 || Interlocked.CompareExchange(ref busy, 1, 0) != 0)
        {
            for (int item = 0; item < items; item++) body.Invoke(item, 0);
            return;
        }
        this.body = Unsafe.AsPointer(ref body); // a parameter lives on this stack, and we leave after the last helper has
        invoke = &InvokeBody<TBody>;
        this.items = items;
        for (int share = 0; share < Threads; share++) next[share].Value = FirstOf(share);
        Volatile.Write(ref state.Value, 0);
        Interlocked.Increment(ref loop.Value);
        if (Volatile.Read(ref sleeping) > 0)
            lock (wake) Monitor.PulseAll(wake);

        TakeItems(0);
        Interlocked.Or(ref state.Value, Closed);
        WaitForHelpers();

        ExceptionDispatchInfo? thrown = error;
        error = null;
        Volatile.Write(ref busy, 0);
        thrown?.Throw();
    }

    /// <summary>Lends scratch memory until <see cref="Return"/>; in steady state nothing is allocated.</summary>
    internal Scratch Rent()
    {
        lock (scratchLock)
            if (freeScratch.TryPop(out Scratch? scratch)) return scratch;
        return new Scratch();
    }

    /// <summary>Gives back what <see cref="Rent"/> lent.</summary>
    internal void Return(Scratch scratch)
    {
        lock (scratchLock) freeScratch.Push(scratch);
    }

    /// <summary>Ends the threads and frees the scratch memory. No loop may be running.</summary>
    public void Dispose()
    {
        stopped = true;
        lock (wake) Monitor.PulseAll(wake);
        foreach (Thread helper in helpers) helper.Join();
        while (freeScratch.TryPop(out Scratch? scratch)) scratch.Dispose();
    }

    private static void InvokeBody<TBody>(void* body, int item, int worker) where TBody : struct, ILoopBody, allows ref struct =>
        Unsafe.AsRef<TBody>(body).Invoke(item, worker);

    private void TakeItems(int worker)
    {
        try
        {
            for (int turn = 0; turn < Threads; turn++) TakeItems(worker, worker + turn < Threads ? worker + turn : worker + turn - Threads);
        }
        catch (Exception exception)
        {
            Interlocked.CompareExchange(ref error, ExceptionDispatchInfo.Capture(exception), null);
            for (int share = 0; share < Threads; share++) Interlocked.Exchange(ref next[share].Value, items); // nobody takes more
        }
    }

    /// <summary>Takes items of a share in order, until none is left.</summary>
    private void TakeItems(int worker, int share)
    {
        int end = FirstOf(share + 1);
        ref int first = ref next[share].Value;
        while (Volatile.Read(ref first) < end && Interlocked.Increment(ref first) - 1 is var item && item < end) invoke(body, item, worker);
    }

    private int FirstOf(int share) => (int)((long)items * share / Threads);

    private void Help(int worker)
    {
        for (int seen = 0; ;)
        {
            seen = WaitForLoop(seen);
            if (stopped) return;
            if (!TryEnter()) continue;
            TakeItems(worker);
            if (Interlocked.Decrement(ref state.Value) == Closed)
                lock (done) Monitor.Pulse(done);
        }
    }

    private bool TryEnter()
    {
        while (true)
        {
            int entered = Volatile.Read(ref state.Value);
            if ((entered & Closed) != 0) return false;
            if (Interlocked.CompareExchange(ref state.Value, entered + 1, entered) == entered) return true;
        }
    }

    private int WaitForLoop(int seen)
    {
        for (int round = 0; round < SpinRounds; round++)
        {
            int now = Volatile.Read(ref loop.Value);
            if (now != seen || stopped) return now;
            Thread.SpinWait(8);
        }
        lock (wake)
        {
            Interlocked.Increment(ref sleeping);
            while (Volatile.Read(ref loop.Value) == seen && !stopped) Monitor.Wait(wake);
            Interlocked.Decrement(ref sleeping);
            return loop.Value;
        }
    }

    private void WaitForHelpers()
    {
        for (int round = 0; round < SpinRounds; round++)
        {
            if (Volatile.Read(ref state.Value) == Closed) return;
            Thread.SpinWait(8);
        }
        lock (done)
            while (Volatile.Read(ref state.Value) != Closed) Monitor.Wait(done);
    }

    private readonly struct ActionBody(Action<int, int> action) : ILoopBody
    {
        public void Invoke(int item, int worker) => action(item, worker);
    }

    private readonly struct ActionRangeBody(Action<long, long, int> action) : IRangeBody
    {
        public void Invoke(long start, long end, int worker) => action(start, end, worker);
    }

    private readonly struct PartBody<TBody>(long length, int parts, TBody body) : ILoopBody where TBody : struct, IRangeBody
    {
        public void Invoke(int item, int worker) => body.Invoke(length * item / parts, length * (item + 1) / parts, worker);
    }

    /// <summary>A counter that shares its cache line with nothing else.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 192)]
    private struct PaddedCounter
    {
        [FieldOffset(64)] public int Value;
    }
}
