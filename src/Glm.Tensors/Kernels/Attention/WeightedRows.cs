using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Glm.Tensors;

/// <summary>
/// Sums of rows of a page times weights: the scores of a few queries, whose elements are the weights of the keys' rows, and their sums of values. Elements
/// become float32 in registers, once for eight queries or four, so that a page is read where it lies, and what is read next is asked for meanwhile: pages lie apart, which
/// the processor's own guesses do not see.
/// </summary>
internal static unsafe class WeightedRows
{
    private const int CacheLine = 64;

    /// <summary>
    /// y[r, i] += sum over j of w[r, j] x[j, i] for i below n: each sum by fused multiply-add with j ascending from zero. Bytes count as the integers that they are.
    /// </summary>
    /// <param name="w">Weights.</param>
    /// <param name="weightStride">From one row of weights to the next.</param>
    /// <param name="count">Rows of weights and of sums.</param>
    /// <param name="x">What is summed: a floating-point type or int8.</param>
    /// <param name="type">Its type.</param>
    /// <param name="xStride">From one row of x to the next.</param>
    /// <param name="depth">Its rows.</param>
    /// <param name="y">Sums.</param>
    /// <param name="stride">From one row of sums to the next.</param>
    /// <param name="n">Columns of x and y that count.</param>
    /// <param name="next">An x of the same type and strides to be brought nearer.</param>
    /// <param name="isa">Vectors to use.</param>
    public static void Add(float* w, nint weightStride, int count, byte* x, DType type, nint xStride, int depth, float* y, nint stride, int n, byte* next, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512: Add<Vector512<float>, Lanes512>(w, weightStride, count, x, type, xStride, depth, y, stride, n, next); break;
            case InstructionSet.Avx2: Add<Vector256<float>, Lanes256>(w, weightStride, count, x, type, xStride, depth, y, stride, n, next); break;
            default: Add<Vector128<float>, Lanes128>(w, weightStride, count, x, type, xStride, depth, y, stride, n, next); break;
        }
    }

    private static void Add<V, L>(float* w, nint weightStride, int count, byte* x, DType type, nint xStride, int depth, float* y, nint stride, int n, byte* next)
        where V : struct where L : struct, ILanes<V>
    {
        nint ahead = (nint)(next - x);
        switch (type)
        {
            case DType.Float32: Add<V, L, Float32Element<V, L>>(w, weightStride, count, x, xStride, depth, y, stride, n, ahead); break;
            case DType.BFloat16: Add<V, L, BFloat16Element<V, L>>(w, weightStride, count, x, xStride, depth, y, stride, n, ahead); break;
            case DType.Float16: Add<V, L, HalfElement<V, L>>(w, weightStride, count, x, xStride, depth, y, stride, n, ahead); break;
            case DType.Int8: Add<V, L, Int8Element<V, L>>(w, weightStride, count, x, xStride, depth, y, stride, n, ahead); break;
            default: throw new ArgumentException($"keys and values are not stored as {type}");
        }
    }

    private static void Add<V, L, E>(float* w, nint weightStride, int count, byte* x, nint xStride, int depth, float* y, nint stride, int n, nint ahead)
        where V : struct where L : struct, ILanes<V> where E : struct, IElement<V>
    {
        int pairs = n - n % (2 * L.Count), together;
        for (; count > 0; count -= together, w += together * weightStride, y += together * stride, ahead = 0)
        {
            together = count >= 8 && L.Count == Lanes512.Count ? 8 : count >= 4 ? 4 : 1;
            int end = together == 1 ? 0 : pairs;
            if (together == 8) Add8x2<V, L, E>(w, weightStride, x, xStride, depth, y, stride, end, ahead);
            else if (together == 4) Add4x2<V, L, E>(w, weightStride, x, xStride, depth, y, stride, end, ahead);
            for (int row = 0; row < together && end < n; row++) AddRow<V, L, E>(w + row * weightStride, x, xStride, depth, y + row * stride, n, end, ahead);
        }
    }

    /// <summary>Eight rows by pairs of vectors, columns [0, <paramref name="end"/>): sixteen sums at a time, for 32 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add8x2<V, L, E>(float* w, nint weightStride, byte* x, nint xStride, int depth, float* y, nint stride, int end, nint ahead)
        where V : struct where L : struct, ILanes<V> where E : struct, IElement<V>
    {
        nint stride3 = 3 * weightStride, stride5 = 5 * weightStride, stride7 = 7 * weightStride;
        for (int i = 0; i < end; i += 2 * L.Count)
        {
            V sum00 = default, sum01 = default, sum10 = default, sum11 = default, sum20 = default, sum21 = default, sum30 = default, sum31 = default;
            V sum40 = default, sum41 = default, sum50 = default, sum51 = default, sum60 = default, sum61 = default, sum70 = default, sum71 = default;
            nint at = i;
            float* weights = w;
            for (int j = 0; j < depth; j++, at += xStride, weights++)
            {
                Prefetch<V, L, E>(x, at, ahead);
                V x0 = E.Load(x, at), x1 = E.Load(x, at + L.Count), weight = L.Create(weights[0]);
                sum00 = L.Fma(weight, x0, sum00); sum01 = L.Fma(weight, x1, sum01);
                weight = L.Create(weights[weightStride]);
                sum10 = L.Fma(weight, x0, sum10); sum11 = L.Fma(weight, x1, sum11);
                weight = L.Create(weights[2 * weightStride]);
                sum20 = L.Fma(weight, x0, sum20); sum21 = L.Fma(weight, x1, sum21);
                weight = L.Create(weights[stride3]);
                sum30 = L.Fma(weight, x0, sum30); sum31 = L.Fma(weight, x1, sum31);
                weight = L.Create(weights[4 * weightStride]);
                sum40 = L.Fma(weight, x0, sum40); sum41 = L.Fma(weight, x1, sum41);
                weight = L.Create(weights[stride5]);
                sum50 = L.Fma(weight, x0, sum50); sum51 = L.Fma(weight, x1, sum51);
                weight = L.Create(weights[2 * stride3]);
                sum60 = L.Fma(weight, x0, sum60); sum61 = L.Fma(weight, x1, sum61);
                weight = L.Create(weights[stride7]);
                sum70 = L.Fma(weight, x0, sum70); sum71 = L.Fma(weight, x1, sum71);
            }
            float* target = y + i;
            AddTo<V, L>(sum00, sum01, target);
            AddTo<V, L>(sum10, sum11, target + stride);
            AddTo<V, L>(sum20, sum21, target + 2 * stride);
            AddTo<V, L>(sum30, sum31, target + 3 * stride);
            AddTo<V, L>(sum40, sum41, target + 4 * stride);
            AddTo<V, L>(sum50, sum51, target + 5 * stride);
            AddTo<V, L>(sum60, sum61, target + 6 * stride);
            AddTo<V, L>(sum70, sum71, target + 7 * stride);
        }
    }

    /// <summary>Four rows by pairs of vectors, columns [0, <paramref name="end"/>): eight sums at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add4x2<V, L, E>(float* w, nint weightStride, byte* x, nint xStride, int depth, float* y, nint stride, int end, nint ahead)
        where V : struct where L : struct, ILanes<V> where E : struct, IElement<V>
    {
        float* w1 = w + weightStride, w2 = w1 + weightStride, w3 = w2 + weightStride;
        for (int i = 0; i < end; i += 2 * L.Count)
        {
            V sum00 = default, sum01 = default, sum10 = default, sum11 = default, sum20 = default, sum21 = default, sum30 = default, sum31 = default;
            nint at = i;
            for (int j = 0; j < depth; j++, at += xStride)
            {
                Prefetch<V, L, E>(x, at, ahead);
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
    private static void AddRow<V, L, E>(float* w, byte* x, nint xStride, int depth, float* y, int n, int start, nint ahead) where V : struct where L : struct, ILanes<V> where E : struct, IElement<V>
    {
        int i = start;
        for (; i + 4 * L.Count <= n; i += 4 * L.Count)
        {
            V sum0 = default, sum1 = default, sum2 = default, sum3 = default;
            nint at = i;
            for (int j = 0; j < depth; j++, at += xStride)
            {
                Prefetch<V, L, E>(x, at, ahead);
                Prefetch<V, L, E>(x, at + 2 * L.Count, ahead);
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
            for (int j = 0; j < depth; j++) sum = L.Fma(L.Create(w[j]), E.Load(x, j * xStride + i), sum);
            L.Store(L.Add(L.Load(y + i), sum), y + i);
        }
        for (; i < n; i++)
        {
            float sum = 0;
            for (int j = 0; j < depth; j++) sum = MathF.FusedMultiplyAdd(w[j], E.LoadOne(x, j * xStride + i), sum);
            y[i] += sum;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTo<V, L>(V first, V second, float* target) where V : struct where L : struct, ILanes<V>
    {
        L.Store(L.Add(L.Load(target), first), target);
        L.Store(L.Add(L.Load(target + L.Count), second), target + L.Count);
    }

    /// <summary>Asks for the memory <paramref name="ahead"/> of two vectors of elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch<V, L, E>(byte* x, nint at, nint ahead) where V : struct where L : struct, ILanes<V> where E : struct, IElement<V>
    {
        if (!Sse.IsSupported) return;
        byte* address = x + at * E.Bytes + ahead;
        Sse.Prefetch1(address);
        if (2 * L.Count * E.Bytes > CacheLine) Sse.Prefetch1(address + CacheLine);
    }

    /// <summary>A type of stored elements.</summary>
    private interface IElement<V> where V : struct
    {
        static abstract int Bytes { get; }

        static abstract V Load(byte* x, nint index);

        static abstract float LoadOne(byte* x, nint index);
    }

    private readonly struct Float32Element<V, L> : IElement<V> where V : struct where L : struct, ILanes<V>
    {
        public static int Bytes => sizeof(float);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* x, nint index) => L.Load((float*)x + index);

        public static float LoadOne(byte* x, nint index) => ((float*)x)[index];
    }

    private readonly struct BFloat16Element<V, L> : IElement<V> where V : struct where L : struct, ILanes<V>
    {
        public static int Bytes => sizeof(ushort);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* x, nint index) => Conversion.FromBFloat16<V, L>(L.LoadUInt16((ushort*)x + index));

        public static float LoadOne(byte* x, nint index) => Conversion.FromBFloat16(((ushort*)x)[index]);
    }

    private readonly struct HalfElement<V, L> : IElement<V> where V : struct where L : struct, ILanes<V>
    {
        public static int Bytes => sizeof(ushort);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* x, nint index) => Conversion.FromHalf<V, L>(L.LoadUInt16((ushort*)x + index));

        public static float LoadOne(byte* x, nint index) => (float)((Half*)x)[index];
    }

    private readonly struct Int8Element<V, L> : IElement<V> where V : struct where L : struct, ILanes<V>
    {
        public static int Bytes => sizeof(sbyte);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static V Load(byte* x, nint index) => L.LoadInt8((sbyte*)x + index);

        public static float LoadOne(byte* x, nint index) => ((sbyte*)x)[index];
    }
}
