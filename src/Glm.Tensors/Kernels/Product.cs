using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>Rows and columns of a microkernel's tile.</summary>
internal readonly record struct TileShape(int Rows, int Columns);

/// <summary>What numbers a <see cref="Product"/> multiplies; sums are binary32.</summary>
internal enum Arithmetic
{
    /// <summary>Both matrices as binary32.</summary>
    Float32,

    /// <summary>
    /// Both matrices rounded to bfloat16, by <see cref="PairKernel"/>: two k at a time, so sums do not have the bits that <see cref="MatMul"/> defines. Needs
    /// <see cref="CodeExtension.BFloat16"/>.
    /// </summary>
    BFloat16,

    /// <summary>The same by <see cref="TileKernel"/>, with sums in yet another order. Needs <see cref="CodeExtension.Amx"/>.</summary>
    BFloat16Tiles,
}

/// <summary>
/// One block of k and one block of columns of a <see cref="Product"/>: the panels of B that are packed, multiplied by all rows
/// of A, and then given up.
/// </summary>
internal readonly unsafe struct Step
{
    /// <summary>First column of C, and how many.</summary>
    public required int Column { get; init; }
    public required int Columns { get; init; }

    /// <summary>First k, and how many.</summary>
    public required int K { get; init; }
    public required int Depth { get; init; }

    /// <summary>32-bit elements of a lane in a packed panel: <see cref="Depth"/>, or half of it where each holds two bfloat16 numbers.</summary>
    public required int PackedDepth { get; init; }

    public required bool IsFirst { get; init; }
    public required bool IsLast { get; init; }

    /// <summary>How many panels of B the block has, and where they lie when packed.</summary>
    public required int Panels { get; init; }
    public required float* Right { get; init; }

    /// <summary>Where sums of earlier blocks of k are kept if not in C: [M, <see cref="Columns"/>], else null.</summary>
    public required float* Sums { get; init; }
}

/// <summary>A matrix product and its pieces, each of which may run on any thread. See <see cref="MatMul"/>.</summary>
internal readonly unsafe struct Product
{
    /// <summary>Rows of A that are packed at a time; with <see cref="MaxDepth"/> they fill about a third of a second-level cache.</summary>
    public const int MaxRows = 192;

    /// <summary>Columns of C per step: bounds the packed part of B.</summary>
    public const int MaxColumns = 4096;

    /// <summary>Columns of packed B that stay in the second-level cache while the panels of A run over them.</summary>
    private const int CachedColumns = 256;

    /// <summary>The longest block of k, in packed elements: a panel of A of this depth stays in the first-level cache.</summary>
    private const int MaxDepth = 384;

    /// <summary>The same in columns for <see cref="TileKernel"/>, whose panels are 32 rows high.</summary>
    public const int MaxTileDepth = 512;

    public readonly Matrix A, Right, C;
    public readonly InstructionSet Isa;
    public readonly TileShape Shape;
    public readonly Arithmetic Arithmetic;
    private readonly float alpha, beta;
    private readonly float* bias;
    private readonly int depth;

    public Product(in Matrix a, in Matrix b, in Matrix c, float alpha, float beta, float* bias, InstructionSet isa, Arithmetic arithmetic = Arithmetic.Float32)
    {
        if (a.Rows != c.Rows || b.Columns != c.Columns || a.Columns != b.Rows)
            throw new ArgumentException($"shapes [{a.Rows}, {a.Columns}] x [{b.Rows}, {b.Columns}] do not give [{c.Rows}, {c.Columns}]");
        if (c.ColumnStride != 1 && c.Columns > 1) throw new ArgumentException("the columns of the result must be contiguous");
        if (c.Type != DType.Float32 && beta != 0) throw new ArgumentException("only a binary32 result can be added to");
        A = a;
        Right = b.Transposed;
        C = c;
        this.alpha = alpha;
        this.beta = beta;
        this.bias = bias;
        Isa = isa;
        Arithmetic = arithmetic;
        Shape = isa switch
        {
            _ when arithmetic == Arithmetic.BFloat16Tiles => new(TileKernel.Size, TileKernel.Size),
            InstructionSet.Avx512 => new(12, 2 * Lanes512.Count),
            InstructionSet.Avx2 => new(4, 3 * Lanes256.Count),
            _ => new(4, 3 * Lanes128.Count),
        };
        // Equal blocks, a function of K alone. Even, so that a block begins with a whole byte of 4-bit weights, or as many as a tile takes at once.
        int maxDepth = arithmetic switch { Arithmetic.BFloat16 => 2 * MaxDepth, Arithmetic.BFloat16Tiles => MaxTileDepth, _ => MaxDepth };
        DepthBlocks = Math.Max(1, (a.Columns + maxDepth - 1) / maxDepth);
        int unit = arithmetic == Arithmetic.BFloat16Tiles ? 2 * TileKernel.StepPairs : 2;
        depth = ((a.Columns + DepthBlocks - 1) / DepthBlocks + unit - 1) / unit * unit;
    }

    public int DepthBlocks { get; }

    /// <summary>How many panels of B are packed by one piece of work, and stay in the second-level cache.</summary>
    public int PanelsAtOnce => CachedColumns / Shape.Columns;

    /// <summary>The step of a block of columns and a block of k, with its memory in <paramref name="scratch"/>.</summary>
    public Step StepAt(int column, int block, Scratch scratch)
    {
        int columns = Math.Min(MaxColumns, C.Columns - column), panels = (columns + Shape.Columns - 1) / Shape.Columns;
        int k = Math.Min(block * depth, A.Columns);
        return new Step
        {
            Column = column,
            Columns = columns,
            K = k,
            Depth = Math.Min(depth, A.Columns - k),
            PackedDepth = PackedDepth(Math.Min(depth, A.Columns - k)),
            IsFirst = block == 0,
            IsLast = block == DepthBlocks - 1,
            Panels = panels,
            Right = scratch.Right((nint)panels * Shape.Columns * PackedDepth(depth)),
            Sums = C.Type != DType.Float32 && DepthBlocks > 1 ? scratch.Sums((nint)C.Rows * columns) : null,
        };
    }

    /// <summary>Packs the panels [first, last) of B, at most <see cref="PanelsAtOnce"/>.</summary>
    public void PackRight(in Step step, int first, int last, Scratch scratch)
    {
        int column = first * Shape.Columns;
        Pack(Right, step.Column + column, Math.Min(last * Shape.Columns, step.Columns) - column, step, Shape.Columns, RightPanel(step, first), scratch.Stage);
    }

    /// <summary>Packs rows of A and multiplies them by the packed panels [first, last) of B.</summary>
    public void MultiplyRows(in Step step, int row, int rows, int first, int last, Scratch scratch)
    {
        nint panelSize = (nint)Shape.Rows * step.PackedDepth;
        float* left = scratch.Left((nint)(rows + Shape.Rows) * step.PackedDepth), tile = scratch.Tile;
        if (Arithmetic == Arithmetic.BFloat16Tiles) TilePacking.Pack(A, row, rows, step.K, step.Depth, step.PackedDepth, left, scratch.Stage);
        else Pack(A, row, rows, step, Shape.Rows, left, scratch.Stage);

        bool isDirect = TryStoreDirectly(step, out PairStore store);
        for (int start = first; start < last; start += PanelsAtOnce)
        {
            int end = Math.Min(start + PanelsAtOnce, last);
            float* panelOfA = left;
            for (int r = 0; r < rows; r += Shape.Rows, panelOfA += panelSize)
            {
                bool isWhole = isDirect && rows - r >= Shape.Rows;
                for (int panel = start; panel < end; panel++)
                {
                    int column = panel * Shape.Columns;
                    if (isWhole && step.Columns - column >= Shape.Columns)
                    {
                        MultiplyPairs(step, store, panelOfA, panel, row + r);
                        continue;
                    }
                    int tileRows = Math.Min(Shape.Rows, rows - r);
                    MultiplyTile(step.PackedDepth, panelOfA, RightPanel(step, panel), tileRows, tile);
                    StoreTile(step, tile, row + r, tileRows, column);
                }
            }
        }
    }

    /// <summary>How a kernel of pairs can bring a whole tile to its place itself, if it can.</summary>
    private bool TryStoreDirectly(in Step step, out PairStore store)
    {
        float added = step.IsFirst ? beta : 1;
        store = (added != 0 ? PairStore.Add : 0) | (step.IsLast && bias is not null ? PairStore.Bias : 0) | (C.Type == DType.BFloat16 ? PairStore.Narrow : 0);
        return Arithmetic != Arithmetic.Float32 && (C.Type == DType.Float32 ? added is 0 or 1 : C.Type == DType.BFloat16 && step.IsFirst && step.IsLast);
    }

    private void MultiplyPairs(in Step step, PairStore store, float* panelOfA, int panel, int row)
    {
        int column = step.Column + panel * Shape.Columns;
        var target = new PairTarget { C = C.At(row, column), Stride = C.RowStride * C.ElementBits / 8, Bias = bias + column, Alpha = alpha };
        KernelOfPairs(store)(step.PackedDepth, panelOfA, RightPanel(step, panel), &target);
    }

    private delegate* unmanaged[SuppressGCTransition]<nint, float*, float*, PairTarget*, void> KernelOfPairs(PairStore store) =>
        Arithmetic == Arithmetic.BFloat16Tiles ? TileKernel.Get(store) : PairKernel.Get(store);

    private int PackedDepth(int depth) => Arithmetic switch
    {
        Arithmetic.BFloat16 => (depth + 1) / 2,
        Arithmetic.BFloat16Tiles => (depth + 2 * TileKernel.StepPairs - 1) / (2 * TileKernel.StepPairs) * TileKernel.StepPairs,
        _ => depth,
    };

    private float* RightPanel(in Step step, int panel) => step.Right + (nint)panel * Shape.Columns * step.PackedDepth;

    private void Pack(in Matrix m, int row, int lanes, in Step step, int width, float* target, float* stage)
    {
        if (Arithmetic != Arithmetic.Float32) PairPacking.Pack(m, row, lanes, step.K, step.Depth, step.PackedDepth, width, target, stage);
        else Packing.Pack(m, row, lanes, step.K, step.Depth, width, target, stage, Isa);
    }

    private void MultiplyTile(nint depth, float* a, float* b, int rows, float* tile)
    {
        if (Arithmetic != Arithmetic.Float32)
        {
            var target = new PairTarget { C = tile, Stride = Shape.Columns * sizeof(float), Alpha = 1 };
            bool isHalf = Arithmetic == Arithmetic.BFloat16Tiles && rows <= Shape.Rows / 2;
            (isHalf ? TileKernel.GetUpperHalf() : KernelOfPairs(PairStore.None))(depth, a, b, &target);
            return;
        }
        switch (Isa)
        {
            case InstructionSet.Avx512: MicroKernel.Run12x2<Vector512<float>, Lanes512>(depth, a, b, tile); break;
            case InstructionSet.Avx2: MicroKernel.Run4x3<Vector256<float>, Lanes256>(depth, a, b, tile); break;
            default: MicroKernel.Run4x3<Vector128<float>, Lanes128>(depth, a, b, tile); break;
        }
    }

    /// <summary>Brings one tile of sums into C: <paramref name="column"/> counts from the step's first.</summary>
    private void StoreTile(in Step step, float* tile, int row, int rows, int column)
    {
        int columns = Math.Min(Shape.Columns, step.Columns - column);
        for (int r = row; r < row + rows; r++, tile += Shape.Columns)
        {
            float* sums = step.Sums is null ? null : step.Sums + (nint)r * step.Columns + column;
            StoreRow(tile, r, step.Column + column, columns, sums, step.IsFirst, step.IsLast);
        }
    }

    /// <summary>Brings finished sums into row <paramref name="row"/> of C.</summary>
    public void StoreRow(float* values, int row, int column, int columns) =>
        StoreRow(values, row, column, columns, null, true, true);

    /// <summary>
    /// C = fma(alpha, values, beta * C), or without beta after the first block of k; bias and the type of C follow after the last.
    /// </summary>
    private void StoreRow(float* values, int row, int column, int columns, float* sums, bool isFirst, bool isLast)
    {
        byte* result = C.At(row, column);
        float* kept = C.Type == DType.Float32 ? (float*)result : sums;
        float* previous = isFirst && beta == 0 ? null : kept;
        float* target = C.Type != DType.Float32 && isLast ? values : kept;
        float* added = isLast && bias is not null ? bias + column : null;
        float scale = isFirst ? beta : 1;
        switch (Isa)
        {
            case InstructionSet.Avx512: Epilogue.Run<Vector512<float>, Lanes512>(values, alpha, previous, scale, added, target, columns); break;
            case InstructionSet.Avx2: Epilogue.Run<Vector256<float>, Lanes256>(values, alpha, previous, scale, added, target, columns); break;
            default: Epilogue.Run<Vector128<float>, Lanes128>(values, alpha, previous, scale, added, target, columns); break;
        }
        if (target == values) Conversion.Narrow(values, result, C.Type, columns, Isa);
    }
}
