using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// C = X W^T (+ bias) with a packed weight W. The inputs are turned into integers block by block (<see cref="InputTile"/>), tiles of up to 16 rows are
/// multiplied by panels of 16 outputs (<see cref="PanelKernel"/>), and every weight is read from memory once. Each number is computed by the same
/// operations whatever the instruction set, the threads and the other rows.
/// </summary>
internal readonly unsafe struct PanelProduct
{
    /// <summary>Bytes of weights that are one item of the parallel loop; they stay in the second-level cache while the tiles of inputs pass by.</summary>
    private const int ItemBytes = 1 << 18;

    /// <summary>So many pieces of a product, or more, that threads of unequal speed can be evened out.</summary>
    private const int PiecesPerThread = 8;

    /// <summary>Pieces of work that the quantisation of a tile is cut into.</summary>
    private const int QuantizeParts = 4;

    private readonly PanelLayout layout;
    private readonly Matrix x, c;
    private readonly byte* weights;
    private readonly StreamedWeight? streamed;
    private readonly Half* scales;
    private readonly float* bias;
    private readonly int planes, tiles, tileRows;
    private readonly InstructionSet isa;
    private readonly delegate* unmanaged<PanelTask*, void> wholeTile, lastTile; // generated code for tiles of all rows and for the last one, or null

    /// <summary>A product.</summary>
    /// <param name="x">Inputs [rows, in].</param>
    /// <param name="weight">Packed weight [out, in].</param>
    /// <param name="c">Receives [rows, out]; its columns are contiguous.</param>
    /// <param name="bias">Binary32 [out], or null.</param>
    /// <param name="planes">1 for inputs of 8 bits, 2 for 16.</param>
    /// <param name="isa">Vectors to use.</param>
    /// <param name="extension">Generated code to use.</param>
    public PanelProduct(in Matrix x, Tensor weight, in Matrix c, float* bias, int planes, InstructionSet isa, CodeExtension extension)
    {
        layout = weight.Panels!.Value;
        if (x.Rows != c.Rows || x.Columns != layout.Columns || c.Columns != layout.Rows)
            throw new ArgumentException($"shapes [{x.Rows}, {x.Columns}] x [{layout.Rows}, {layout.Columns}]^T do not give [{c.Rows}, {c.Columns}]");
        this.x = x;
        this.c = c;
        weights = weight.Data;
        streamed = weight.Streamed;
        scales = weight.Scales is null ? null : (Half*)weight.Scales.Data;
        this.bias = bias;
        this.planes = planes;
        this.isa = isa;
        tiles = (x.Rows + InputTile.MaxRows - 1) / InputTile.MaxRows;
        tileRows = tiles == 0 ? 0 : (x.Rows + tiles - 1) / tiles;
        if (extension < CodeExtension.Vnni || tiles == 0) return;
        wholeTile = Generated(ShapeOf(0), extension);
        lastTile = Generated(ShapeOf(tiles - 1), extension);
    }

    private static delegate* unmanaged<PanelTask*, void> Generated(in PanelKernelShape shape, CodeExtension extension) =>
        extension >= CodeExtension.Amx && shape.Tile.Rows >= AmxPanelKernels.MinRows ? AmxPanelKernels.Kernels.Get(shape) : VnniPanelKernels.Kernels.Get(shape);

    /// <summary>Computes it.</summary>
    public void Run(Workers workers)
    {
        if (c.Rows == 0 || c.Columns == 0) return;
        Scratch shared = workers.Rent();
        try
        {
            byte* inputs = (byte*)shared.Left((nint)tiles * TileBytes(tileRows) / sizeof(float) + 1);
            workers.For(tiles * QuantizeParts, new QuantizeBody(this, workers, inputs));
            if (streamed is null) Multiply(workers, inputs, weights, 0, layout.Panels);
            for (int piece = 0; piece < streamed?.Pieces; piece++) MultiplyPiece(workers, inputs, piece);
        }
        finally
        {
            workers.Return(shared);
        }
    }

    /// <summary>Waits for a piece of a weight that is read from its file, and multiplies its panels.</summary>
    private void MultiplyPiece(Workers workers, byte* inputs, int piece)
    {
        var (first, last) = streamed!.Units(piece);
        byte* data = streamed.Stream.Acquire(streamed, piece);
        try
        {
            Multiply(workers, inputs, data - first * layout.PanelBytes, first, last);
        }
        finally
        {
            streamed.Stream.Release(streamed, piece);
        }
    }

    /// <summary>Multiplies the panels [first, last) of <paramref name="data"/>, where the panel 0 is or would be: as many pieces of equal size for every thread.</summary>
    private void Multiply(Workers workers, byte* inputs, byte* data, int first, int last)
    {
        int items = Math.Max(PiecesPerThread, DivideUp((last - first) * layout.PanelBytes, (long)ItemBytes * workers.Threads)) * workers.Threads;
        items = Math.Min(items, last - first);
        workers.For(items, new MultiplyBody(this, workers, inputs, data, first, last, items));
    }

    private static int DivideUp(long value, long divisor) => checked((int)((value + divisor - 1) / divisor));

    private nint TileBytes(int rows) => (nint)layout.Blocks * new InputTile(rows, planes).BlockBytes;

    private int RowsOf(int tile) => Math.Min(tileRows, x.Rows - tile * tileRows);

    private PanelKernelShape ShapeOf(int tile) => new(layout.Bits, layout.HasBlockScales, new InputTile(RowsOf(tile), planes));

    private void Quantize(int tile, int part, byte* target, Scratch scratch)
    {
        int rows = RowsOf(tile), end = rows * (part + 1) / QuantizeParts;
        var shape = new InputTile(rows, planes);
        for (int row = rows * part / QuantizeParts; row < end; row++)
        {
            int input = tile * tileRows + row;
            float* values = x.Type == DType.Float32 && x.ColumnStride == 1 ? (float*)x.At(input, 0) : scratch.Right(x.Columns);
            if (values != (float*)x.At(input, 0)) Elements.Load(x, input, 0, x.Columns, values, isa);
            shape.SetRow(values, layout, row, target);
        }
    }

    private void MultiplyTile(int tile, int panel, byte* inputs, byte* weights, Scratch scratch)
    {
        float* sums = scratch.Tile, totals = sums + InputTile.MaxRows * PanelLayout.PanelRows;
        byte* data = weights + panel * layout.PanelBytes;
        int first = panel * PanelLayout.PanelRows, columns = Math.Min(PanelLayout.PanelRows, layout.Rows - first);
        int rows = RowsOf(tile);
        PanelKernelShape shape = ShapeOf(tile);
        var generated = tile == tiles - 1 ? lastTile : wholeTile;
        byte* tileInputs = inputs + tile * TileBytes(tileRows);
        // Whole rows of plain sums go where they belong; everything else is put there afterwards.
        bool isDirect = scales is null && bias is null && c.Type == DType.Float32 && columns == PanelLayout.PanelRows;
        for (int segment = 0; segment < layout.Segments; segment++)
        {
            nint block = (nint)segment * layout.SegmentBlocks;
            var task = new PanelTask
            {
                Weights = data + block * layout.BlockBytes,
                Inputs = tileInputs + block * shape.Tile.BlockBytes,
                Blocks = layout.SegmentBlocks,
                Sums = isDirect ? (float*)c.At(tile * tileRows, first) : sums,
                SumsStride = (isDirect ? c.RowStride : PanelLayout.PanelRows) * sizeof(float),
            };
            if (generated != null) generated(&task);
            else PanelKernel.Run(shape, task, isa);
            if (scales is not null) AddSegment(scales + (long)segment * layout.Rows + first, columns, rows, segment == 0, sums, totals);
        }
        if (isDirect) return;
        for (int row = 0; row < rows; row++)
            Store((scales is null ? sums : totals) + row * PanelLayout.PanelRows, tile * tileRows + row, first, columns);
    }

    /// <summary>totals += scale of the output row * sums of a segment.</summary>
    private void AddSegment(Half* rowScales, int columns, int rows, bool isFirst, float* sums, float* totals)
    {
        float* wide = stackalloc float[PanelLayout.PanelRows];
        Conversion.Widen((byte*)rowScales, DType.Float16, wide, columns, isa);
        Vector512<float> scale = Vector512.Load(wide);
        for (int row = 0; row < rows; row++, sums += PanelLayout.PanelRows, totals += PanelLayout.PanelRows)
        {
            Vector512<float> sum = Vector512.Load(sums);
            (isFirst ? sum * scale : Vector512.FusedMultiplyAdd(sum, scale, Vector512.Load(totals))).Store(totals);
        }
    }

    private void Store(float* values, int row, int column, int columns)
    {
        if (bias is not null) (Vector512.Load(values) + Vectors.Load(bias + column, columns)).Store(values);
        byte* target = c.At(row, column);
        if (c.Type == DType.Float32) Buffer.MemoryCopy(values, target, columns * sizeof(float), columns * sizeof(float));
        else Conversion.Narrow(values, target, c.Type, columns, isa);
    }

    private readonly struct QuantizeBody(PanelProduct product, Workers workers, byte* inputs) : ILoopBody
    {
        public void Invoke(int item, int worker)
        {
            Scratch scratch = workers.Rent();
            int tile = item / QuantizeParts;
            product.Quantize(tile, item % QuantizeParts, inputs + tile * product.TileBytes(product.tileRows), scratch);
            workers.Return(scratch);
        }
    }

    private readonly struct MultiplyBody(PanelProduct product, Workers workers, byte* inputs, byte* data, int first, int last, int items) : ILoopBody
    {
        public void Invoke(int item, int worker)
        {
            Scratch scratch = workers.Rent();
            int begin = first + (int)((long)(last - first) * item / items), end = first + (int)((long)(last - first) * (item + 1) / items);
            for (int tile = 0; tile < product.tiles; tile++)
                for (int panel = begin; panel < end; panel++) product.MultiplyTile(tile, panel, inputs, data, scratch);
            workers.Return(scratch);
        }
    }
}
