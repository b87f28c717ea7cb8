using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>
/// The microkernel of <see cref="Arithmetic.BFloat16Tiles"/>: 32 rows of <see cref="TilePacking"/> times 32 columns of <see cref="PairPacking"/>, generated for AMX
/// (TDPBF16PS), which takes subnormal numbers for zero and adds up the first numbers of 16 pairs apart from the second ones.
/// <para>
/// Four tiles of sums, two of A and two of B are all that there are: 64 lines are loaded for four products of 16 x 16 x 32. The sums pass through the stack on their way
/// to C, since no other instruction reads a tile.
/// </para>
/// </summary>
internal static unsafe class TileKernel
{
    /// <summary>Rows and columns of a product.</summary>
    public const int Size = 32;

    /// <summary>Pairs of k that an instruction multiplies; panels are padded to whole ones.</summary>
    public const int StepPairs = 16;

    private const int TileBytes = AmxTiles.MaxRows * AmxTiles.MaxRowBytes, SumsStride = Size * sizeof(float);

    private static readonly Lazy<nint>[] Kernels = [.. Enumerable.Range(0, 8).Select(store => new Lazy<nint>(() => GeneratedCode.Place(Generate((PairStore)store, 2))))];

    private static readonly Lazy<nint> UpperHalf = new(() => GeneratedCode.Place(Generate(PairStore.None, 1)));

    // The function's arguments (System V).
    private static readonly AssemblerRegister64 Depth = rdi, A = rsi, B = rdx, Target = rcx, StrideOfA = r10, StrideOfB = r11;

    /// <summary>As <see cref="PairKernel.Get"/>, for a number of pairs that is a multiple of <see cref="StepPairs"/>.</summary>
    public static delegate* unmanaged[SuppressGCTransition]<nint, float*, float*, PairTarget*, void> Get(PairStore store) =>
        (delegate* unmanaged[SuppressGCTransition]<nint, float*, float*, PairTarget*, void>)Kernels[(int)store].Value;

    /// <summary>The same without storing anything special, for a panel of A whose lower 16 rows nobody wants.</summary>
    public static delegate* unmanaged[SuppressGCTransition]<nint, float*, float*, PairTarget*, void> GetUpperHalf() =>
        (delegate* unmanaged[SuppressGCTransition]<nint, float*, float*, PairTarget*, void>)UpperHalf.Value;

    private static Assembler Generate(PairStore store, int rowTiles)
    {
        var a = new Assembler(64);
        Label configuration = a.CreateLabel(), loop = a.CreateLabel(), end = a.CreateLabel(), row = a.CreateLabel();
        a.push(rbp);
        a.mov(rbp, rsp);
        a.sub(rsp, Size * SumsStride);
        a.and(rsp, -AmxTiles.MaxRowBytes);
        a.ldtilecfg(__[configuration]);
        foreach (var sums in (AssemblerRegisterTMM[])[tmm0, tmm1, tmm2, tmm3]) a.tilezero(sums);
        a.mov(StrideOfA, AmxTiles.MaxRowBytes);
        a.mov(StrideOfB, Size * sizeof(float));
        a.test(Depth, Depth);
        a.jz(end);

        a.Label(ref loop);
        a.tileloadd(tmm4, __[A + StrideOfA]);
        a.tileloadd(tmm6, __[B + StrideOfB]);
        a.tdpbf16ps(tmm0, tmm4, tmm6);
        a.tileloadd(tmm7, __[B + StrideOfB + AmxTiles.MaxRowBytes]);
        a.tdpbf16ps(tmm1, tmm4, tmm7);
        if (rowTiles == 2)
        {
            a.tileloadd(tmm5, __[A + StrideOfA + TileBytes]);
            a.tdpbf16ps(tmm2, tmm5, tmm6);
            a.tdpbf16ps(tmm3, tmm5, tmm7);
        }
        a.add(A, 2 * TileBytes);
        a.add(B, 2 * TileBytes);
        a.sub(Depth, StepPairs);
        a.jnz(loop);

        a.Label(ref end);
        a.tilestored(__[rsp + StrideOfB], tmm0);
        a.tilestored(__[rsp + StrideOfB + AmxTiles.MaxRowBytes], tmm1);
        if (rowTiles == 2)
        {
            a.tilestored(__[rsp + StrideOfB + AmxTiles.MaxRows * SumsStride], tmm2);
            a.tilestored(__[rsp + StrideOfB + (AmxTiles.MaxRows * SumsStride + AmxTiles.MaxRowBytes)], tmm3);
        }
        a.tilerelease();

        var code = new PairStoreCode(a, store);
        code.Begin(Target);
        a.mov(Depth, rowTiles * AmxTiles.MaxRows);
        a.Label(ref row);
        for (int v = 0; v < 2; v++)
        {
            a.vmovups(v == 0 ? zmm0 : zmm1, __zmmword_ptr[rsp + v * AmxTiles.MaxRowBytes]);
            code.Store(v == 0 ? zmm0 : zmm1, v == 0 ? ymm0 : ymm1, v);
        }
        code.NextRow();
        a.add(rsp, SumsStride);
        a.dec(Depth);
        a.jnz(row);
        a.vzeroupper();
        a.mov(rsp, rbp);
        a.pop(rbp);
        a.ret();
        AmxTiles.Configuration(a, ref configuration, [.. Enumerable.Repeat((AmxTiles.MaxRows, AmxTiles.MaxRowBytes), 8)]);
        return a;
    }
}
