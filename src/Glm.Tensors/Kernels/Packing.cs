using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// Copies parts of a matrix into the order in which a microkernel reads them: panels of <c>width</c> rows ("lanes"), and in a
/// panel all lanes of one column (k) together, as binary32 whatever the matrix holds. Lanes beyond the matrix are zero.
/// The right matrix of a product is packed as its transpose.
/// </summary>
internal static unsafe class Packing
{
    /// <summary>The widest panel of all microkernels.</summary>
    public const int MaxLanes = 32;

    /// <summary>How many columns are converted at a time; a stage of this depth fits the first-level cache.</summary>
    public const int StageDepth = 64;

    /// <summary>
    /// Packs rows [<paramref name="row"/>, + <paramref name="lanes"/>) and columns [<paramref name="column"/>, + <paramref name="depth"/>)
    /// of <paramref name="m"/> into <paramref name="target"/> [depth, width]. <paramref name="stage"/> has room for
    /// <see cref="MaxLanes"/> * <see cref="StageDepth"/> floats.
    /// </summary>
    public static void PackPanel(in Matrix m, nint row, int lanes, nint column, int depth, int width, float* target, float* stage, InstructionSet isa)
    {
        bool lanesAreContiguous = m.Scales is null ? m.RowStride == 1 && m.ColumnStride != 1 : m.ScaledByColumn;
        if (lanesAreContiguous)
            CopyLanes(m.Transposed, column, depth, row, lanes, width, target, isa);
        else if (m.Type == DType.Float32 && m.ColumnStride == 1)
            Transpose((float*)m.At(row, column), m.RowStride, lanes, depth, width, target);
        else
            for (int done = 0; done < depth; done += StageDepth)
            {
                int part = Math.Min(StageDepth, depth - done);
                for (int lane = 0; lane < lanes; lane++)
                    Elements.Load(m, row + lane, column + done, part, stage + lane * StageDepth, isa);
                Transpose(stage, StageDepth, lanes, part, width, target + (nint)done * width);
            }
    }

    private static void CopyLanes(in Matrix m, nint row, int depth, nint column, int lanes, int width, float* target, InstructionSet isa)
    {
        for (int k = 0; k < depth; k++, target += width)
        {
            Elements.Load(m, row + k, column, lanes, target, isa);
            for (int lane = lanes; lane < width; lane++) target[lane] = 0;
        }
    }

    /// <summary>target[k * width + lane] = source[lane * stride + k]</summary>
    private static void Transpose(float* source, nint stride, int lanes, int depth, int width, float* target)
    {
        // A chunk of the panel stays in the first-level cache while its groups of four lanes are filled.
        for (int done = 0; done < depth; done += StageDepth)
        {
            int part = Math.Min(StageDepth, depth - done);
            int lane = 0;
            for (; lane + 4 <= lanes; lane += 4)
                TransposeFour(source + lane * stride + done, stride, part, width, target + (nint)done * width + lane);
            for (; lane < width; lane++)
                for (int k = done; k < done + part; k++)
                    target[(nint)k * width + lane] = lane < lanes ? source[lane * stride + k] : 0;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransposeFour(float* source, nint stride, int depth, int width, float* target)
    {
        float* s0 = source, s1 = source + stride, s2 = source + 2 * stride, s3 = source + 3 * stride;
        int k = 0;
        for (; k + 4 <= depth; k += 4)
        {
            Vector128<float> r0 = Vector128.Load(s0 + k), r1 = Vector128.Load(s1 + k), r2 = Vector128.Load(s2 + k), r3 = Vector128.Load(s3 + k);
            Vector128<float> low02 = Interleave.Low(r0, r2), high02 = Interleave.High(r0, r2);
            Vector128<float> low13 = Interleave.Low(r1, r3), high13 = Interleave.High(r1, r3);
            Interleave.Low(low02, low13).Store(target);
            Interleave.High(low02, low13).Store(target + width);
            Interleave.Low(high02, high13).Store(target + 2 * width);
            Interleave.High(high02, high13).Store(target + 3 * width);
            target += 4 * width;
        }
        for (; k < depth; k++, target += width)
        {
            target[0] = s0[k];
            target[1] = s1[k];
            target[2] = s2[k];
            target[3] = s3[k];
        }
    }
}
