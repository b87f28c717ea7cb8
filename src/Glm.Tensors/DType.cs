namespace Glm.Tensors;

/// <summary>How one element of a tensor is stored.</summary>
public enum DType
{
    /// <summary>IEEE binary32.</summary>
    Float32,

    /// <summary>IEEE binary16.</summary>
    Float16,

    /// <summary>The upper half of a binary32.</summary>
    BFloat16,

    /// <summary>Signed 64-bit integer.</summary>
    Int64,

    /// <summary>Signed 32-bit integer.</summary>
    Int32,

    /// <summary>Signed 8-bit integer; with scales, a weight quantised by output row.</summary>
    Int8,

    /// <summary>Unsigned 8-bit integer.</summary>
    UInt8,

    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>Signed 4-bit integers, two per byte, the even column in the high nibble; a weight quantised by output row.</summary>
    Int4,

    /// <summary>GGUF's Q4_0: a weight in blocks of 32 inputs, each a binary16 scale and 4-bit integers.</summary>
    Q4_0,

    /// <summary>GGUF's Q8_0: a weight in blocks of 32 inputs, each a binary16 scale and signed bytes.</summary>
    Q8_0,
}

/// <summary>Sizes of element types.</summary>
public static class DTypes
{
    /// <summary>Bytes that <paramref name="count"/> elements take; whole blocks of a type that is stored in blocks.</summary>
    public static long Bytes(this DType type, long count) => type switch
    {
        DType.Float32 or DType.Int32 => checked(count * 4),
        DType.Float16 or DType.BFloat16 => checked(count * 2),
        DType.Int64 => checked(count * 8),
        DType.Int4 => (count + 1) / 2,
        DType.Q4_0 or DType.Q8_0 => checked((count + BlockFormat.Values - 1) / BlockFormat.Values * BlockFormat.Bytes(type)),
        _ => count,
    };

    /// <summary>Whether the type is a floating-point number.</summary>
    public static bool IsFloat(this DType type) => type is DType.Float32 or DType.Float16 or DType.BFloat16;

    /// <summary>Whether the type is stored in blocks of values with a scale each.</summary>
    public static bool IsBlock(this DType type) => type is DType.Q4_0 or DType.Q8_0;
}
