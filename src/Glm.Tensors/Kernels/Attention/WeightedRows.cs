using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// Sums of rows of a page times weights: the scores of a few queries, whose elements are the weights of the keys' rows, and their sums of values. Elements
/// become float32 in registers, once for four queries, so that a page is read where it lies.
/// </summary>
internal static unsafe class WeightedRows
{
    private const int Together = 4;

    /// <summary>
    /// y[r, i] += sum over j of w[r, j] x[j, i] for x <c>[depth, n]</c>: each sum by fused multiply-add with j ascending from zero. Bytes count as the integers that they are.
    /// </summary>
    /// <param name="w">Weights.</param>
    /// <param name="weightStride">From one row of weights to the next.</param>
    /// <param name="count">Rows of weights and of sums.</param>
    /// <param name="x">What is summed: a floating-point type or int8.</param>
    /// <param name="type">Its type.</param>
    /// <param name="depth">Its rows.</param>
    /// <param name="y">Sums.</param>
    /// <param name="stride">From one row of sums to the next.</param>
    /// <param name="n">Columns of x and y.</param>
    /// <param name="isa">Vectors to use.</param>
    public static void Add(float* w, nint weightStride, int count, byte* x, DType type, int depth, float* y, nint stride, int n, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512: Add<Vector512<float>, Lanes512>(w, weightStride, count, x, type, depth, y, stride, n); break;
            case InstructionSet.Avx2: Add<Vector256<float>, Lanes256>(w, weightStride, count, x, type, depth, y, stride, n); break;
            default: Add<Vector128<float>, Lanes128>(w, weightStride, count, x, type, depth, y, stride, n); break;
        }
    }

    private static void Add<V, L>(float* w, nint weightStride, int count, byte* x, DType type, int depth, float* y, nint stride, int n)
        where V : struct where L : struct, ILanes<V>
    {
        switch (type)
        {
            case DType.Float32: Add<V, L, Float32Element<V, L>>(w, weightStride, count, x, depth, y, stride, n); break;
            case DType.BFloat16: Add<V, L, BFloat16Element<V, L>>(w, weightStride, count, x, depth, y, stride, n); break;
            case DType.Float16: Add<V, L, HalfElement<V, L>>(w, weightStride, count, x, depth, y, stride, n); break;
            case DType.Int8: Add<V, L, Int8Element<V, L>>(w, weightStride, count, x, depth, y, stride, n); break;
            default: throw new ArgumentException($"keys and values are not stored as {type}");
        }
    }

    private static void Add<V, L, E>(float* w, nint weightStride, int count, byte* x, int depth, float* y, nint stride, int n)
        where V : struct where L : struct, ILanes<V> where E : struct, IElement<V>
    {
        int row = 0, pairs = n - n % (2 * L.Count);
        for (; row + Together <= count; row += Together, w += Together * weightStride, y += Together * stride)
        {
            Add4x2<V, L, E>(w, weightStride, x, depth, y, stride, n, pairs);
            for (int rest = 0; rest < Together && pairs < n; rest++) AddRow<V, L, E>(w + rest * weightStride, x, depth, y + rest * stride, n, pairs);
        }
        for (; row < count; row++, w += weightStride, y += stride) AddRow<V, L, E>(w, x, depth, y, n, 0);
    }

    /// <summary>Four rows by pairs of vectors, columns [0, <paramref name="end"/>): eight sums at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add4x2<V, L, E>(float* w, nint weightStride, byte* x, int depth, float* y, nint stride, int n, int end)
        where V : struct where L : struct, ILanes<V> where E : struct, IElement<V>
    {
        float* w1 = w + weightStride, w2 = w1 + weightStride, w3 = w2 + weightStride;
        for (int i = 0; i < end; i += 2 * L.Count)
        {
            V sum00 = default, sum01 = default, sum10 = default, sum11 = default, sum20 = default, sum21 = default, sum30 = default, sum31 = default;
            nint at = i;
            for (int j = 0; j < depth; j++, at += n)
            {
                V x0 = E.Load(x, at), x1 = E.Load(x, at + L.Count), weight = L.Create(w[j]);
                sum00 = L.Fma(weight, x0, sum00); sum01 = L.Fma(weight, x1, sum01);
                weight = L.Create(w1[j]);
                sum10 = L.Fma(weight, x0, sum10); sum11 = L.Fma(weight, x1, sum11);
                weight = L.Create(w2[j]);
                sum20 = L.Fma(weight, x0, sum20); sum21 = L.Fma(weight, x1, sum21);
                weight = L.Create(w3[j]);
                sum30 = L.Fma(weight, x0, sum30); sum31 = L.Fma(weight, x1, sum31);
            }
            float* target = y + i;
            AddTo<V, L>(sum00, sum01, target);
            AddTo<V, L>(sum10, sum11, target + stride);
            AddTo<V, L>(sum20, sum21, target + 2 * stride);
            AddTo<V, L>(sum30, sum31, target + 3 * stride);
        }
    }

    /// <summary>One row, columns from <paramref name="start"/> on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRow<V, L, E>(float* w, byte* x, int depth, float* y, int n, int start) where V : struct where L : struct, ILanes<V> where E : struct, IElement<V>
    {
        int i = start;
        for (; i + 4 * L.Count <= n; i += 4 * L.Count)
        {
            V sum0 = default, sum1 = default, sum2 = default, sum3 = default;
            nint at = i;
            for (int j = 0; j < depth; j++, at += n)
            {
                V weight = L.Create(w[j]);
                sum0 = L.Fma(weight, E.Load(x, at), sum0);
                sum1 = L.Fma(weight, E.Load(x, at + L.Count), sum1);
                sum2 = L.Fma(weight, E.Load(x, at + 2 * L.Count), sum2);
                sum3 = L.Fma(weight, E.Load(x, at + 3 * L.Count), sum3);
            }
            AddTo<V, L>(sum0, sum1, y + i);
            AddTo<V, L>(sum2, sum3, y + i + 2 * L.Count);
        }
        for (; i + L.Count <= n; i += L.Count)
        {
            V sum = default;
            for (int j = 0; j < depth; j++) sum = L.Fma(L.Create(w[j]), E.Load(x, (nint)j * n + i), sum);
            L.Store(L.Add(L.Load(y + i), sum), y + i);
        }
        for (; i < n; i++)
        {
            float sum = 0;
            for (int j = 0; j < depth; j++) sum = MathF.FusedMultiplyAdd(w[j], E.LoadOne(x, (nint)j * n + i), sum);
            y[i] += sum;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTo<V, L>(V first, V second, float* target) where V : struct where L : struct, ILanes<V>
    {
        L.Store(L.Add(L.Load(target), first), target);
        L.Store(L.Add(L.Load(target + L.Count), second), target + L.Count);
    }

    /// <summary>A type of stored elements.</summary>
    private interface IElement<V> where V : struct
    {
        static abstract V Load(byte* x, nint index);

        static abstract float LoadOne(byte* x, nint index);
    }

    private readonly struct Float32Element<V, L> : IElement<V> where V : struct where L : struct, ILanes<V>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* x, nint index) => L.Load((float*)x + index);

        public static float LoadOne(byte* x, nint index) => ((float*)x)[index];
    }

    private readonly struct BFloat16Element<V, L> : IElement<V> where V : struct where L : struct, ILanes<V>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* x, nint index) => Conversion.FromBFloat16<V, L>(L.LoadUInt16((ushort*)x + index));

        public static float LoadOne(byte* x, nint index) => Conversion.FromBFloat16(((ushort*)x)[index]);
    }

    private readonly struct HalfElement<V, L> : IElement<V> where V : struct where L : struct, ILanes<V>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* x, nint index) => Conversion.FromHalf<V, L>(L.LoadUInt16((ushort*)x + index));

        public static float LoadOne(byte* x, nint index) => (float)((Half*)x)[index];
    }

    private readonly struct Int8Element<V, L> : IElement<V> where V : struct where L : struct, ILanes<V>
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* x, nint index) => L.LoadInt8((sbyte*)x + index);

        public static float LoadOne(byte* x, nint index) => ((sbyte*)x)[index];
    }
}
