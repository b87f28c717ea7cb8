using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>Functions generated at run time for instructions that .NET has no intrinsics for.</summary>
internal static unsafe class GeneratedCode
{
    private const int Rounds = 200_000;

    /// <summary>Operations (multiply and add count as two) of a call of <see cref="VnniLoop"/>.</summary>
    public const double VnniOperations = Rounds * 10.0 * 64 * 2;

    /// <summary>The same of a call of <see cref="BFloat16Loop"/>.</summary>
    public const double BFloat16Operations = Rounds * 10.0 * 32 * 2;

    /// <summary>The same of a call of <see cref="TileLoop"/>.</summary>
    public const double TileOperations = Rounds * 4.0 * 16 * 16 * 32 * 2;

    /// <summary>The same of a call of <see cref="ByteTileLoop"/>.</summary>
    public const double ByteTileOperations = 2 * TileOperations;

    private static readonly Lazy<nint> Vnni = new(() => Place(MakeLoop((a, chain) => a.vpdpbusd(chain, zmm31, zmm31))));

    private static readonly Lazy<nint> BFloat16 = new(() => Place(MakeLoop((a, chain) => a.vdpbf16ps(chain, zmm31, zmm31))));

    private static readonly Lazy<nint> Tiles = new(() => Place(MakeTileLoop((a, chain) => a.tdpbf16ps(chain, tmm6, tmm7))));

    private static readonly Lazy<nint> ByteTiles = new(() => Place(MakeTileLoop((a, chain) => a.tdpbsud(chain, tmm6, tmm7))));

    /// <summary>Ten independent chains of VNNI in registers: as much of it as a processor can do.</summary>
    public static delegate* unmanaged<void> VnniLoop => (delegate* unmanaged<void>)Vnni.Value;

    /// <summary>Ten chains of VDPBF16PS.</summary>
    public static delegate* unmanaged<void> BFloat16Loop => (delegate* unmanaged<void>)BFloat16.Value;

    /// <summary>Four chains of TDPBF16PS.</summary>
    public static delegate* unmanaged<void> TileLoop => (delegate* unmanaged<void>)Tiles.Value;

    /// <summary>Four chains of TDPBSUD.</summary>
    public static delegate* unmanaged<void> ByteTileLoop => (delegate* unmanaged<void>)ByteTiles.Value;

    /// <summary>Assembles code and makes it executable.</summary>
    /// <exception cref="GlmException">The system gives no more memory for code.</exception>
    public static nint Place(Assembler assembler)
    {
        using var code = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(code), 0);
        nint address = (nint)ExecutableMemory.Place(code.ToArray());
        return address != 0 ? address : throw new GlmException("the system gives no memory for generated code; GLM_ISA=avx512 does without");
    }

    private static Assembler MakeLoop(Action<Assembler, AssemblerRegisterZMM> multiply)
    {
        var a = new Assembler(64);
        AssemblerRegisterZMM[] chains = [zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25];
        foreach (var chain in chains) a.vpxord(chain, chain, chain);
        a.vpxord(zmm31, zmm31, zmm31);
        a.mov(eax, Rounds);
        Label loop = a.CreateLabel();
        a.Label(ref loop);
        foreach (var chain in chains) multiply(a, chain);
        a.dec(eax);
        a.jnz(loop);
        a.vzeroupper();
        a.ret();
        return a;
    }

    private static Assembler MakeTileLoop(Action<Assembler, AssemblerRegisterTMM> multiply)
    {
        var a = new Assembler(64);
        AssemblerRegisterTMM[] chains = [tmm0, tmm1, tmm2, tmm3];
        Label configuration = a.CreateLabel(), loop = a.CreateLabel();
        a.ldtilecfg(__[configuration]);
        a.mov(eax, Rounds);
        a.Label(ref loop);
        foreach (var chain in chains) multiply(a, chain);
        a.dec(eax);
        a.jnz(loop);
        a.tilerelease();
        a.ret();
        AmxTiles.Configuration(a, ref configuration, [.. Enumerable.Repeat((AmxTiles.MaxRows, AmxTiles.MaxRowBytes), 8)]);
        return a;
    }
}
