using System.Numerics;

namespace Glm.Training;

/// <summary>
/// A random order of 0 … count - 1 that takes no memory: a Feistel network over the next even number of bits, whose round function
/// is <see cref="CounterRandom"/>, walked on until the image is below the count (Black and Rogaway, "Ciphers with arbitrary finite
/// domains", 2002). (seed, stream) tells which order.
/// </summary>
internal readonly struct IndexPermutation
{
    private const int Rounds = 6;

    private readonly long _count;
    private readonly ulong _seed, _stream;
    private readonly int _halfBits;

    public IndexPermutation(long count, ulong seed, ulong stream)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        (_count, _seed, _stream) = (count, seed, stream);
        int bits = 64 - BitOperations.LeadingZeroCount((ulong)count - 1);
        _halfBits = Math.Max(1, (bits + 1) / 2);
    }

    /// <summary>What stands at place <paramref name="index"/> of the order.</summary>
    public long this[long index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, _count);
            ulong image = (ulong)index;
            do image = Encrypt(image);
            while (image >= (ulong)_count);
            return (long)image;
        }
    }

    private ulong Encrypt(ulong value)
    {
        ulong mask = (1ul << _halfBits) - 1, left = value >> _halfBits, right = value & mask;
        for (ulong round = 0; round < Rounds; round++)
            (left, right) = (right, left ^ (CounterRandom.At(_seed, _stream, (round << 32) | right) & mask));
        return (left << _halfBits) | right;
    }
}
