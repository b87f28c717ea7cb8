using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>
/// <see cref="AttentionTile"/> for pairs of bfloat16, the first in the lower half of 32 bits, generated for AVX-512 BF16 (VDPBF16PS, which takes subnormal numbers for
/// zero): twice as many products in the same time.
/// </summary>
internal static unsafe class AttentionPairTile
{
    private const int VectorBytes = 64, Vectors = AttentionTile.Lanes * sizeof(float) / VectorBytes;

    private static readonly Lazy<nint> Kernel = new(() => GeneratedCode.Place(Generate()));

    // The function's arguments (System V).
    private static readonly AssemblerRegister64 Depth = rdi, A = rsi, Stride = rdx, B = rcx, Factors = r8, Target = r9;
    private static readonly AssemblerRegisterZMM[] Right = [zmm24, zmm25, zmm26], Left = [zmm27, zmm28, zmm29, zmm30];
    private static readonly AssemblerRegisterZMM[] Sums =
        [zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15, zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23];

    /// <summary>
    /// sums[i, lane] = factors[lane] * sums[i, lane] + sum over k of a[k * stride + i].0 * b[k, lane].0 + a[k * stride + i].1 * b[k, lane].1, k a pair; without
    /// <paramref name="factors"/> the sums begin at zero.
    /// </summary>
    public static void Run(nint depth, float* a, nint stride, float* b, float* factors, float* sums) =>
        ((delegate* unmanaged[SuppressGCTransition]<nint, float*, nint, float*, float*, float*, void>)Kernel.Value)(depth, a, stride * sizeof(float), b, factors, sums);

    private static Assembler Generate()
    {
        var a = new Assembler(64);
        Label fresh = a.CreateLabel(), begin = a.CreateLabel(), loop = a.CreateLabel(), end = a.CreateLabel();
        a.test(Factors, Factors);
        a.jz(fresh);
        for (int v = 0; v < Vectors; v++) a.vmovups(Right[v], __zmmword_ptr[Factors + v * VectorBytes]);
        for (int i = 0; i < Sums.Length; i++) a.vmulps(Sums[i], Right[i % Vectors], __zmmword_ptr[Target + i * VectorBytes]);
        a.jmp(begin);
        a.Label(ref fresh);
        foreach (var sum in Sums) a.vpxord(sum, sum, sum);
        a.Label(ref begin);
        a.test(Depth, Depth);
        a.jz(end);
        a.Label(ref loop);
        for (int v = 0; v < Vectors; v++) a.vmovups(Right[v], __zmmword_ptr[B + v * VectorBytes]);
        for (int row = 0; row < AttentionTile.Rows; row++)
        {
            var left = Left[row % Left.Length];
            a.vbroadcastss(left, __dword_ptr[A + row * sizeof(float)]);
            for (int v = 0; v < Vectors; v++) a.vdpbf16ps(Sums[row * Vectors + v], Right[v], left);
        }
        a.add(A, Stride);
        a.add(B, Vectors * VectorBytes);
        a.dec(Depth);
        a.jnz(loop);
        a.Label(ref end);
        for (int i = 0; i < Sums.Length; i++) a.vmovups(__zmmword_ptr[Target + i * VectorBytes], Sums[i]);
        a.vzeroupper();
        a.ret();
        return a;
    }
}
