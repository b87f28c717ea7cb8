using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>What a kernel of pairs does with its sums.</summary>
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

/// <summary>The code that brings rows of 32 sums from two registers to their place; it keeps to rax, r8, r9 and zmm26 to zmm28.</summary>
internal readonly struct PairStoreCode(Assembler a, PairStore store)
{
    private const int VectorBytes = 64;

    private static readonly AssemblerRegister64 C = rax, Stride = r8, BiasAddress = r9;
    private static readonly AssemblerRegisterZMM Alpha = zmm26;
    private static readonly AssemblerRegisterZMM[] BiasVectors = [zmm27, zmm28];

    /// <summary>Reads the <see cref="PairTarget"/> that a register points to.</summary>
    public void Begin(AssemblerRegister64 target)
    {
        a.mov(C, __qword_ptr[target]);
        a.mov(Stride, __qword_ptr[target + 8]);
        a.vbroadcastss(Alpha, __dword_ptr[target + 24]);
        if (!store.HasFlag(PairStore.Bias)) return;
        a.mov(BiasAddress, __qword_ptr[target + 16]);
        for (int v = 0; v < BiasVectors.Length; v++) a.vmovups(BiasVectors[v], __zmmword_ptr[BiasAddress + v * VectorBytes]);
    }

    /// <summary>The first (0) or second vector of a row; <paramref name="narrowed"/> is the lower half of <paramref name="sum"/>.</summary>
    public void Store(AssemblerRegisterZMM sum, AssemblerRegisterYMM narrowed, int vector)
    {
        bool narrow = store.HasFlag(PairStore.Narrow);
        var place = C + vector * (narrow ? VectorBytes / 2 : VectorBytes);
        if (store.HasFlag(PairStore.Add)) a.vfmadd213ps(sum, Alpha, __zmmword_ptr[place]);
        else a.vmulps(sum, sum, Alpha);
        if (store.HasFlag(PairStore.Bias)) a.vaddps(sum, sum, BiasVectors[vector]);
        if (narrow)
        {
            a.vcvtneps2bf16(narrowed, sum);
            a.vmovdqu32(__ymmword_ptr[place], narrowed);
        }
        else
        {
            a.vmovups(__zmmword_ptr[place], sum);
        }
    }

    /// <summary>What follows is a row further down.</summary>
    public void NextRow() => a.add(C, Stride);
}
