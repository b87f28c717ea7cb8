using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Glm.Tensors;

/// <summary>
/// Loops over one vector of float32. A last part shorter than sixteen is masked, so every element goes through the
/// same arithmetic wherever it stands.
/// </summary>
internal static unsafe class Vectors
{
    public const int Width = 16;

    /// <summary>Loads up to sixteen elements, the rest filled.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source, int count, float fill = 0)
    {
        if (count >= Width) return Vector512.Load(source);
        return Avx512F.IsSupported ? Avx512F.MaskLoad(source, First(count), Vector512.Create(fill)) : LoadPart(source, count, fill);
    }

    /// <summary>Stores up to sixteen elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* destination, int count)
    {
        if (count >= Width) value.Store(destination);
        else if (Avx512F.IsSupported) Avx512F.MaskStore(destination, First(count), value);
        else StorePart(value, destination, count);
    }

    /// <summary>A mask of the first elements.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> First(int count) => Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

    private static Vector512<float> LoadPart(float* source, int count, float fill)
    {
        float* padded = stackalloc float[Width];
        for (int i = 0; i < Width; i++) padded[i] = i < count ? source[i] : fill;
        return Vector512.Load(padded);
    }

    private static void StorePart(Vector512<float> value, float* destination, int count)
    {
        for (int i = 0; i < count; i++) destination[i] = value[i];
    }

    /// <summary>Sum of the elements.</summary>
    public static float Sum(float* x, int n)
    {
        var sum = Vector512<float>.Zero;
        for (int i = 0; i < n; i += Width) sum += Load(x + i, n - i);
        return Vector512.Sum(sum);
    }

    /// <summary>The largest element.</summary>
    public static float Max(float* x, int n)
    {
        var max = Vector512.Create(float.NegativeInfinity);
        for (int i = 0; i < n; i += Width) max = Vector512.Max(max, Load(x + i, n - i, float.NegativeInfinity));
        return Max(max);
    }

    /// <summary>The largest of the lanes; not a number if one is not.</summary>
    public static float Max(Vector512<float> x)
    {
        Vector256<float> half = Vector256.Max(x.GetLower(), x.GetUpper());
        Vector128<float> quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        return MathF.Max(MathF.Max(quarter[0], quarter[1]), MathF.Max(quarter[2], quarter[3]));
    }

    /// <summary>Sum of x[i] y[i].</summary>
    public static float Dot(float* x, float* y, int n)
    {
        Vector512<float> sum0 = Vector512<float>.Zero, sum1 = sum0;
        int i = 0;
        for (; i + 2 * Width <= n; i += 2 * Width)
        {
            sum0 = Vector512.FusedMultiplyAdd(Vector512.Load(x + i), Vector512.Load(y + i), sum0);
            sum1 = Vector512.FusedMultiplyAdd(Vector512.Load(x + i + Width), Vector512.Load(y + i + Width), sum1);
        }
        for (; i < n; i += Width) sum0 = Vector512.FusedMultiplyAdd(Load(x + i, n - i), Load(y + i, n - i), sum0);
        return Vector512.Sum(sum0 + sum1);
    }

    /// <summary>y = a x + b y.</summary>
    public static void Axpby(float a, float* x, float b, float* y, int n)
    {
        Vector512<float> va = Vector512.Create(a), vb = Vector512.Create(b);
        for (int i = 0; i < n; i += Width)
        {
            var value = va * Load(x + i, n - i);
            if (b != 0) value = Vector512.FusedMultiplyAdd(vb, Load(y + i, n - i), value);
            Store(value, y + i, n - i);
        }
    }

    /// <summary>x = a x.</summary>
    public static void Scale(float a, float* x, int n)
    {
        for (int i = 0; i < n; i += Width) Store(Vector512.Create(a) * Load(x + i, n - i), x + i, n - i);
    }

    /// <summary>x[i] *= a[i].</summary>
    public static void Multiply(float* a, float* x, int n)
    {
        for (int i = 0; i < n; i += Width) Store(Load(a + i, n - i) * Load(x + i, n - i), x + i, n - i);
    }

    /// <summary>x[i] += a (first + i).</summary>
    public static void AddRamp(float a, float first, float* x, int n)
    {
        for (int i = 0; i < n; i += Width)
        {
            var ramp = Vector512.Create(first + i) + Vector512<float>.Indices;
            Store(Vector512.FusedMultiplyAdd(Vector512.Create(a), ramp, Load(x + i, n - i)), x + i, n - i);
        }
    }

    /// <summary>x = e^(x - shift); returns the sum.</summary>
    public static float ExpSum(float* x, float shift, int n)
    {
        var sum = Vector512<float>.Zero;
        var offset = Vector512.Create(shift);
        for (int i = 0; i < n; i += Width)
        {
            var value = VectorMath.Exp(Load(x + i, n - i, float.NegativeInfinity) - offset);
            sum += value;
            Store(value, x + i, n - i);
        }
        return Vector512.Sum(sum);
    }

    /// <summary>Sum of e^(x - shift), x unchanged.</summary>
    public static float SumExp(float* x, float shift, int n)
    {
        var sum = Vector512<float>.Zero;
        for (int i = 0; i < n; i += Width) sum += VectorMath.Exp(Load(x + i, n - i, float.NegativeInfinity) - Vector512.Create(shift));
        return Vector512.Sum(sum);
    }
}
