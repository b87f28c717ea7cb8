using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Glm.Tensors;

/// <summary>Vectors of 4 floats: every processor.</summary>
internal unsafe struct Lanes128 : ILanes<Vector128<float>>
{
    public static int Count => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load(float* source) => Vector128.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector128<float> value, float* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Create(float value) => Vector128.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Fma(Vector128<float> a, Vector128<float> b, Vector128<float> c) => Vector128.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Add(Vector128<float> a, Vector128<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Multiply(Vector128<float> a, Vector128<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector128<float> a)
    {
        a += Vector128.Shuffle(a, Vector128.Create(2, 3, 0, 1));
        return a[0] + a[1];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Bits(uint value) => Vector128.Create(value).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> And(Vector128<float> a, Vector128<float> b) => a & b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Or(Vector128<float> a, Vector128<float> b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> AddBits(Vector128<float> a, Vector128<float> b) => (a.AsUInt32() + b.AsUInt32()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> ShiftLeft(Vector128<float> a, [ConstantExpected] int count) => (a.AsUInt32() << count).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> ShiftRight(Vector128<float> a, [ConstantExpected] int count) => (a.AsUInt32() >> count).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> ToSingle(Vector128<float> bits) => Vector128.ConvertToSingle(bits.AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> AddNibbleProducts(Vector128<float> sums, Vector128<float> nibbles, Vector128<float> bytes)
    {
        if (Dp.IsSupported) return Dp.DotProduct(sums.AsInt32(), nibbles.AsSByte(), bytes.AsSByte()).AsSingle();
        if (Ssse3.IsSupported) return (sums.AsInt16() + Ssse3.MultiplyAddAdjacent(nibbles.AsByte(), bytes.AsSByte())).AsSingle();
        Vector128<short> q = bytes.AsInt16(), even = (nibbles.AsInt16() & Vector128.Create((short)15)) * (q << 8 >> 8), odd = (nibbles.AsInt16() >> 8) * (q >> 8);
        return (sums.AsInt16() + even + odd).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> SumNibbleProducts(Vector128<float> sums) =>
        Dp.IsSupported ? sums : ((sums.AsInt32() << 16 >> 16) + (sums.AsInt32() >> 16)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> SelectGreaterBits(Vector128<float> a, Vector128<float> b, Vector128<float> yes, Vector128<float> no) => Vector128.ConditionalSelect(Vector128.GreaterThan(a.AsInt32(), b.AsInt32()).AsSingle(), yes, no);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadUInt16(ushort* source) => Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)source).AsUInt16()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreUInt16(Vector128<float> bits, ushort* target) => *(ulong*)target = Vector128.Narrow(bits.AsUInt32(), bits.AsUInt32()).AsUInt64()[0];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> LoadInt8(sbyte* source) => Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(uint*)source).AsSByte())));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> PrepareInt4(float scale) => Vector128.Create(scale);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadInt4(byte* source, Vector128<float> prepared, out Vector128<float> first, out Vector128<float> second)
    {
        Vector128<int> pairs = Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(uint*)source).AsByte())).AsInt32();
        Vector128<float> even = Dequantize.Round<Vector128<float>, Lanes128>(Vector128.ConvertToSingle(pairs << 24 >> 28), prepared);
        Vector128<float> odd = Dequantize.Round<Vector128<float>, Lanes128>(Vector128.ConvertToSingle(pairs << 28 >> 28), prepared);
        first = Interleave.Low(even, odd);
        second = Interleave.High(even, odd);
    }
}
