namespace Glm.Tensors;

/// <summary>Tensors, and parts of them, as operands of <see cref="MatMul"/>.</summary>
internal static unsafe class TensorMatrix
{
    /// <summary>All but the last dimension as rows.</summary>
    /// <exception cref="InvalidOperationException">The tensor is packed: its elements are in no order of rows.</exception>
    public static Matrix AsMatrix(this Tensor tensor) => tensor.RowOrder().Scales is { } scales
        ? Matrix.Quantized(tensor.Data, tensor.Type, tensor.Rows, tensor.Columns, (Half*)scales.Data, scales.Rows)
        : new Matrix(tensor.Data, tensor.Type, tensor.Rows, tensor.Columns, tensor.Columns);

    /// <summary>A rectangle of a matrix.</summary>
    public static Matrix Part(this in Matrix matrix, long row, int column, int rows, int columns) =>
        new(matrix.At((nint)row, column), matrix.Type, rows, columns, matrix.RowStride, matrix.ColumnStride);
}
