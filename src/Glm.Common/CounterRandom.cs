namespace Glm;

/// <summary>
/// Random numbers that are a pure function of (seed, stream, index), so that what they decide (masks of a sample, initial weights,
/// dropout) does not depend on the order of computation, on the number of threads, or on where a run was interrupted.
/// The function is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the seed is the key, the
/// 128-bit counter is (index / 4, stream), and each counter gives four 32-bit numbers. Distinct streams never share a counter.
/// An instance walks one stream from its index 0 and is not thread-safe; the static members hold no state.
/// </summary>
public sealed class CounterRandom
{
    private const int Rounds = 10;

    private readonly ulong _seed;
    private readonly ulong _stream;
    private readonly uint[] _block = new uint[4];
    private ulong _index;

    /// <summary>Stands before the first number of a stream.</summary>
    public CounterRandom(ulong seed, ulong stream)
    {
        _seed = seed;
        _stream = stream;
    }

    /// <summary>The number at one place: uniform over all 32-bit values.</summary>
    public static uint At(ulong seed, ulong stream, ulong index)
    {
        Span<uint> block = stackalloc uint[4];
        Philox(seed, stream, index >> 2, block);
        return block[(int)(index & 3)];
    }

    /// <summary>Writes the numbers at <paramref name="firstIndex"/> and after; the same values as <see cref="At"/>, at a quarter of the cost.</summary>
    public static void Fill(ulong seed, ulong stream, ulong firstIndex, Span<uint> destination)
    {
        Span<uint> block = stackalloc uint[4];
        for (int i = 0; i < destination.Length;)
        {
            ulong index = firstIndex + (ulong)i;
            Philox(seed, stream, index >> 2, block);
            ReadOnlySpan<uint> rest = block[(int)(index & 3)..];
            int count = Math.Min(rest.Length, destination.Length - i);
            rest[..count].CopyTo(destination[i..]);
            i += count;
        }
    }

    /// <summary>The next number of the stream: uniform over all 32-bit values.</summary>
    public uint NextUInt32()
    {
        int lane = (int)(_index & 3);
        if (lane == 0) Philox(_seed, _stream, _index >> 2, _block);
        _index++;
        return _block[lane];
    }

    /// <summary>Uniform in [0, 1), a multiple of 2^-53 (takes two numbers of the stream).</summary>
    public double NextDouble()
    {
        ulong high = NextUInt32() >> 5, low = NextUInt32() >> 6;
        return ((high << 26) | low) * (1.0 / (1UL << 53));
    }

    /// <summary>Uniform in [0, <paramref name="exclusiveMax"/>), without bias (Lemire's multiplication with rejection).</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="exclusiveMax"/> is not positive.</exception>
    public int NextInt(int exclusiveMax)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(exclusiveMax);
        uint range = (uint)exclusiveMax;
        ulong product = (ulong)NextUInt32() * range;
        if ((uint)product < range)
        {
            uint threshold = (0u - range) % range;
            while ((uint)product < threshold) product = (ulong)NextUInt32() * range;
        }
        return (int)(product >> 32);
    }

    /// <summary>A draw of the normal distribution with mean 0 and variance 1 (Box-Muller; takes four numbers of the stream).</summary>
    public double NextGaussian()
    {
        double radius = Math.Sqrt(-2 * Math.Log(1 - NextDouble()));
        return radius * Math.Cos(2 * Math.PI * NextDouble());
    }

    /// <summary>Ten rounds of Philox on the counter (<paramref name="counter"/>, <paramref name="stream"/>): four numbers.</summary>
    internal static void Philox(ulong key, ulong stream, ulong counter, Span<uint> block)
    {
        uint x0 = (uint)counter, x1 = (uint)(counter >> 32), x2 = (uint)stream, x3 = (uint)(stream >> 32);
        uint k0 = (uint)key, k1 = (uint)(key >> 32);
        for (int round = 0; round < Rounds; round++)
        {
            ulong left = 0xD2511F53ul * x0, right = 0xCD9E8D57ul * x2;
            (x0, x1, x2, x3) = ((uint)(right >> 32) ^ x1 ^ k0, (uint)right, (uint)(left >> 32) ^ x3 ^ k1, (uint)left);
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        block[0] = x0;
        block[1] = x1;
        block[2] = x2;
        block[3] = x3;
    }
}
