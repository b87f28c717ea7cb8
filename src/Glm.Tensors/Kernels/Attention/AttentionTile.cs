using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// The innermost loop of attention: eight rows of sums for a panel of <see cref="Lanes"/> queries. Queries lie in the lanes, so that the softmax runs down
/// the rows without a horizontal step, and the products read keys and values where they lie in their pages.
/// </summary>
internal static unsafe class AttentionTile
{
    /// <summary>Queries of a panel: three vectors of 512 bits.</summary>
    public const int Lanes = 48;

    /// <summary>Rows of sums of one call.</summary>
    public const int Rows = 8;

    /// <summary>
    /// sums[i, lane] = factors[lane] * sums[i, lane] + sum over k of a[k * stride + i] * b[k, lane], i below <see cref="Rows"/>, by fused multiply-add with k
    /// ascending; without <paramref name="factors"/> the sums begin at zero.
    /// </summary>
    public static void Run(nint depth, float* a, nint stride, float* b, float* factors, float* sums, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512:
                Run8x3<Vector512<float>, Lanes512>(depth, a, stride, b, factors, sums);
                break;
            case InstructionSet.Avx2:
                Run4x3s<Vector256<float>, Lanes256>(depth, a, stride, b, factors, sums);
                break;
            default:
                Run4x3s<Vector128<float>, Lanes128>(depth, a, stride, b, factors, sums);
                break;
        }
    }

    /// <summary>8 rows by 3 vectors: 24 sums, for 32 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run8x3<V, L>(nint depth, float* a, nint stride, float* b, float* factors, float* sums) where V : struct where L : struct, ILanes<V>
    {
        V c00 = default, c01 = default, c02 = default, c10 = default, c11 = default, c12 = default, c20 = default, c21 = default, c22 = default, c30 = default, c31 = default, c32 = default;
        V c40 = default, c41 = default, c42 = default, c50 = default, c51 = default, c52 = default, c60 = default, c61 = default, c62 = default, c70 = default, c71 = default, c72 = default;
        float* row = sums;
        if (factors is not null)
        {
            V f0 = L.Load(factors), f1 = L.Load(factors + L.Count), f2 = L.Load(factors + 2 * L.Count);
            c00 = L.Multiply(f0, L.Load(row)); c01 = L.Multiply(f1, L.Load(row + L.Count)); c02 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c10 = L.Multiply(f0, L.Load(row)); c11 = L.Multiply(f1, L.Load(row + L.Count)); c12 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c20 = L.Multiply(f0, L.Load(row)); c21 = L.Multiply(f1, L.Load(row + L.Count)); c22 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c30 = L.Multiply(f0, L.Load(row)); c31 = L.Multiply(f1, L.Load(row + L.Count)); c32 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c40 = L.Multiply(f0, L.Load(row)); c41 = L.Multiply(f1, L.Load(row + L.Count)); c42 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c50 = L.Multiply(f0, L.Load(row)); c51 = L.Multiply(f1, L.Load(row + L.Count)); c52 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c60 = L.Multiply(f0, L.Load(row)); c61 = L.Multiply(f1, L.Load(row + L.Count)); c62 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c70 = L.Multiply(f0, L.Load(row)); c71 = L.Multiply(f1, L.Load(row + L.Count)); c72 = L.Multiply(f2, L.Load(row + 2 * L.Count));
        }
        for (; depth > 0; depth--)
        {
            V b0 = L.Load(b), b1 = L.Load(b + L.Count), b2 = L.Load(b + 2 * L.Count);
            V x = L.Create(a[0]);
            c00 = L.Fma(x, b0, c00); c01 = L.Fma(x, b1, c01); c02 = L.Fma(x, b2, c02);
            x = L.Create(a[1]);
            c10 = L.Fma(x, b0, c10); c11 = L.Fma(x, b1, c11); c12 = L.Fma(x, b2, c12);
            x = L.Create(a[2]);
            c20 = L.Fma(x, b0, c20); c21 = L.Fma(x, b1, c21); c22 = L.Fma(x, b2, c22);
            x = L.Create(a[3]);
            c30 = L.Fma(x, b0, c30); c31 = L.Fma(x, b1, c31); c32 = L.Fma(x, b2, c32);
            x = L.Create(a[4]);
            c40 = L.Fma(x, b0, c40); c41 = L.Fma(x, b1, c41); c42 = L.Fma(x, b2, c42);
            x = L.Create(a[5]);
            c50 = L.Fma(x, b0, c50); c51 = L.Fma(x, b1, c51); c52 = L.Fma(x, b2, c52);
            x = L.Create(a[6]);
            c60 = L.Fma(x, b0, c60); c61 = L.Fma(x, b1, c61); c62 = L.Fma(x, b2, c62);
            x = L.Create(a[7]);
            c70 = L.Fma(x, b0, c70); c71 = L.Fma(x, b1, c71); c72 = L.Fma(x, b2, c72);
            a += stride;
            b += Lanes;
        }
        row = sums;
        L.Store(c00, row); L.Store(c01, row + L.Count); L.Store(c02, row + 2 * L.Count); row += Lanes;
        L.Store(c10, row); L.Store(c11, row + L.Count); L.Store(c12, row + 2 * L.Count); row += Lanes;
        L.Store(c20, row); L.Store(c21, row + L.Count); L.Store(c22, row + 2 * L.Count); row += Lanes;
        L.Store(c30, row); L.Store(c31, row + L.Count); L.Store(c32, row + 2 * L.Count); row += Lanes;
        L.Store(c40, row); L.Store(c41, row + L.Count); L.Store(c42, row + 2 * L.Count); row += Lanes;
        L.Store(c50, row); L.Store(c51, row + L.Count); L.Store(c52, row + 2 * L.Count); row += Lanes;
        L.Store(c60, row); L.Store(c61, row + L.Count); L.Store(c62, row + 2 * L.Count); row += Lanes;
        L.Store(c70, row); L.Store(c71, row + L.Count); L.Store(c72, row + 2 * L.Count);
    }

    private static void Run4x3s<V, L>(nint depth, float* a, nint stride, float* b, float* factors, float* sums) where V : struct where L : struct, ILanes<V>
    {
        for (int row = 0; row < Rows; row += 4)
            for (int lane = 0; lane < Lanes; lane += 3 * L.Count)
                Run4x3<V, L>(depth, a + row, stride, b + lane, factors is null ? null : factors + lane, sums + row * Lanes + lane);
    }

    /// <summary>4 rows by 3 vectors: 12 sums, for 16 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run4x3<V, L>(nint depth, float* a, nint stride, float* b, float* factors, float* sums) where V : struct where L : struct, ILanes<V>
    {
        V c00 = default, c01 = default, c02 = default, c10 = default, c11 = default, c12 = default, c20 = default, c21 = default, c22 = default, c30 = default, c31 = default, c32 = default;
        float* row = sums;
        if (factors is not null)
        {
            V f0 = L.Load(factors), f1 = L.Load(factors + L.Count), f2 = L.Load(factors + 2 * L.Count);
            c00 = L.Multiply(f0, L.Load(row)); c01 = L.Multiply(f1, L.Load(row + L.Count)); c02 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c10 = L.Multiply(f0, L.Load(row)); c11 = L.Multiply(f1, L.Load(row + L.Count)); c12 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c20 = L.Multiply(f0, L.Load(row)); c21 = L.Multiply(f1, L.Load(row + L.Count)); c22 = L.Multiply(f2, L.Load(row + 2 * L.Count)); row += Lanes;
            c30 = L.Multiply(f0, L.Load(row)); c31 = L.Multiply(f1, L.Load(row + L.Count)); c32 = L.Multiply(f2, L.Load(row + 2 * L.Count));
        }
        for (; depth > 0; depth--)
        {
            V b0 = L.Load(b), b1 = L.Load(b + L.Count), b2 = L.Load(b + 2 * L.Count);
            V x = L.Create(a[0]);
            c00 = L.Fma(x, b0, c00); c01 = L.Fma(x, b1, c01); c02 = L.Fma(x, b2, c02);
            x = L.Create(a[1]);
            c10 = L.Fma(x, b0, c10); c11 = L.Fma(x, b1, c11); c12 = L.Fma(x, b2, c12);
            x = L.Create(a[2]);
            c20 = L.Fma(x, b0, c20); c21 = L.Fma(x, b1, c21); c22 = L.Fma(x, b2, c22);
            x = L.Create(a[3]);
            c30 = L.Fma(x, b0, c30); c31 = L.Fma(x, b1, c31); c32 = L.Fma(x, b2, c32);
            a += stride;
            b += Lanes;
        }
        row = sums;
        L.Store(c00, row); L.Store(c01, row + L.Count); L.Store(c02, row + 2 * L.Count); row += Lanes;
        L.Store(c10, row); L.Store(c11, row + L.Count); L.Store(c12, row + 2 * L.Count); row += Lanes;
        L.Store(c20, row); L.Store(c21, row + L.Count); L.Store(c22, row + 2 * L.Count); row += Lanes;
        L.Store(c30, row); L.Store(c31, row + L.Count); L.Store(c32, row + 2 * L.Count);
    }
}
