namespace Glm.Tensors;

/// <summary>
/// How a quantised weight [out, in] is packed for a kernel: panels of 16 output rows, each cut into blocks of 32 inputs.
/// <para>
/// A block holds 4 consecutive inputs of the 16 rows in one 64-byte vector, a 32-bit lane per row, so that one instruction multiplies them by 4
/// inputs and adds the products up in the row's lane. Integers are unsigned: those of 8 bits with 128 added, in 8 vectors; those of 4 bits with 8
/// added, in 4 vectors, where vector v has inputs [4v, 4v + 4) in the low and [16 + 4v, 16 + 4v + 4) in the high nibbles. Before them stand, for types
/// with a scale per block, the 16 binary16 scales: one stream of memory is read faster than two. Scales by output row stay outside.
/// </para>
/// <para>
/// A segment of the input (a shard of the file that the weight was quantised in) begins with a new block; inputs that its last block lacks, and rows
/// that the last panel lacks, are zero bytes.
/// </para>
/// </summary>
internal readonly record struct PanelLayout(DType Type, int Rows, int Columns, int Segments)
{
    /// <summary>Output rows per panel.</summary>
    public const int PanelRows = 16;

    /// <summary>Inputs per block.</summary>
    public const int BlockInputs = BlockFormat.Values;

    /// <summary>Whether weights of a type can be packed.</summary>
    public static bool Takes(DType type) => type is DType.Q4_0 or DType.Q8_0 or DType.Int4 or DType.Int8;

    /// <summary>Bits of an integer.</summary>
    public int Bits => Type is DType.Q4_0 or DType.Int4 ? 4 : 8;

    /// <summary>What was added to an integer to make it unsigned.</summary>
    public int Offset => Bits == 4 ? 8 : 128;

    /// <summary>Whether each block has its own scales.</summary>
    public bool HasBlockScales => Type.IsBlock();

    public int SegmentColumns => Columns / Segments;

    public int SegmentBlocks => (SegmentColumns + BlockInputs - 1) / BlockInputs;

    public int Blocks => Segments * SegmentBlocks;

    public int Panels => (Rows + PanelRows - 1) / PanelRows;

    /// <summary>Bytes of the scales of a block, which come first.</summary>
    public int ScaleBytes => HasBlockScales ? PanelRows * BlockFormat.ScaleBytes : 0;

    public int BlockBytes => ScaleBytes + PanelRows * BlockInputs * Bits / 8;

    public nint PanelBytes => (nint)Blocks * BlockBytes;

    /// <summary>Bytes of all panels.</summary>
    public long Bytes => (long)Panels * PanelBytes;
}
