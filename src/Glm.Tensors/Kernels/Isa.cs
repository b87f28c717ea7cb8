using System.Runtime.Intrinsics.X86;

namespace Glm.Tensors;

/// <summary>The families of vector instructions for which kernels are written.</summary>
public enum InstructionSet
{
    /// <summary>128-bit vectors of any processor (SSE, NEON, or emulated).</summary>
    Portable,

    /// <summary>256-bit vectors with fused multiply-add.</summary>
    Avx2,

    /// <summary>512-bit vectors (F, BW, DQ, VL).</summary>
    Avx512,
}

/// <summary>What a process may generate code for, beyond the vectors that .NET has intrinsics for.</summary>
public enum CodeExtension
{
    /// <summary>Nothing is generated.</summary>
    None,

    /// <summary>AVX-512 VNNI: four products of bytes added up per 32-bit lane.</summary>
    Vnni,

    /// <summary>VNNI and AVX-512 BF16: two products of bfloat16 numbers added to a binary32 lane.</summary>
    BFloat16,

    /// <summary>BF16 and the tiles of AMX, for bfloat16 and bytes: products of 16 x 16 sums in one instruction.</summary>
    Amx,
}

/// <summary>Which instruction set the kernels of this process use; chosen once, at the first use.</summary>
public static class Isa
{
    private static readonly Lazy<InstructionSet> Chosen = new(() => Choose(Environment.GetEnvironmentVariable("GLM_ISA")));

    private static readonly Lazy<CodeExtension> ChosenExtension = new(() => ChooseExtension(Environment.GetEnvironmentVariable("GLM_ISA")));

    /// <summary>The best set that this machine has, or the one that the environment variable <c>GLM_ISA</c> names.</summary>
    /// <exception cref="GlmException"><c>GLM_ISA</c> names a set that is unknown or that this machine lacks.</exception>
    public static InstructionSet Current => Chosen.Value;

    /// <summary>What code is generated for: the most that this machine has short of AMX, unless <c>GLM_ISA</c> names another set.</summary>
    public static CodeExtension Extension => ChosenExtension.Value;

    /// <summary>What the kernels of this process use, as <c>GLM_ISA</c> would name it.</summary>
    public static string CurrentName => Extension == CodeExtension.None ? Name(Current) : Name(Extension);

    /// <summary>The sets that this machine has, the best one last.</summary>
    public static IReadOnlyList<InstructionSet> Available { get; } = [.. Enum.GetValues<InstructionSet>().Where(IsSupported)];

    /// <summary>The name that <c>GLM_ISA</c> takes: portable, avx2 or avx512; vnni, bf16 and amx stand for avx512 and generated code.</summary>
    public static string Name(InstructionSet isa) => isa.ToString().ToLowerInvariant();

    private static string Name(CodeExtension extension) => extension switch { CodeExtension.Amx => "amx", CodeExtension.BFloat16 => "bf16", _ => "vnni" };

    internal static InstructionSet Choose(string? wanted)
    {
        if (string.IsNullOrEmpty(wanted) || Extensions.Any(extension => Name(extension) == wanted)) return Available[^1];
        foreach (InstructionSet isa in Available)
            if (Name(isa) == wanted) return isa;
        throw new GlmException($"GLM_ISA: expected one of {string.Join(", ", [.. Available.Select(Name), .. Extensions.Select(Name)])} (what this machine has), found '{wanted}'");
    }

    private static CodeExtension ChooseExtension(string? wanted) =>
        string.IsNullOrEmpty(wanted) ? Extensions.LastOrDefault(IsDefault) : Extensions.FirstOrDefault(extension => Name(extension) == wanted);

    /// <summary>AMX has to be asked for: its kernels were checked in an emulator alone, and nobody has measured them.</summary>
    private static bool IsDefault(CodeExtension extension) => extension != CodeExtension.Amx;

    /// <summary>What code can be generated for on this machine, the most last.</summary>
    private static IEnumerable<CodeExtension> Extensions
    {
        get
        {
            if (HasVnni) yield return CodeExtension.Vnni;
            if (HasBFloat16) yield return CodeExtension.BFloat16;
            if (HasAmx) yield return CodeExtension.Amx;
        }
    }

    /// <summary>CPUID leaf 7, ECX bit 11; and memory that may hold code (see <see cref="ExecutableMemory"/>).</summary>
    internal static bool HasVnni { get; } =
        IsSupported(InstructionSet.Avx512) && (X86Base.CpuId(7, 0).Ecx & 1 << 11) != 0 && ExecutableMemory.IsAllowed;

    /// <summary>VNNI, and CPUID leaf 7, subleaf 1, EAX bit 5.</summary>
    internal static bool HasBFloat16 { get; } = HasVnni && (X86Base.CpuId(7, 1).Eax & 1 << 5) != 0;

    /// <summary>BF16, and tiles that the system lets us use.</summary>
    internal static bool HasAmx { get; } = HasBFloat16 && AmxTiles.AreAllowed;

    private static bool IsSupported(InstructionSet isa) => isa switch
    {
        InstructionSet.Avx512 => Avx512F.IsSupported && Avx512BW.IsSupported && Avx512DQ.IsSupported && Avx512F.VL.IsSupported,
        InstructionSet.Avx2 => Avx2.IsSupported && Fma.IsSupported,
        _ => true,
    };
}
