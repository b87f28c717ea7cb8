using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// The product of a panel and a tile of inputs, in C#; code generated for the processor gives the same bits.
/// <para>
/// For each block, ascending, with unsigned weights u, inputs q (two planes: 256 high + low) and the correction c of the row:
/// integer sum s = c + sum of u q, exact; sum = fma(float(s) * weight scale, input scale, sum), without the weight scale where blocks have none.
/// </para>
/// </summary>
internal static unsafe class PanelKernel
{
    /// <summary>Multiplies with the given vectors.</summary>
    public static void Run(in PanelKernelShape shape, in PanelTask task, InstructionSet isa)
    {
        switch (isa)
        {
            case InstructionSet.Avx512: Run<BlockDot512>(shape, task, isa); break;
            case InstructionSet.Avx2: Run<BlockDot256>(shape, task, isa); break;
            default: Run<BlockDotPortable>(shape, task, isa); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<TDot>(in PanelKernelShape shape, in PanelTask task, InstructionSet isa) where TDot : struct, IBlockDot
    {
        InputTile tile = shape.Tile;
        for (int row = 0; row < tile.Rows; row++) Vector512<float>.Zero.Store((float*)((byte*)task.Sums + row * task.SumsStride));
        byte* weights = task.Weights, inputs = task.Inputs;
        int* low = stackalloc int[PanelLayout.PanelRows], high = stackalloc int[PanelLayout.PanelRows];
        float* wide = stackalloc float[PanelLayout.PanelRows];
        Vector512<float> scales = Vector512<float>.One;
        for (nint block = 0; block < task.Blocks; block++, weights += shape.BlockBytes, inputs += tile.BlockBytes)
        {
            if (shape.HasBlockScales)
            {
                Conversion.Widen(weights, DType.Float16, wide, PanelLayout.PanelRows, isa);
                scales = Vector512.Load(wide);
            }
            for (int row = 0; row < tile.Rows; row++)
            {
                sbyte* q = (sbyte*)inputs + row * tile.RowBytes;
                TDot.Dot(shape.Bits, weights + shape.ScaleBytes, q, low);
                Vector512<int> sum = Vector512.Load(low) + Vector512.Create(((int*)(inputs + tile.CorrectionsOffset))[row]);
                if (tile.Planes == 2)
                {
                    TDot.Dot(shape.Bits, weights + shape.ScaleBytes, q + PanelLayout.BlockInputs, high);
                    sum += Vector512.Load(high) << 8;
                }
                float* sums = (float*)((byte*)task.Sums + row * task.SumsStride);
                Vector512<float> scale = Vector512.Create(((float*)(inputs + tile.ScalesOffset))[row]);
                Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(sum) * scales, scale, Vector512.Load(sums)).Store(sums);
            }
        }
    }
}
