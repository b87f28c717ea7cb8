namespace Glm.Tensors;

/// <summary>Putting side by side what ranks computed of the same rows.</summary>
public static unsafe class JoinColumnsOperation
{
    /// <summary>Rows whose columns are those of the parts, one part after the other; for inference, without a backward pass.</summary>
    /// <param name="context">Where to run.</param>
    /// <param name="parts">Matrices of the same type and number of rows.</param>
    public static Tensor JoinColumns(this Context context, IReadOnlyList<Tensor> parts)
    {
        var first = parts[0];
        var y = context.Arena.Allocate(first.Type, first.Rows, parts.Sum(part => part.Columns));
        long target = 0, width = first.Type.Bytes(y.Columns);
        foreach (var part in parts)
        {
            long bytes = first.Type.Bytes(part.Columns);
            for (long row = 0; row < y.Rows; row++) Buffer.MemoryCopy(part.Data + row * bytes, y.Data + row * width + target, bytes, bytes);
            target += bytes;
        }
        return y;
    }
}
