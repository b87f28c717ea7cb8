using System.Diagnostics;
using System.Runtime.InteropServices;
using Glm.Tensors;

namespace Glm.Bench;

/// <summary>Times kernels: the best of many runs, since other processes can only make a run slower.</summary>
internal sealed unsafe class Measure(Workers workers, InstructionSet isa, double seconds) : IDisposable
{
    private readonly List<nint> blocks = [];

    /// <summary>10^9 operations per second of one product; the letters say which of A and B is stored transposed.</summary>
    public double Product(int m, int n, int k, string layout, Arithmetic arithmetic = Arithmetic.Float32)
    {
        Matrix a = layout[0] == 'N' ? Random(m, k) : Random(k, m).Transposed, b = layout[1] == 'N' ? Random(k, n) : Random(n, k).Transposed;
        Matrix c = Random(m, n);
        double time = Best(() => MatMul.Multiply(workers, a, b, c, 1, 0, null, isa, arithmetic));
        Free();
        return 2.0 * m * n * k / time / 1e9;
    }

    /// <summary>The same on one thread, with scratch memory that stays in its caches, as inside attention.</summary>
    public double Single(int m, int n, int k, string layout, Arithmetic arithmetic = Arithmetic.Float32)
    {
        Matrix a = layout[0] == 'N' ? Random(m, k) : Random(k, m).Transposed, b = layout[1] == 'N' ? Random(k, n) : Random(n, k).Transposed;
        Matrix c = Random(m, n);
        using var scratch = new Scratch();
        double time = Best(() => MatMul.MultiplySingle(scratch, a, b, c, 1, 0, null, isa, arithmetic));
        Free();
        return 2.0 * m * n * k / time / 1e9;
    }

    /// <summary>10^9 bytes of weights per second for <paramref name="rows"/> rows of input; many weights in turn, more than caches hold.</summary>
    public double FewRows(DType type, int rows, int outputs, int inputs)
    {
        long bytes = type.Bytes((long)outputs * inputs);
        int copies = (int)Math.Max(1, (256L << 20) / bytes);
        byte* data = Block(copies * bytes);
        var scales = (Half*)Block(outputs * 2);
        new Span<Half>(scales, outputs).Fill((Half)0.01);
        Matrix x = Random(rows, inputs), y = Random(rows, outputs);
        int copy = 0;
        double time = Best(() =>
        {
            byte* start = data + copy++ % copies * bytes;
            Matrix weight = type.IsFloat()
                ? new Matrix(start, type, outputs, inputs, inputs)
                : Matrix.Quantized(start, type, outputs, inputs, scales, 1);
            MatMul.Multiply(workers, x, weight.Transposed, y, 1, 0, null, isa);
        });
        Free();
        return bytes / time / 1e9;
    }

    /// <summary>Seconds of a product with a packed weight; as many weights in turn as fill 256 MB.</summary>
    public (double Seconds, double Bytes) Packed(DType type, int rows, int outputs, int inputs, int inputBits)
    {
        var weight = Tensor.Allocate(type.IsBlock() ? type : DType.Int8, outputs, type == DType.Int4 ? inputs / 2 : inputs);
        byte[] bytes = new byte[weight.Bytes];
        Array.Fill(bytes, (byte)0x11); // ordinary scales and integers
        weight.CopyBytesFrom(bytes);
        if (!type.IsBlock()) weight = weight.AsQuantized(outputs, inputs, Tensor.From(new float[outputs], 1, outputs).To(DType.Float16));
        Tensor[] packed = [.. Enumerable.Range(0, (int)Math.Max(1, (256L << 20) / weight.Bytes)).Select(_ => weight.Pack(workers))];
        Tensor x = Tensor.From([.. Enumerable.Range(0, rows * inputs).Select(i => i % 17 - 8f)], rows, inputs), y = Tensor.Zeros(DType.Float32, rows, outputs);
        int copy = 0, planes = inputBits / 8;
        double time = Best(() => new PanelProduct(x.AsMatrix(), packed[copy++ % packed.Length], y.AsMatrix(), null, planes, isa, Isa.Extension).Run(workers));
        return (time, packed[0].Bytes);
    }

    /// <summary>
    /// 10^9 operations and bytes of keys and values per second, where <paramref name="tokens"/> new ones attend to themselves and <paramref name="past"/> tokens: 16 heads of 128 elements that
    /// share two of keys and values, as many layers in turn as fill 256 MB.
    /// </summary>
    public (double Operations, double Bytes) Attention(DType cacheType, int tokens, int past)
    {
        HeadLayout layout = HeadLayout.Blocked(16, 2, 128);
        int pageCount = (past + tokens + CachedAttentionOperation.PageTokens - 1) / CachedAttentionOperation.PageTokens;
        long bytes = CachedAttentionOperation.TokenBytes(cacheType, layout) * (past + tokens);
        Tensor[] layers = [.. Enumerable.Range(0, (int)Math.Max(1, (256L << 20) / bytes)).Select(_ => CachedAttentionOperation.NewPages(cacheType, pageCount, layout))];
        Tensor qkv = Tensor.From([.. Enumerable.Range(0, tokens * 20 * 128).Select(i => i % 17 / 8f - 1)], tokens, 20 * 128);
        var context = new Context(workers);
        CachedSequence[] sequences = [new(0, tokens, past, 0, [.. Enumerable.Range(0, pageCount)])];
        int layer = 0;
        double time = Best(() =>
        {
            context.CachedAttention(qkv, layout, layers[layer++ % layers.Length], sequences);
            context.Reset();
        });
        double pairs = (double)tokens * past + tokens * (tokens + 1.0) / 2;
        return (4 * pairs * layout.Heads * layout.HeadSize / time / 1e9, bytes / time / 1e9);
    }

    public void Dispose() => Free();

    private double Best(Action run)
    {
        double best = double.MaxValue;
        long start = Stopwatch.GetTimestamp();
        for (int runs = 0; runs < 5 || Stopwatch.GetElapsedTime(start).TotalSeconds < seconds; runs++)
        {
            long before = Stopwatch.GetTimestamp();
            run();
            best = Math.Min(best, Stopwatch.GetElapsedTime(before).TotalSeconds);
        }
        return best;
    }

    private Matrix Random(int rows, int columns)
    {
        var data = (float*)Block((long)rows * columns * sizeof(float));
        var random = new Random(rows + columns);
        for (long i = 0; i < (long)rows * columns; i++) data[i] = random.NextSingle() - 0.5f;
        return Matrix.Dense(data, rows, columns);
    }

    private byte* Block(long bytes)
    {
        var block = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 64);
        NativeMemory.Fill(block, (nuint)bytes, 0x11); // touched, and ordinary numbers in every type
        blocks.Add((nint)block);
        return block;
    }

    private void Free()
    {
        foreach (nint block in blocks) NativeMemory.AlignedFree((void*)block);
        blocks.Clear();
    }
}
