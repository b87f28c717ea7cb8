using Glm.Tensors;

namespace Glm.Formats;

/// <summary>Element types of safetensors and of tensors.</summary>
internal static class SafetensorsTypes
{
    private static readonly (string Name, DType Type)[] Known =
    [
        ("F32", DType.Float32), ("F16", DType.Float16), ("BF16", DType.BFloat16), ("I64", DType.Int64), ("I32", DType.Int32),
        ("I8", DType.Int8), ("U8", DType.UInt8), ("BOOL", DType.Bool),
    ];

    /// <summary>All names that are supported.</summary>
    public static string Names => string.Join(", ", Known.Select(known => known.Name));

    /// <summary>The type of a name, or null.</summary>
    public static DType? Find(string name)
    {
        foreach (var (known, type) in Known)
            if (known == name) return type;
        return null;
    }

    /// <summary>How a tensor is declared in a file: packed 4-bit integers are bytes, two columns each (spec 6.2).</summary>
    public static (string Type, int[] Shape) Declare(string name, DType type, ReadOnlySpan<int> shape)
    {
        int[] dimensions = shape.ToArray();
        if (type == DType.Int4)
        {
            if (dimensions.Length == 0 || dimensions[^1] % 2 != 0)
                throw new GlmException($"{name}: expected an even number of columns for 4-bit integers, found [{string.Join(", ", dimensions)}]");
            dimensions[^1] /= 2;
            type = DType.Int8;
        }
        return (Known.First(known => known.Type == type).Name, dimensions);
    }
}
