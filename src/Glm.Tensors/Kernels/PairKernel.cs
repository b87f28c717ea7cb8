using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>What a <see cref="PairKernel"/> does with its sums.</summary>
[Flags]
internal enum PairStore
{
    /// <summary>c = alpha * sum, binary32.</summary>
    None = 0,

    /// <summary>c = alpha * sum + c.</summary>
    Add = 1,

    /// <summary>Adds a number of its own to each column.</summary>
    Bias = 2,

    /// <summary>c is bfloat16.</summary>
    Narrow = 4,
}

/// <summary>Where the sums of a tile go.</summary>
internal readonly unsafe struct PairTarget
{
    /// <summary>First element, and bytes from a row to the next.</summary>
    public required void* C { get; init; }
    public required nint Stride { get; init; }

    /// <summary>32 numbers, with <see cref="PairStore.Bias"/>.</summary>
    public float* Bias { get; init; }

    public required float Alpha { get; init; }
}

/// <summary>
/// <see cref="MicroKernel.Run12x2"/> for panels of <see cref="PairPacking"/>: tile[i, j] = sum over p of a[p, i].0 * b[p, j].0 + a[p, i].1 * b[p, j].1, generated for
/// AVX-512 BF16 (VDPBF16PS), which takes subnormal numbers for zero. A whole tile goes to its place from the registers.
/// </summary>
internal static unsafe class PairKernel
{
    private const int Rows = 12, VectorBytes = 64;

    private static readonly Lazy<nint>[] Kernels = [.. Enumerable.Range(0, 8).Select(store => new Lazy<nint>(() => GeneratedCode.Place(Generate((PairStore)store))))];

    // The function's arguments (System V).
    private static readonly AssemblerRegister64 Depth = rdi, A = rsi, B = rdx, Target = rcx, C = rax, Stride = r8, BiasAddress = r9;
    private static readonly AssemblerRegisterZMM Alpha = zmm26;
    private static readonly AssemblerRegisterZMM[] RightVectors = [zmm24, zmm25], LeftVectors = [zmm29, zmm30, zmm31], BiasVectors = [zmm27, zmm28];
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
        Store(a, store);
        a.vzeroupper();
        a.ret();
        return a;
    }

    private static void Store(Assembler a, PairStore store)
    {
        a.mov(C, __qword_ptr[Target]);
        a.mov(Stride, __qword_ptr[Target + 8]);
        a.vbroadcastss(Alpha, __dword_ptr[Target + 24]);
        if (store.HasFlag(PairStore.Bias))
        {
            a.mov(BiasAddress, __qword_ptr[Target + 16]);
            for (int v = 0; v < BiasVectors.Length; v++) a.vmovups(BiasVectors[v], __zmmword_ptr[BiasAddress + v * VectorBytes]);
        }
        bool narrow = store.HasFlag(PairStore.Narrow);
        for (int i = 0; i < Sums.Length; i++)
        {
            var place = C + i % 2 * (narrow ? VectorBytes / 2 : VectorBytes);
            if (store.HasFlag(PairStore.Add)) a.vfmadd213ps(Sums[i], Alpha, __zmmword_ptr[place]);
            else a.vmulps(Sums[i], Sums[i], Alpha);
            if (store.HasFlag(PairStore.Bias)) a.vaddps(Sums[i], Sums[i], BiasVectors[i % 2]);
            if (narrow)
            {
                a.vcvtneps2bf16(Narrowed[i], Sums[i]);
                a.vmovdqu32(__ymmword_ptr[place], Narrowed[i]);
            }
            else
            {
                a.vmovups(__zmmword_ptr[place], Sums[i]);
            }
            if (i % 2 == 1) a.add(C, Stride);
        }
    }
}
