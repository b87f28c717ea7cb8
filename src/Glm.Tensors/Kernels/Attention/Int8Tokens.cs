using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>Keys and values as signed bytes q with a float32 scale for each token: x = scale q, scale = max|x| / 127.</summary>
internal static unsafe class Int8Tokens
{
    private const int PageTokens = AttentionBlock.Keys;

    /// <summary>Rounds the key or value of a token to nearest even and returns its scale. One with a number that is not finite gets a scale that is not.</summary>
    public static float Quantize(float* values, int size, sbyte* codes)
    {
        const float levels = 127, smallest = 1e-30f; // below it the inverse of a scale would overflow
        var maxima = Vector512<float>.Zero;
        for (int i = 0; i < size; i += Vectors.Width) maxima = Vector512.Max(maxima, Vector512.Abs(Vectors.Load(values + i, size - i)));
        float largest = 0;
        for (int i = 0; i < Vectors.Width; i++) largest = MathF.Max(largest, maxima[i]);
        if (largest < smallest)
        {
            new Span<sbyte>(codes, size).Clear();
            return 0;
        }
        var inverse = Vector512.Create(levels / largest);
        for (int i = 0; i < size; i += Vectors.Width)
        {
            Vector512<int> rounded = Vector512.ConvertToInt32(Vector512.Round(Vectors.Load(values + i, size - i) * inverse));
            Vector256<short> words = Vector256.Narrow(rounded.GetLower(), rounded.GetUpper());
            Vector128<sbyte> bytes = Vector128.Narrow(words.GetLower(), words.GetUpper());
            if (i + Vectors.Width <= size) bytes.Store(codes + i);
            else
                for (int j = 0; i + j < size; j++) codes[i + j] = bytes[j];
        }
        return largest / levels;
    }

    /// <summary>The keys of a page <c>[size, 64]</c> as float32: a scale for each column.</summary>
    public static void ExpandKeys(sbyte* codes, float* scales, int size, float* target, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512: ExpandKeys<Vector512<float>, Lanes512>(codes, scales, size, target); break;
            case InstructionSet.Avx2: ExpandKeys<Vector256<float>, Lanes256>(codes, scales, size, target); break;
            default: ExpandKeys<Vector128<float>, Lanes128>(codes, scales, size, target); break;
        }
    }

    /// <summary>Values <c>[tokens, size]</c> as float32: a scale for each row.</summary>
    public static void ExpandValues(sbyte* codes, float* scales, int tokens, int size, float* target, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512: ExpandValues<Vector512<float>, Lanes512>(codes, scales, tokens, size, target); break;
            case InstructionSet.Avx2: ExpandValues<Vector256<float>, Lanes256>(codes, scales, tokens, size, target); break;
            default: ExpandValues<Vector128<float>, Lanes128>(codes, scales, tokens, size, target); break;
        }
    }

    /// <summary>
    /// y[i] += sum over j of w[j] q[j, i], q [<paramref name="rows"/>, <paramref name="n"/>]: <see cref="Vectors.AddWeightedRows"/> over codes where they lie, so that
    /// a query reads a byte of memory for each element.
    /// </summary>
    public static void AddWeightedRows(float* w, sbyte* q, int rows, float* y, int n, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512: AddWeightedRows<Vector512<float>, Lanes512>(w, q, rows, y, n); break;
            case InstructionSet.Avx2: AddWeightedRows<Vector256<float>, Lanes256>(w, q, rows, y, n); break;
            default: AddWeightedRows<Vector128<float>, Lanes128>(w, q, rows, y, n); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ExpandKeys<V, L>(sbyte* codes, float* scales, int size, float* target) where V : struct where L : struct, ILanes<V>
    {
        for (int token = 0; token < PageTokens; token += L.Count)
        {
            V scale = L.Load(scales + token);
            for (nint at = token; at < (nint)size * PageTokens; at += PageTokens) L.Store(L.Multiply(scale, L.LoadInt8(codes + at)), target + at);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ExpandValues<V, L>(sbyte* codes, float* scales, int tokens, int size, float* target) where V : struct where L : struct, ILanes<V>
    {
        for (int token = 0; token < tokens; token++, codes += size, target += size)
        {
            V scale = L.Create(scales[token]);
            int i = 0;
            for (; i + L.Count <= size; i += L.Count) L.Store(L.Multiply(scale, L.LoadInt8(codes + i)), target + i);
            for (; i < size; i++) target[i] = scales[token] * codes[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddWeightedRows<V, L>(float* w, sbyte* q, int rows, float* y, int n) where V : struct where L : struct, ILanes<V>
    {
        int i = 0;
        for (; i + 4 * L.Count <= n; i += 4 * L.Count)
        {
            V sum0 = default, sum1 = default, sum2 = default, sum3 = default;
            sbyte* row = q + i;
            for (int j = 0; j < rows; j++, row += n)
            {
                V weight = L.Create(w[j]);
                sum0 = L.Fma(weight, L.LoadInt8(row), sum0);
                sum1 = L.Fma(weight, L.LoadInt8(row + L.Count), sum1);
                sum2 = L.Fma(weight, L.LoadInt8(row + 2 * L.Count), sum2);
                sum3 = L.Fma(weight, L.LoadInt8(row + 3 * L.Count), sum3);
            }
            L.Store(L.Add(L.Load(y + i), sum0), y + i);
            L.Store(L.Add(L.Load(y + i + L.Count), sum1), y + i + L.Count);
            L.Store(L.Add(L.Load(y + i + 2 * L.Count), sum2), y + i + 2 * L.Count);
            L.Store(L.Add(L.Load(y + i + 3 * L.Count), sum3), y + i + 3 * L.Count);
        }
        for (; i + L.Count <= n; i += L.Count)
        {
            V sum = default;
            for (int j = 0; j < rows; j++) sum = L.Fma(L.Create(w[j]), L.LoadInt8(q + (nint)j * n + i), sum);
            L.Store(L.Add(L.Load(y + i), sum), y + i);
        }
        for (; i < n; i++)
        {
            float sum = 0;
            for (int j = 0; j < rows; j++) sum = MathF.FusedMultiplyAdd(w[j], q[(nint)j * n + i], sum);
            y[i] += sum;
        }
    }
}
