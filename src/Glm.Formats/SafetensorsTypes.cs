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

    /// <summary>The name of a type that a tensor is stored as.</summary>
    /// <exception cref="GlmException">The format has none.</exception>
    public static string NameOf(DType type, string tensor)
    {
        foreach (var (name, known) in Known)
            if (known == type) return name;
        throw new GlmException($"{tensor}: expected one of the types {Names}, found {type}");
    }
}
