using System.Diagnostics;
using System.Runtime.InteropServices;
using Glm.Tensors;

unsafe
{
    using var workers = new Workers(2);
    Console.WriteLine($"{Isa.Name(Isa.Current)}");
    foreach (var (m, n, k) in new[] { (1024, 1024, 1024), (4096, 768, 256), (4096, 256, 683), (256, 768, 4096), (2048,16384,256) })
    foreach (bool ta in new[] { false, true })
    foreach (bool tb in new[] { false, true })
    foreach (InstructionSet isa in Isa.Available.Reverse().Take(ta || tb ? 1 : 3))
    {
        float* A = Rand(m * k), B = Rand(k * n), C = Rand(m * n);
        var a = ta ? Matrix.Dense(A, k, m).Transposed : Matrix.Dense(A, m, k);
        var b = tb ? Matrix.Dense(B, n, k).Transposed : Matrix.Dense(B, k, n);
        var c = Matrix.Dense(C, m, n);
        double best = 1e9;
        long stop = Stopwatch.GetTimestamp() + Stopwatch.Frequency;
        while (Stopwatch.GetTimestamp() < stop)
        {
            long t = Stopwatch.GetTimestamp();
            MatMul.Multiply(workers, a, b, c, 1, 0, null, isa);
            best = Math.Min(best, Stopwatch.GetElapsedTime(t).TotalSeconds);
        }
        Console.WriteLine($"{isa} {m}x{n}x{k} {(ta ? 'T' : 'N')}{(tb ? 'T' : 'N')}: {2.0 * m * n * k / best / 1e9:F1} GFLOP/s");
        NativeMemory.AlignedFree(A); NativeMemory.AlignedFree(B); NativeMemory.AlignedFree(C);
    }

    static float* Rand(int count)
    {
        var p = (float*)NativeMemory.AlignedAlloc((nuint)count * 4, 64);
        var r = new Random(count);
        for (int i = 0; i < count; i++) p[i] = r.NextSingle() - 0.5f;
        return p;
    }
}
