using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Glm.Tensors;

/// <summary>
/// Panel kernels generated for AVX-512 VNNI. They compute what <see cref="PanelKernel"/> does.
/// <para>
/// The eight vectors of a block of weights are unpacked into registers once and multiplied by the inputs of every row of the tile, which the multiplier
/// reads from memory, four bytes for all lanes. Rows are done a few at a time, so that their chains of additions overlap.
/// </para>
/// </summary>
internal static unsafe class VnniPanelKernels
{
    private const int Vectors = PanelLayout.BlockInputs / 4, VectorBytes = 64;

    /// <summary>How far ahead weights are fetched: some blocks, so that memory answers in time.</summary>
    private const int FetchAhead = 2048;

    /// <summary>The kernels.</summary>
    public static GeneratedPanelKernels Kernels { get; } = new(shape => Generate(shape));

    // The registers of a kernel. Sums stay in the upper sixteen.
    private static readonly AssemblerRegister64 Weights = rsi, Inputs = rcx, Blocks = r8, Sums = r9, SumsStride = r10;
    private static readonly AssemblerRegisterZMM Scale = zmm8, NibbleMask = zmm9;
    private static readonly AssemblerRegisterZMM[] Unpacked = [zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7];
    private static readonly AssemblerRegisterZMM[] Chains = [zmm10, zmm11, zmm12, zmm13, zmm14, zmm15];
    private static readonly AssemblerRegisterZMM[] Totals =
        [zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31];

    private static Assembler Generate(PanelKernelShape shape)
    {
        var a = new Assembler(64);
        InputTile tile = shape.Tile;
        // The task comes in rdi (System V).
        a.mov(Weights, __qword_ptr[rdi]);
        a.mov(Inputs, __qword_ptr[rdi + 8]);
        a.mov(Blocks, __qword_ptr[rdi + 16]);
        a.mov(Sums, __qword_ptr[rdi + 24]);
        a.mov(SumsStride, __qword_ptr[rdi + 32]);
        a.mov(eax, 0x0F0F0F0F);
        a.vpbroadcastd(NibbleMask, eax);
        for (int row = 0; row < tile.Rows; row++) a.vpxord(Totals[row], Totals[row], Totals[row]);

        Label loop = a.CreateLabel(), end = a.CreateLabel();
        a.test(Blocks, Blocks);
        a.jz(end);
        a.Label(ref loop);
        if (IsSlow(shape)) Fetch(a, shape);
        Unpack(a, shape);
        int rowsAtOnce = Chains.Length / tile.Planes;
        for (int row = 0; row < tile.Rows; row += rowsAtOnce) MultiplyRows(a, shape, row, Math.Min(rowsAtOnce, tile.Rows - row));
        a.add(Weights, shape.BlockBytes);
        a.add(Inputs, tile.BlockBytes);
        a.dec(Blocks);
        a.jnz(loop);
        a.Label(ref end);
        for (int row = 0; row < tile.Rows; row++)
        {
            a.vmovups(__zmmword_ptr[Sums], Totals[row]);
            a.add(Sums, SumsStride);
        }
        a.vzeroupper();
        a.ret();
        return a;
    }

    /// <summary>
    /// Whether multiplying a block takes longer than reading it. The processor then sees too few of the loads to come; with fewer rows it sees enough of them,
    /// and fetching would only be more work.
    /// </summary>
    private static bool IsSlow(in PanelKernelShape shape) => shape.Tile.Rows * shape.Tile.Planes >= shape.Bits;

    private static void Fetch(Assembler a, in PanelKernelShape shape)
    {
        for (int line = 0; line < shape.BlockBytes; line += VectorBytes) a.prefetcht0(__byte_ptr[Weights + FetchAhead + line]);
    }

    /// <summary>A block of weights into registers, as unsigned bytes.</summary>
    private static void Unpack(Assembler a, in PanelKernelShape shape)
    {
        if (shape.Bits == 8)
        {
            for (int v = 0; v < Vectors; v++) a.vmovdqu32(Unpacked[v], __zmmword_ptr[Weights + shape.ScaleBytes + v * VectorBytes]);
        }
        else
        {
            for (int v = 0; v < Vectors / 2; v++)
            {
                a.vmovdqu32(Unpacked[v], __zmmword_ptr[Weights + shape.ScaleBytes + v * VectorBytes]);
                a.vpsrlw(Unpacked[v + Vectors / 2], Unpacked[v], 4);
                a.vpandd(Unpacked[v], Unpacked[v], NibbleMask);
                a.vpandd(Unpacked[v + Vectors / 2], Unpacked[v + Vectors / 2], NibbleMask);
            }
        }
        if (shape.HasBlockScales) a.vcvtph2ps(Scale, __ymmword_ptr[Weights]);
    }

    /// <summary>
    /// A few rows of the tile times the unpacked block: a chain of additions per row, or two for two planes. A single chain would keep the multiplier
    /// waiting, so it is cut in two.
    /// </summary>
    private static void MultiplyRows(Assembler a, in PanelKernelShape shape, int first, int rows)
    {
        InputTile tile = shape.Tile;
        bool isSingle = rows * tile.Planes == 1;
        if (isSingle) a.vpxord(Chains[1], Chains[1], Chains[1]);
        for (int row = 0; row < rows; row++)
        {
            a.vpbroadcastd(Chains[row], __dword_ptr[Inputs + tile.CorrectionsOffset + (first + row) * sizeof(int)]);
            if (tile.Planes == 2) a.vpxord(Chains[rows + row], Chains[rows + row], Chains[rows + row]);
        }
        for (int v = 0; v < Vectors; v++)
            for (int plane = 0; plane < tile.Planes; plane++)
                for (int row = 0; row < rows; row++)
                    a.vpdpbusd(Chains[isSingle ? v % 2 : plane * rows + row], Unpacked[v],
                        __dword_bcst[Inputs + (first + row) * tile.RowBytes + plane * PanelLayout.BlockInputs + v * 4]);
        if (isSingle) a.vpaddd(Chains[0], Chains[0], Chains[1]);
        for (int row = 0; row < rows; row++)
        {
            if (tile.Planes == 2)
            {
                a.vpslld(Chains[rows + row], Chains[rows + row], 8);
                a.vpaddd(Chains[row], Chains[row], Chains[rows + row]);
            }
            a.vcvtdq2ps(Chains[row], Chains[row]);
            if (shape.HasBlockScales) a.vmulps(Chains[row], Chains[row], Scale);
            a.vfmadd231ps(Totals[first + row], Chains[row], __dword_bcst[Inputs + tile.ScalesOffset + (first + row) * sizeof(float)]);
        }
    }
}
