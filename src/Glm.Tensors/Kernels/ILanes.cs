using System.Diagnostics.CodeAnalysis;

namespace Glm.Tensors;

/// <summary>
/// The few vector operations that kernels are written in, once, for every width <typeparamref name="V"/> of vectors. An
/// implementation is one line per operation, so that the compiler sees through it. Operations named "Bits" take the lanes for
/// 32-bit integers; so do the shifts.
/// </summary>
internal unsafe interface ILanes<V> where V : struct
{
    /// <summary>Floats per vector.</summary>
    static abstract int Count { get; }

    static abstract V Load(float* source);

    static abstract void Store(V value, float* target);

    static abstract V Create(float value);

    /// <summary>a * b + c, rounded once.</summary>
    static abstract V Fma(V a, V b, V c);

    static abstract V Add(V a, V b);

    static abstract V Multiply(V a, V b);

    /// <summary>The sum of all lanes: halves are added until one is left.</summary>
    static abstract float Sum(V a);

    static abstract V Bits(uint value);

    static abstract V And(V a, V b);

    static abstract V Or(V a, V b);

    static abstract V AddBits(V a, V b);

    static abstract V ShiftLeft(V a, [ConstantExpected] int count);

    static abstract V ShiftRight(V a, [ConstantExpected] int count);

    /// <summary>Signed integers as floats.</summary>
    static abstract V ToSingle(V bits);

    /// <summary>
    /// Adds the products of each lane's four bytes, those of <paramref name="nibbles"/> below 16, those of <paramref name="bytes"/> signed. How a lane
    /// holds the sums is left to the processor, but sixteen bits do for 32 products: <see cref="SumNibbleProducts"/> says what they are.
    /// </summary>
    static abstract V AddNibbleProducts(V sums, V nibbles, V bytes);

    /// <summary>The sum of a lane's products as a 32-bit integer.</summary>
    static abstract V SumNibbleProducts(V sums);

    /// <summary>a &gt; b ? yes : no, where a and b are signed integers.</summary>
    static abstract V SelectGreaterBits(V a, V b, V yes, V no);

    /// <summary><see cref="Count"/> 16-bit integers, each in the low half of a lane.</summary>
    static abstract V LoadUInt16(ushort* source);

    /// <summary>Stores the lanes, which are below 65536, as 16-bit integers.</summary>
    static abstract void StoreUInt16(V bits, ushort* target);

    /// <summary><see cref="Count"/> signed bytes as floats.</summary>
    static abstract V LoadInt8(sbyte* source);

    /// <summary>What <see cref="LoadInt4"/> needs to know of a row's scale.</summary>
    static abstract V PrepareInt4(float scale);

    /// <summary><see cref="Count"/> bytes as 2 * Count weights, scaled and rounded as in <see cref="Dequantize"/>.</summary>
    static abstract void LoadInt4(byte* source, V prepared, out V first, out V second);
}
