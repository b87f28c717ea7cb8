using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>
/// <see cref="MicroKernel.Run12x2"/> for panels of <see cref="PairPacking"/>: tile[i, j] = sum over p of a[p, i].0 * b[p, j].0 + a[p, i].1 * b[p, j].1, generated for
/// AVX-512 BF16 (VDPBF16PS), which takes subnormal numbers for zero.
/// </summary>
internal static unsafe class PairKernel
{
    private const int Rows = 12, VectorBytes = 64;

    private static readonly Lazy<nint> Code = new(() => GeneratedCode.Place(Generate()));

    // The function's arguments (System V).
    private static readonly AssemblerRegister64 Depth = rdi, A = rsi, B = rdx, Tile = rcx;
    private static readonly AssemblerRegisterZMM[] Sums =
        [zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15, zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23];

    /// <summary>12 rows by 2 vectors, of <paramref name="depth"/> pairs. It is too short for the garbage collector to wait for.</summary>
    public static void Run12x2(nint depth, float* a, float* b, float* tile) =>
        ((delegate* unmanaged[SuppressGCTransition]<nint, float*, float*, float*, void>)Code.Value)(depth, a, b, tile);

    private static Assembler Generate()
    {
        var a = new Assembler(64);
        foreach (var sum in Sums) a.vpxord(sum, sum, sum);
        Label loop = a.CreateLabel(), end = a.CreateLabel();
        a.test(Depth, Depth);
        a.jz(end);
        a.Label(ref loop);
        a.vmovups(zmm24, __zmmword_ptr[B]);
        a.vmovups(zmm25, __zmmword_ptr[B + VectorBytes]);
        for (int row = 0; row < Rows; row++)
        {
            a.vdpbf16ps(Sums[2 * row], zmm24, __dword_bcst[A + row * sizeof(float)]);
            a.vdpbf16ps(Sums[2 * row + 1], zmm25, __dword_bcst[A + row * sizeof(float)]);
        }
        a.add(A, Rows * sizeof(float));
        a.add(B, 2 * VectorBytes);
        a.dec(Depth);
        a.jnz(loop);
        a.Label(ref end);
        for (int i = 0; i < Sums.Length; i++) a.vmovups(__zmmword_ptr[Tile + i * VectorBytes], Sums[i]);
        a.vzeroupper();
        a.ret();
        return a;
    }
}
