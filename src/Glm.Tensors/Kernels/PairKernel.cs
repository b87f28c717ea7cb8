using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>
/// <see cref="MicroKernel.Run12x2"/> for panels of <see cref="PairPacking"/>: tile[i, j] = sum over p of a[p, i].0 * b[p, j].0 + a[p, i].1 * b[p, j].1, generated for
/// AVX-512 BF16 (VDPBF16PS), which takes subnormal numbers for zero. A whole tile goes to its place from the registers.
/// </summary>
internal static unsafe class PairKernel
{
    private const int Rows = 12, VectorBytes = 64;

    private static readonly Lazy<nint>[] Kernels = [.. Enumerable.Range(0, 8).Select(store => new Lazy<nint>(() => GeneratedCode.Place(Generate((PairStore)store))))];

    // The function's arguments (System V).
    private static readonly AssemblerRegister64 Depth = rdi, A = rsi, B = rdx, Target = rcx;
    private static readonly AssemblerRegisterZMM[] RightVectors = [zmm24, zmm25], LeftVectors = [zmm29, zmm30, zmm31];
    private static readonly AssemblerRegisterZMM[] Sums =
        [zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15, zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23];

    // The lower halves of Sums.
    private static readonly AssemblerRegisterYMM[] Narrowed =
        [ymm0, ymm1, ymm2, ymm3, ymm4, ymm5, ymm6, ymm7, ymm8, ymm9, ymm10, ymm11, ymm12, ymm13, ymm14, ymm15, ymm16, ymm17, ymm18, ymm19, ymm20, ymm21, ymm22, ymm23];

    /// <summary>A function of a number of pairs, the panels of A and B, and where the sums go. It is too short for the garbage collector to wait for.</summary>
    public static delegate* unmanaged[SuppressGCTransition]<nint, float*, float*, PairTarget*, void> Get(PairStore store) =>
        (delegate* unmanaged[SuppressGCTransition]<nint, float*, float*, PairTarget*, void>)Kernels[(int)store].Value;

    private static Assembler Generate(PairStore store)
    {
        var a = new Assembler(64);
        foreach (var sum in Sums) a.vpxord(sum, sum, sum);
        Label loop = a.CreateLabel(), end = a.CreateLabel();
        a.test(Depth, Depth);
        a.jz(end);
        a.Label(ref loop);
        for (int v = 0; v < RightVectors.Length; v++) a.vmovups(RightVectors[v], __zmmword_ptr[B + v * VectorBytes]);
        // Both sums of a row share one load: with a load for each, loads would be what a loop waits for.
        for (int i = 0; i < Sums.Length; i++)
        {
            if (i % 2 == 0) a.vbroadcastss(LeftVectors[i / 2 % 3], __dword_ptr[A + i / 2 * sizeof(float)]);
            a.vdpbf16ps(Sums[i], RightVectors[i % 2], LeftVectors[i / 2 % 3]);
        }
        a.add(A, Rows * sizeof(float));
        a.add(B, RightVectors.Length * VectorBytes);
        a.dec(Depth);
        a.jnz(loop);
        a.Label(ref end);
        var code = new PairStoreCode(a, store);
        code.Begin(Target);
        for (int i = 0; i < Sums.Length; i++)
        {
            code.Store(Sums[i], Narrowed[i], i % 2);
            if (i % 2 == 1) code.NextRow();
        }
        a.vzeroupper();
        a.ret();
        return a;
    }
}
