namespace Glm.Tensors;

/// <summary>Reads elements of any type as binary32.</summary>
internal static unsafe class Elements
{
    /// <summary>Reads <paramref name="count"/> elements of one row, from <paramref name="column"/> on.</summary>
    public static void Load(in Matrix m, nint row, nint column, int count, float* target)
    {
        float* source = (float*)m.At(row, column);
        if (m.ColumnStride == 1)
            new ReadOnlySpan<float>(source, count).CopyTo(new Span<float>(target, count));
        else
            for (int i = 0; i < count; i++) target[i] = source[i * m.ColumnStride];
    }
}
