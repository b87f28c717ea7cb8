namespace Glm.Tensors;

/// <summary>
/// <see cref="Packing"/> for products of bfloat16: numbers are rounded to it, and a 32-bit element of a panel holds those of two successive columns (k), the first in
/// its lower half; zero beyond the last. For 512-bit vectors.
/// </summary>
internal static unsafe class PairPacking
{
    /// <summary>Pairs of columns that are transposed at a time.</summary>
    private const int StagePairs = Packing.StageSize / Packing.MaxWidth;

    /// <summary>As <see cref="Packing.Pack"/>; a panel is [<paramref name="pairs"/>, width], with zero pairs where the depth fills fewer.</summary>
    public static void Pack(in Matrix m, nint row, int lanes, nint column, int depth, int pairs, int width, float* target, float* stage)
    {
        nint panelSize = (nint)pairs * width;
        int filled = (depth + 1) / 2;
        if (Packing.LanesAreContiguous(m)) CopyLanes(m.Transposed, column, depth, row, lanes, panelSize, width, target, stage);
        for (int lane = 0; lane < lanes; lane += width, target += panelSize)
        {
            if (!Packing.LanesAreContiguous(m)) TransposePanel(m, row + lane, Math.Min(width, lanes - lane), column, depth, width, target, stage);
            new Span<float>(target + (nint)filled * width, (pairs - filled) * width).Clear();
        }
    }

    /// <summary>The numbers of a lane lie one after another, as pairs already or after rounding.</summary>
    private static void TransposePanel(in Matrix m, nint row, int lanes, nint column, int depth, int width, float* target, float* stage)
    {
        if (m.Type == DType.BFloat16 && m.ColumnStride == 1 && m.RowStride % 2 == 0 && depth % 2 == 0)
        {
            Packing.Transpose((float*)m.At(row, column), m.RowStride / 2, lanes, depth / 2, width, target);
            return;
        }
        float* values = stackalloc float[2 * StagePairs];
        for (int done = 0; done < depth; done += 2 * StagePairs, target += (nint)StagePairs * width)
        {
            int part = Math.Min(2 * StagePairs, depth - done);
            for (int lane = 0; lane < lanes; lane++)
            {
                var pairs = (ushort*)(stage + lane * StagePairs);
                float* source = Row(m, row + lane, column + done, part, values);
                PairConversion.Narrow(source, pairs, part);
                if (part % 2 != 0) pairs[part] = 0;
            }
            Packing.Transpose(stage, StagePairs, lanes, (part + 1) / 2, width, target);
        }
    }

    /// <summary>The lanes of one k are contiguous: those of two are interleaved, in whole panels at once.</summary>
    private static void CopyLanes(Matrix m, nint row, int depth, nint column, int lanes, nint panelSize, int width, float* target, float* stage)
    {
        bool isPairs = m.Type == DType.BFloat16 && m.ColumnStride == 1;
        var cut = PairConversion.Cut(isPairs ? DType.BFloat16 : DType.Float32, width);
        for (int k = 0; k < depth; k += 2, target += width)
        {
            bool isLast = k + 1 == depth;
            int whole = isLast ? 0 : lanes / width, done = whole * width;
            if (isPairs)
            {
                ushort* first = (ushort*)m.At(row + k, column), second = isLast ? null : (ushort*)m.At(row + k + 1, column);
                if (!isLast) cut(first, second, whole, target, panelSize * sizeof(float));
                Interleave(first + done, isLast ? null : second + done, lanes - done, stage);
            }
            else
            {
                float* first = Row(m, row + k, column, lanes, stage), second = isLast ? null : Row(m, row + k + 1, column, lanes, stage + Packing.StageSize / 2);
                if (!isLast) cut(first, second, whole, target, panelSize * sizeof(float));
                Interleave(first + done, isLast ? null : second + done, lanes - done, stage);
            }
            if (done < lanes) Packing.CutRow(stage, lanes - done, width, target + whole * panelSize, panelSize);
        }
    }

    /// <summary>Part of a row as binary32, in its place or in <paramref name="values"/>.</summary>
    internal static float* Row(in Matrix m, nint row, nint column, int count, float* values)
    {
        if (m.Type == DType.Float32 && m.ColumnStride == 1) return (float*)m.At(row, column);
        Elements.Load(m, row, column, count, values, InstructionSet.Avx512);
        return values;
    }

    /// <summary>The lanes that fill no panel, or a k that has no second.</summary>
    private static void Interleave(ushort* first, ushort* second, int count, float* target)
    {
        for (int i = 0; i < count; i++) ((uint*)target)[i] = first[i] | (second == null ? 0 : (uint)second[i] << 16);
    }

    /// <summary><paramref name="target"/> may lie before <paramref name="first"/>, or there.</summary>
    private static void Interleave(float* first, float* second, int count, float* target)
    {
        for (int i = 0; i < count; i++)
            ((uint*)target)[i] = Conversion.ToBFloat16(first[i]) | (second == null ? 0 : (uint)Conversion.ToBFloat16(second[i]) << 16);
    }
}
