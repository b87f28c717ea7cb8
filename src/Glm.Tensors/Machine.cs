using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>The ceilings of the machine: what its multipliers and its memory can do at best.</summary>
public static unsafe class Machine
{
    /// <summary>
    /// 10^9 operations per second of float32 fused multiply-adds in registers, all threads together, best of many short runs in half a second: the most that a
    /// program could compute.
    /// </summary>
    public static double FmaPeak(Workers workers) => Peak(workers, () => Multiply(Isa.Current));

    /// <summary>The peak of the products of matrices where activations have this type.</summary>
    public static double ProductPeak(Workers workers, DType activations) => ProductPeak(workers, Context.ArithmeticOf(activations));

    internal static double ProductPeak(Workers workers, Arithmetic arithmetic) => arithmetic switch
    {
        Arithmetic.Float32 => FmaPeak(workers),
        Arithmetic.BFloat16 => Peak(workers, GeneratedCode.BFloat16Loop, GeneratedCode.BFloat16Operations),
        _ => Peak(workers, GeneratedCode.TileLoop, GeneratedCode.TileOperations),
    };

    /// <summary>The peak of the arithmetic that packed weights are multiplied with, many rows at a time: products of bytes by AMX or VNNI where kernels use them, else the vectors' own.</summary>
    public static double PanelPeak(Workers workers) => Isa.Extension switch
    {
        CodeExtension.Amx => Peak(workers, GeneratedCode.ByteTileLoop, GeneratedCode.ByteTileOperations),
        CodeExtension.None => FmaPeak(workers),
        _ => Peak(workers, GeneratedCode.VnniLoop, GeneratedCode.VnniOperations),
    };

    private static double Peak(Workers workers, delegate* unmanaged<void> loop, double operations) => Peak(workers, () =>
    {
        loop();
        return operations;
    });

    private static double Peak(Workers workers, Func<double> work)
    {
        double best = 0;
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < 0.5;)
        {
            double operations = 0;
            long run = Stopwatch.GetTimestamp();
            workers.For(workers.Threads, (_, _) => operations = work());
            best = Math.Max(best, workers.Threads * operations / Stopwatch.GetElapsedTime(run).TotalSeconds / 1e9);
        }
        return best;
    }

    /// <summary>
    /// 10^9 bytes per second that all threads together read from memory that no cache holds: the median of some passes over a buffer, since what they are held against are
    /// medians too, and a machine whose memory others share may be twice as fast for a moment.
    /// </summary>
    /// <param name="workers">The threads.</param>
    /// <param name="bytes">Size of the buffer; less is taken where less memory is free.</param>
    public static double ReadBandwidth(Workers workers, long bytes = 1L << 30)
    {
        const int passes = 15;
        const long line = 64;
        bytes = Math.Max(line, Math.Min(bytes, FreeMemory() / 2) / line * line);
        var buffer = Tensor.Allocate(DType.Float32, checked((int)(bytes / sizeof(float))));
        // Memory that was never written has no pages of its own.
        workers.Split(buffer.Count, (int)line, (start, end, _) => new Span<float>(buffer.Floats + start, (int)(end - start)).Fill(1));
        double[] rates = new double[passes];
        for (int pass = 0; pass < passes; pass++)
        {
            long start = Stopwatch.GetTimestamp();
            workers.Split(buffer.Count, (int)line, (from, to, _) => Read(buffer.Floats + from, (nint)(to - from), Isa.Current));
            rates[pass] = bytes / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9;
        }
        Array.Sort(rates);
        return rates[passes / 2];
    }

    /// <summary>10^9 bytes per second that a file is read at past the system's cache, for about this long.</summary>
    /// <param name="file">A file of some hundred megabytes or more.</param>
    /// <param name="time">How long.</param>
    /// <exception cref="GlmException">The file cannot be read.</exception>
    public static double DiskRate(string file, TimeSpan time)
    {
        const int columns = 4096;
        using var stream = new WeightStream(64 << 20);
        var storage = Storage.Map(file);
        int rows = (int)Math.Min(storage.Bytes / DType.BFloat16.Bytes(columns), 1 << 20);
        stream.Attach(storage.View(DType.BFloat16, 0, rows, columns));
        return stream.MeasureRate(time);
    }

    /// <summary>Bytes of memory that this process could still take.</summary>
    public static long FreeMemory()
    {
        const string field = "MemAvailable:";
        var collector = GC.GetGCMemoryInfo();
        long free = Math.Max(0, collector.TotalAvailableMemoryBytes - Environment.WorkingSet);
        if (!OperatingSystem.IsLinux()) return free;
        foreach (string text in File.ReadLines("/proc/meminfo"))
            if (text.StartsWith(field, StringComparison.Ordinal) && long.TryParse(text.AsSpan(field.Length).Trim().TrimEnd("kB").Trim(), out long kibibytes))
                return Math.Min(free, kibibytes << 10);
        return free;
    }

    /// <summary>Some tenths of a millisecond of fused multiply-adds in registers, on one thread; returns the operations done.</summary>
    internal static double Multiply(InstructionSet isa) => isa switch
    {
        InstructionSet.Avx512 => Multiply<Vector512<float>, Lanes512>(),
        InstructionSet.Avx2 => Multiply<Vector256<float>, Lanes256>(),
        _ => Multiply<Vector128<float>, Lanes128>(),
    };

    /// <summary>Reads memory on one thread; returns the bytes read.</summary>
    internal static double Read(float* data, nint floats, InstructionSet isa) => isa switch
    {
        InstructionSet.Avx512 => Read<Vector512<float>, Lanes512>(data, floats),
        InstructionSet.Avx2 => Read<Vector256<float>, Lanes256>(data, floats),
        _ => Read<Vector128<float>, Lanes128>(data, floats),
    };

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
