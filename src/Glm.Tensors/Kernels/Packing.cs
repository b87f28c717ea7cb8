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
    public const int MaxWidth = 32;

    /// <summary>How many columns are converted or transposed at a time, so that the part stays in the first-level cache.</summary>
    private const int StageDepth = 64;

    /// <summary>Floats that a stage must have room for.</summary>
    public const int StageSize = MaxWidth * StageDepth;

    /// <summary>
    /// Packs rows [<paramref name="row"/>, + <paramref name="lanes"/>) and columns [<paramref name="column"/>, + <paramref name="depth"/>)
    /// of <paramref name="m"/> into panels [depth, width], one after another from <paramref name="target"/> on.
    /// <paramref name="stage"/> has room for <see cref="StageSize"/> floats, and there are no more lanes than that.
    /// </summary>
    public static void Pack(in Matrix m, nint row, int lanes, nint column, int depth, int width, float* target, float* stage, InstructionSet isa)
    {
        if (LanesAreContiguous(m))
            CopyLanes(m.Transposed, column, depth, row, lanes, width, target, stage, isa);
        else
            for (int lane = 0; lane < lanes; lane += width, target += (nint)depth * width)
                TransposePanel(m, row + lane, Math.Min(width, lanes - lane), column, depth, width, target, stage, isa);
    }

    /// <summary>Whether the rows of one column lie one after another, so that a matrix is read column by column.</summary>
    internal static bool LanesAreContiguous(in Matrix m) => m.Scales is null ? m.RowStride == 1 && m.ColumnStride != 1 && !m.Type.IsBlock() : m.ScaledByColumn;

    /// <summary>The lanes of one k are contiguous: they are cut into the pieces of all panels, so that memory is read in long runs.</summary>
    private static void CopyLanes(Matrix m, nint row, int depth, nint column, int lanes, int width, float* target, float* stage, InstructionSet isa)
    {
        bool direct = m.Type == DType.Float32 && m.ColumnStride == 1;
        for (int k = 0; k < depth; k++, target += width)
        {
            float* source = direct ? (float*)m.At(row + k, column) : stage;
            if (!direct) Elements.Load(m, row + k, column, lanes, stage, isa);
            CutRow(source, lanes, width, target, (nint)depth * width);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void CutRow(float* source, int lanes, int width, float* target, nint panelSize)
    {
        for (; lanes >= width; lanes -= width, source += width, target += panelSize)
            for (int lane = 0; lane < width; lane += 4) Vector128.Load(source + lane).Store(target + lane);
        if (lanes == 0) return;
        for (int lane = 0; lane < width; lane++) target[lane] = lane < lanes ? source[lane] : 0;
    }

    private static void TransposePanel(
        in Matrix m, nint row, int lanes, nint column, int depth, int width, float* target, float* stage, InstructionSet isa)
    {
        if (m.Type == DType.Float32 && m.ColumnStride == 1)
        {
            Transpose((float*)m.At(row, column), m.RowStride, lanes, depth, width, target);
            return;
        }
        for (int done = 0; done < depth; done += StageDepth)
        {
            int part = Math.Min(StageDepth, depth - done);
            for (int lane = 0; lane < lanes; lane++)
                Elements.Load(m, row + lane, column + done, part, stage + lane * StageDepth, isa);
            Transpose(stage, StageDepth, lanes, part, width, target + (nint)done * width);
        }
    }

    /// <summary>target[k * width + lane] = source[lane * stride + k]</summary>
    internal static void Transpose(float* source, nint stride, int lanes, int depth, int width, float* target)
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
