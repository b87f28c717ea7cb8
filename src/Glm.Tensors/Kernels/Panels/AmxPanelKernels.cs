using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>
/// Panel kernels generated for AMX (TDPBSUD). They compute what <see cref="PanelKernel"/> does.
/// <para>
/// A block of a panel is a tile as it lies, 8 rows of 16 times 4 bytes, and so are the 32 inputs of the rows of <see cref="InputTile"/>: one instruction sums up all
/// products of a block; scaling the sums is then most of the instructions. Nibbles and sums pass through the stack.
/// </para>
/// </summary>
internal static unsafe class AmxPanelKernels
{
    /// <summary>With fewer rows, a block is multiplied by VNNI while it is read.</summary>
    public const int MinRows = 8;

    private const int Vectors = PanelLayout.BlockInputs / 4, VectorBytes = 64, NibbleBytes = Vectors * VectorBytes, SumBytes = InputTile.MaxRows * VectorBytes;

    /// <summary>The kernels.</summary>
    public static GeneratedPanelKernels Kernels { get; } = new(shape => Generate(shape));

    // The registers of a kernel. Totals stay in the upper sixteen.
    private static readonly AssemblerRegister64 Weights = rsi, Inputs = rcx, Blocks = r8, Totals = r9, TotalsStride = r10, LineStride = rax, InputStride = rdx;
    private static readonly AssemblerRegisterZMM Scale = zmm8, NibbleMask = zmm9;
    private static readonly AssemblerRegisterZMM[] Sums =
        [zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31];
    private static readonly AssemblerRegisterZMM[] Temporaries = [zmm0, zmm1, zmm2, zmm3], Highs = [zmm4, zmm5, zmm6, zmm7];

    // Tiles: products of each plane, inputs of each plane, weights.
    private static readonly AssemblerRegisterTMM[] Products = [tmm0, tmm1], Planes = [tmm2, tmm3];
    private static readonly AssemblerRegisterTMM Block = tmm4;

    private static Assembler Generate(PanelKernelShape shape)
    {
        var a = new Assembler(64);
        InputTile tile = shape.Tile;
        Label configuration = a.CreateLabel(), loop = a.CreateLabel(), end = a.CreateLabel();
        a.push(rbp);
        a.mov(rbp, rsp);
        a.sub(rsp, NibbleBytes + 2 * SumBytes);
        a.and(rsp, -VectorBytes);
        a.ldtilecfg(__[configuration]);
        // The task comes in rdi (System V).
        a.mov(Weights, __qword_ptr[rdi]);
        a.mov(Inputs, __qword_ptr[rdi + 8]);
        a.mov(Blocks, __qword_ptr[rdi + 16]);
        a.mov(Totals, __qword_ptr[rdi + 24]);
        a.mov(TotalsStride, __qword_ptr[rdi + 32]);
        a.mov(eax, 0x0F0F0F0F);
        a.vpbroadcastd(NibbleMask, eax);
        a.mov(LineStride, VectorBytes);
        a.mov(InputStride, tile.RowBytes);
        for (int row = 0; row < tile.Rows; row++) a.vpxord(Sums[row], Sums[row], Sums[row]);
        a.test(Blocks, Blocks);
        a.jz(end);

        a.Label(ref loop);
        LoadBlock(a, shape);
        for (int plane = 0; plane < tile.Planes; plane++)
        {
            a.tilezero(Products[plane]);
            a.tileloadd(Planes[plane], __[Inputs + InputStride + plane * PanelLayout.BlockInputs]);
            a.tdpbsud(Products[plane], Planes[plane], Block);
            a.tilestored(__[rsp + LineStride + (NibbleBytes + plane * SumBytes)], Products[plane]);
        }
        if (shape.HasBlockScales) a.vcvtph2ps(Scale, __ymmword_ptr[Weights]);
        for (int row = 0; row < tile.Rows; row++) AddRow(a, shape, row);
        a.add(Weights, shape.BlockBytes);
        a.add(Inputs, tile.BlockBytes);
        a.dec(Blocks);
        a.jnz(loop);

        a.Label(ref end);
        a.tilerelease();
        for (int row = 0; row < tile.Rows; row++)
        {
            a.vmovups(__zmmword_ptr[Totals], Sums[row]);
            a.add(Totals, TotalsStride);
        }
        a.vzeroupper();
        a.mov(rsp, rbp);
        a.pop(rbp);
        a.ret();
        var sums = (tile.Rows, VectorBytes);
        var inputs = (tile.Rows, PanelLayout.BlockInputs);
        AmxTiles.Configuration(a, ref configuration, [sums, sums, inputs, inputs, (Vectors, VectorBytes)]);
        return a;
    }

    /// <summary>A block of weights into a tile, as unsigned bytes.</summary>
    private static void LoadBlock(Assembler a, in PanelKernelShape shape)
    {
        if (shape.Bits == 8)
        {
            a.tileloadd(Block, __[Weights + LineStride + shape.ScaleBytes]);
            return;
        }
        for (int v = 0; v < Vectors / 2; v++)
        {
            a.vmovdqu32(Temporaries[v], __zmmword_ptr[Weights + shape.ScaleBytes + v * VectorBytes]);
            a.vpsrlw(Highs[v], Temporaries[v], 4);
            a.vpandd(Temporaries[v], Temporaries[v], NibbleMask);
            a.vpandd(Highs[v], Highs[v], NibbleMask);
            a.vmovdqu32(__zmmword_ptr[rsp + v * VectorBytes], Temporaries[v]);
            a.vmovdqu32(__zmmword_ptr[rsp + (v + Vectors / 2) * VectorBytes], Highs[v]);
        }
        a.tileloadd(Block, __[rsp + LineStride]);
    }

    /// <summary>The sums of a row, corrected and scaled, to its totals.</summary>
    private static void AddRow(Assembler a, in PanelKernelShape shape, int row)
    {
        InputTile tile = shape.Tile;
        AssemblerRegisterZMM sum = Temporaries[row % Temporaries.Length], high = Highs[row % Highs.Length];
        a.vpbroadcastd(sum, __dword_ptr[Inputs + tile.CorrectionsOffset + row * sizeof(int)]);
        a.vpaddd(sum, sum, __zmmword_ptr[rsp + NibbleBytes + row * VectorBytes]);
        if (tile.Planes == 2)
        {
            a.vpslld(high, __zmmword_ptr[rsp + NibbleBytes + SumBytes + row * VectorBytes], 8);
            a.vpaddd(sum, sum, high);
        }
        a.vcvtdq2ps(sum, sum);
        if (shape.HasBlockScales) a.vmulps(sum, sum, Scale);
        a.vfmadd231ps(Sums[row], sum, __dword_bcst[Inputs + tile.ScalesOffset + row * sizeof(float)]);
    }
}
