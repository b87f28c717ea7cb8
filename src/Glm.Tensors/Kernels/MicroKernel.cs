using System.Runtime.CompilerServices;

namespace Glm.Tensors;

/// <summary>
/// The innermost loops of a matrix product: a tile of sums that stays in registers, tile[i, j] = sum over k of a[k, i] * b[k, j],
/// by fused multiply-add with k ascending from zero. <c>a</c> and <c>b</c> are packed: all rows (columns) of one k lie together.
/// Every element has its own chain of operations, so tiles of all shapes and widths of vectors give the same bits.
/// </summary>
internal static unsafe class MicroKernel
{
    /// <summary>4 rows by 3 vectors: 12 sums, for 16 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run4x3<V, L>(nint depth, float* a, float* b, float* tile) where V : struct where L : struct, ILanes<V>
    {
        V c00 = default, c01 = default, c02 = default, c10 = default, c11 = default, c12 = default, c20 = default, c21 = default, c22 = default, c30 = default, c31 = default, c32 = default;
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
            a += 4;
            b += 3 * L.Count;
        }
        L.Store(c00, tile); L.Store(c01, tile + L.Count); L.Store(c02, tile + 2 * L.Count);
        L.Store(c10, tile + 3 * L.Count); L.Store(c11, tile + 4 * L.Count); L.Store(c12, tile + 5 * L.Count);
        L.Store(c20, tile + 6 * L.Count); L.Store(c21, tile + 7 * L.Count); L.Store(c22, tile + 8 * L.Count);
        L.Store(c30, tile + 9 * L.Count); L.Store(c31, tile + 10 * L.Count); L.Store(c32, tile + 11 * L.Count);
    }

    /// <summary>12 rows by 2 vectors: 24 sums, for 32 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run12x2<V, L>(nint depth, float* a, float* b, float* tile) where V : struct where L : struct, ILanes<V>
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        V c60 = default, c61 = default, c70 = default, c71 = default, c80 = default, c81 = default, c90 = default, c91 = default, ca0 = default, ca1 = default, cb0 = default, cb1 = default;
        for (; depth > 0; depth--)
        {
            V b0 = L.Load(b), b1 = L.Load(b + L.Count);
            V x = L.Create(a[0]);
            c00 = L.Fma(x, b0, c00); c01 = L.Fma(x, b1, c01);
            x = L.Create(a[1]);
            c10 = L.Fma(x, b0, c10); c11 = L.Fma(x, b1, c11);
            x = L.Create(a[2]);
            c20 = L.Fma(x, b0, c20); c21 = L.Fma(x, b1, c21);
            x = L.Create(a[3]);
            c30 = L.Fma(x, b0, c30); c31 = L.Fma(x, b1, c31);
            x = L.Create(a[4]);
            c40 = L.Fma(x, b0, c40); c41 = L.Fma(x, b1, c41);
            x = L.Create(a[5]);
            c50 = L.Fma(x, b0, c50); c51 = L.Fma(x, b1, c51);
            x = L.Create(a[6]);
            c60 = L.Fma(x, b0, c60); c61 = L.Fma(x, b1, c61);
            x = L.Create(a[7]);
            c70 = L.Fma(x, b0, c70); c71 = L.Fma(x, b1, c71);
            x = L.Create(a[8]);
            c80 = L.Fma(x, b0, c80); c81 = L.Fma(x, b1, c81);
            x = L.Create(a[9]);
            c90 = L.Fma(x, b0, c90); c91 = L.Fma(x, b1, c91);
            x = L.Create(a[10]);
            ca0 = L.Fma(x, b0, ca0); ca1 = L.Fma(x, b1, ca1);
            x = L.Create(a[11]);
            cb0 = L.Fma(x, b0, cb0); cb1 = L.Fma(x, b1, cb1);
            a += 12;
            b += 2 * L.Count;
        }
        L.Store(c00, tile); L.Store(c01, tile + L.Count);
        L.Store(c10, tile + 2 * L.Count); L.Store(c11, tile + 3 * L.Count);
        L.Store(c20, tile + 4 * L.Count); L.Store(c21, tile + 5 * L.Count);
        L.Store(c30, tile + 6 * L.Count); L.Store(c31, tile + 7 * L.Count);
        L.Store(c40, tile + 8 * L.Count); L.Store(c41, tile + 9 * L.Count);
        L.Store(c50, tile + 10 * L.Count); L.Store(c51, tile + 11 * L.Count);
        L.Store(c60, tile + 12 * L.Count); L.Store(c61, tile + 13 * L.Count);
        L.Store(c70, tile + 14 * L.Count); L.Store(c71, tile + 15 * L.Count);
        L.Store(c80, tile + 16 * L.Count); L.Store(c81, tile + 17 * L.Count);
        L.Store(c90, tile + 18 * L.Count); L.Store(c91, tile + 19 * L.Count);
        L.Store(ca0, tile + 20 * L.Count); L.Store(ca1, tile + 21 * L.Count);
        L.Store(cb0, tile + 22 * L.Count); L.Store(cb1, tile + 23 * L.Count);
    }
}
