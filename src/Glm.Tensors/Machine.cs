using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>The ceilings of the machine that runs, measured: what its multipliers and its memory can do at best.</summary>
public static unsafe class Machine
{
    private const double Seconds = 0.3;

    /// <summary>10^9 binary32 operations per second of fused multiply-adds in registers, all threads together: the most a program could compute.</summary>
    public static double FmaPeak(Workers workers) => FmaPeak(workers, Isa.Current);

    /// <summary>The same with the instructions of one set.</summary>
    public static double FmaPeak(Workers workers, InstructionSet isa) => SumOverThreads(workers, () => isa switch
    {
        InstructionSet.Avx512 => Multiply<Vector512<float>, Lanes512>(),
        InstructionSet.Avx2 => Multiply<Vector256<float>, Lanes256>(),
        _ => Multiply<Vector128<float>, Lanes128>(),
    });

    /// <summary>10^9 bytes per second read from memory, all threads together.</summary>
    internal static double ReadBandwidth(Workers workers, float* data, long floats, InstructionSet isa)
    {
        int threads = workers.Threads;
        int taken = 0;
        return SumOverThreads(workers, () =>
        {
            nint part = (nint)(floats / threads) & ~255;
            float* start = data + part * (Interlocked.Increment(ref taken) % threads);
            return isa switch
            {
                InstructionSet.Avx512 => Read<Vector512<float>, Lanes512>(start, part),
                InstructionSet.Avx2 => Read<Vector256<float>, Lanes256>(start, part),
                _ => Read<Vector128<float>, Lanes128>(start, part),
            };
        });
    }

    /// <summary>Lets every thread do pieces of work for a while; the sum of the work done per nanosecond.</summary>
    private static double SumOverThreads(Workers workers, Func<double> work)
    {
        var rates = new double[workers.Threads];
        using var all = new Barrier(workers.Threads);
        workers.For(workers.Threads, (item, _) =>
        {
            all.SignalAndWait();
            long start = Stopwatch.GetTimestamp();
            double done = 0, seconds;
            do
            {
                done += work();
                seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
            while (seconds < Seconds);
            rates[item] = done / seconds / 1e9;
        });
        return rates.Sum();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Multiply<V, L>() where V : struct where L : struct, ILanes<V>
    {
        const int rounds = 200_000;
        V half = L.Create(0.5f), a = half, b = half, c = half, d = half, e = half, f = half, g = half, h = half, i = half, j = half;
        for (int round = 0; round < rounds; round++)
        {
            a = L.Fma(half, half, a); b = L.Fma(half, half, b); c = L.Fma(half, half, c); d = L.Fma(half, half, d); e = L.Fma(half, half, e);
            f = L.Fma(half, half, f); g = L.Fma(half, half, g); h = L.Fma(half, half, h); i = L.Fma(half, half, i); j = L.Fma(half, half, j);
        }
        V sum = L.Add(L.Add(L.Add(a, b), L.Add(c, d)), L.Add(L.Add(e, f), L.Add(L.Add(g, h), L.Add(i, j))));
        return L.Sum(sum) == 0 ? 0 : (double)rounds * 10 * 2 * L.Count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Read<V, L>(float* data, nint floats) where V : struct where L : struct, ILanes<V>
    {
        V a = default, b = default, c = default, d = default;
        for (nint i = 0; i + 4 * L.Count <= floats; i += 4 * L.Count)
        {
            a = L.Or(a, L.Load(data + i));
            b = L.Or(b, L.Load(data + i + L.Count));
            c = L.Or(c, L.Load(data + i + 2 * L.Count));
            d = L.Or(d, L.Load(data + i + 3 * L.Count));
        }
        return L.Sum(L.Or(L.Or(a, b), L.Or(c, d))) == 12345 ? 0 : (double)floats * sizeof(float);
    }
}
