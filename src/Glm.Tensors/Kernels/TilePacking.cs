using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// The left matrix of <see cref="TileKernel"/>, rounded to bfloat16: panels of 32 rows, and in a panel 32 columns (k) of all rows together, row after row, so that
/// a tile is 16 lines of memory. What lies beyond the matrix is zero.
/// </summary>
internal static unsafe class TilePacking
{
    private const int Rows = TileKernel.Size, StepColumns = 2 * TileKernel.StepPairs, LineFloats = TileKernel.StepPairs;

    /// <summary>
    /// Packs rows [<paramref name="row"/>, + <paramref name="rows"/>) and columns [<paramref name="column"/>, + <paramref name="depth"/>) of <paramref name="m"/> into
    /// panels of <paramref name="pairs"/> pairs, a multiple of <see cref="TileKernel.StepPairs"/>; at most <see cref="Product.MaxRows"/> rows and
    /// <see cref="Product.MaxTileDepth"/> columns. <paramref name="stage"/> is as in <see cref="Packing.Pack"/>.
    /// </summary>
    public static void Pack(in Matrix m, nint row, int rows, nint column, int depth, int pairs, float* target, float* stage)
    {
        if (Packing.LanesAreContiguous(m)) PackColumns(m, row, rows, column, depth, pairs, target, stage);
        else PackRows(m, row, rows, column, depth, pairs, target);
    }

    /// <summary>The numbers of a row lie one after another: each line of 32 is rounded and put where it belongs.</summary>
    private static void PackRows(in Matrix m, nint row, int rows, nint column, int depth, int pairs, float* target)
    {
        float* values = stackalloc float[Product.MaxTileDepth];
        ushort* rounded = stackalloc ushort[Product.MaxTileDepth];
        int padded = (rows + Rows - 1) / Rows * Rows, steps = pairs / TileKernel.StepPairs;
        for (int i = 0; i < padded; i++)
        {
            float* line = target + (nint)(i / Rows) * Rows * pairs + i % Rows * LineFloats;
            ushort* source = rounded;
            if (i >= rows) new Span<ushort>(rounded, 2 * pairs).Clear();
            else if (m.Type == DType.BFloat16 && m.ColumnStride == 1 && depth % StepColumns == 0) source = (ushort*)m.At(row + i, column);
            else
            {
                PairConversion.Narrow(PairPacking.Row(m, row + i, column, depth, values), rounded, depth);
                new Span<ushort>(rounded + depth, 2 * pairs - depth).Clear();
            }
            for (int step = 0; step < steps; step++, line += Rows * LineFloats, source += StepColumns)
                Vector512.Load(source).Store((ushort*)line);
        }
    }

    /// <summary>The numbers of a column do: pairs of columns are interleaved, and squares of 16 rows and 16 pairs transposed.</summary>
    private static void PackColumns(in Matrix m, nint row, int rows, nint column, int depth, int pairs, float* target, float* stage)
    {
        float* interleaved = stackalloc float[Product.MaxRows * LineFloats];
        int panels = (rows + Rows - 1) / Rows;
        for (int step = 0; step < pairs / TileKernel.StepPairs; step++)
        {
            int done = step * StepColumns;
            PairPacking.Pack(m, row, rows, column + done, Math.Min(StepColumns, depth - done), TileKernel.StepPairs, Rows, interleaved, stage);
            for (int panel = 0; panel < panels; panel++)
                for (int half = 0; half < Rows; half += LineFloats)
                    Packing.Transpose(
                        interleaved + panel * Rows * LineFloats + half, Rows, LineFloats, LineFloats, LineFloats,
                        target + (nint)panel * Rows * pairs + step * Rows * LineFloats + half * LineFloats);
        }
    }
}
