using System.Numerics;
using System.Runtime.InteropServices;
using Glm.Tensors;

namespace Glm.Distributed;

/// <summary>What a reduction computes of the elements of all ranks.</summary>
public enum Reduction
{
    /// <summary>Their sum, in the order of ranks.</summary>
    Sum,

    /// <summary>The largest.</summary>
    Max,
}

/// <summary>Adds up what ranks sent, in the order in which it is given: floating-point sums have the same bits in every run. Types of 16 bits are summed in float32 and rounded once.</summary>
internal sealed class RankSum(DType type, Reduction reduction)
{
    private readonly List<float> _wide = [];

    /// <summary>result = reduction of <paramref name="parts"/> parts of as many bytes as the result; the result may be one of them.</summary>
    public void Reduce(Span<byte> result, int parts, Part part)
    {
        if (type is DType.BFloat16 or DType.Float16)
        {
            CollectionsMarshal.SetCount(_wide, result.Length / 2);
            var sum = CollectionsMarshal.AsSpan(_wide);
            for (int i = 0; i < parts; i++) AddWidened(sum, MemoryMarshal.Cast<byte, ushort>(part(i)), i == 0);
            Round(sum, MemoryMarshal.Cast<byte, ushort>(result));
        }
        else if (type == DType.Float32) Reduce<float>(result, parts, part);
        else Reduce<int>(result, parts, part);
    }

    /// <summary>The bytes of one part.</summary>
    public delegate ReadOnlySpan<byte> Part(int index);

    private void Reduce<T>(Span<byte> result, int parts, Part part) where T : unmanaged, INumber<T>
    {
        var target = MemoryMarshal.Cast<byte, T>(result);
        int i = 0;
        for (; i <= target.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            var value = new Vector<T>(MemoryMarshal.Cast<byte, T>(part(0))[i..]);
            for (int p = 1; p < parts; p++) value = Combine(value, new Vector<T>(MemoryMarshal.Cast<byte, T>(part(p))[i..]));
            value.CopyTo(target[i..]);
        }
        for (; i < target.Length; i++)
        {
            T value = MemoryMarshal.Cast<byte, T>(part(0))[i];
            for (int p = 1; p < parts; p++) value = Combine(value, MemoryMarshal.Cast<byte, T>(part(p))[i]);
            target[i] = value;
        }
    }

    private Vector<T> Combine<T>(Vector<T> a, Vector<T> b) where T : unmanaged => reduction == Reduction.Sum ? a + b : Vector.Max(a, b);

    private T Combine<T>(T a, T b) where T : INumber<T> => reduction == Reduction.Sum ? a + b : T.Max(a, b);

    private void AddWidened(Span<float> sum, ReadOnlySpan<ushort> part, bool first)
    {
        for (int i = 0; i < sum.Length; i++)
        {
            float value = type == DType.Float16 ? (float)BitConverter.UInt16BitsToHalf(part[i]) : BitConverter.UInt32BitsToSingle((uint)part[i] << 16);
            sum[i] = first ? value : Combine(sum[i], value);
        }
    }

    /// <summary>To the nearest number of the type, halves to even; a NaN stays one.</summary>
    private void Round(ReadOnlySpan<float> values, Span<ushort> rounded)
    {
        for (int i = 0; i < values.Length; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(values[i]);
            rounded[i] = type == DType.Float16 ? BitConverter.HalfToUInt16Bits((Half)values[i]) : (ushort)(float.IsNaN(values[i]) ? (bits >> 16) | 0x40 : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
        }
    }
}
