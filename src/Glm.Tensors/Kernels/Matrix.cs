namespace Glm.Tensors;

/// <summary>
/// A matrix somewhere in memory: element (r, c) lies <c>r * RowStride + c * ColumnStride</c> elements after <see cref="Data"/>,
/// so that transposes, heads inside a fused projection and other parts of larger tensors need no copy.
/// </summary>
internal readonly unsafe struct Matrix
{
    public readonly void* Data;
    public readonly DType Type;
    public readonly int Rows, Columns;
    public readonly nint RowStride, ColumnStride;

    /// <summary>
    /// Scales of a quantised weight [out, in]: half-precision [<see cref="Segments"/>, out], where a segment is one of equal
    /// parts of the input (a shard of the file that it was quantised in). Null for floating-point types.
    /// </summary>
    public readonly Half* Scales;
    public readonly int Segments;
    private readonly nint scaleStride;

    /// <summary>Whether the columns of this view are the output rows of a quantised weight, i.e. it is its transpose.</summary>
    public readonly bool ScaledByColumn;

    /// <summary>Floating-point numbers with any strides.</summary>
    public Matrix(void* data, DType type, int rows, int columns, nint rowStride, nint columnStride = 1)
        : this(data, type, rows, columns, rowStride, columnStride, null, 0, 0, false) { }

    private Matrix(void* data, DType type, int rows, int columns, nint rowStride, nint columnStride, Half* scales, int segments, nint scaleStride, bool scaledByColumn)
    {
        Data = data;
        Type = type;
        Rows = rows;
        Columns = columns;
        RowStride = rowStride;
        ColumnStride = columnStride;
        Scales = scales;
        Segments = segments;
        this.scaleStride = scaleStride;
        ScaledByColumn = scaledByColumn;
    }

    /// <summary>A dense row-major matrix.</summary>
    public static Matrix Dense(float* data, int rows, int columns) => new(data, DType.Float32, rows, columns, columns);

    /// <summary>
    /// A weight [<paramref name="rows"/>, <paramref name="columns"/>] = [out, in] quantised by row, <see cref="DType.Int8"/> or
    /// <see cref="DType.Int4"/>, whose rows lie one after another.
    /// </summary>
    public static Matrix Quantized(void* data, DType type, int rows, int columns, Half* scales, int segments) =>
        columns % Math.Max(segments, 1) == 0 && (type == DType.Int8 || columns / segments % 2 == 0)
            ? new(data, type, rows, columns, columns, 1, scales, segments, rows, false)
            : throw new ArgumentException($"{columns} columns cannot be {segments} segments of {type}");

    /// <summary>The same elements with rows and columns exchanged.</summary>
    public Matrix Transposed => new(Data, Type, Columns, Rows, ColumnStride, RowStride, Scales, Segments, scaleStride, !ScaledByColumn);

    /// <summary>The rows from <paramref name="row"/> on, of a matrix that is not <see cref="ScaledByColumn"/>.</summary>
    public Matrix RowsFrom(int row) =>
        new(At(row, 0), Type, Rows - row, Columns, RowStride, ColumnStride, Scales is null ? null : Scales + row, Segments, scaleStride, false);

    /// <summary>The scale of a row in a segment of the columns; 0 where there are none.</summary>
    public float Scale(nint segment, nint row) => Scales is null ? 0 : (float)Scales[segment * scaleStride + row];

    /// <summary>Bits of one element of a type that is not stored in blocks.</summary>
    public int ElementBits => Type switch { DType.Float32 => 32, DType.Int8 => 8, DType.Int4 => 4, _ => 16 };

    /// <summary>The address of an element. For <see cref="DType.Int4"/> it must be the even one of its byte, for types stored in blocks a block's first.</summary>
    public byte* At(nint row, nint column)
    {
        nint element = row * RowStride + column * ColumnStride;
        return (byte*)Data + (Type.IsBlock() ? element / BlockFormat.Values * BlockFormat.Bytes(Type) : element * ElementBits / 8);
    }
}
