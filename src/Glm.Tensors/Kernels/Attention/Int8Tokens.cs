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
        float largest = Vectors.Max(maxima);
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
}
