using Glm.Tensors;

namespace Glm.Formats;

/// <summary>An element type of GGUF (spec 10.1, 10.2): rows are cut into blocks of values.</summary>
/// <param name="Code">Its number in files.</param>
/// <param name="Name">Its name.</param>
/// <param name="BlockValues">Values of a block.</param>
/// <param name="BlockBytes">Bytes of a block.</param>
/// <param name="Type">The same type as an element of tensors, or null where there is none.</param>
internal sealed record GgufType(uint Code, string Name, int BlockValues, int BlockBytes, DType? Type = null)
{
    /// <summary>Expands a block to float32.</summary>
    public BlockExpansion<float>? Decode { get; init; }

    /// <summary>Expands a block to one of Q8_0 that stands for the same numbers.</summary>
    public BlockExpansion<byte>? ToQ8 { get; init; }

    /// <summary>The type that tensors are read as; null if they cannot be read.</summary>
    public DType? ReadAs => Type ?? (ToQ8 is not null ? DType.Q8_0 : Decode is not null ? DType.Float32 : null);
}

/// <summary>The element types of GGUF files.</summary>
internal static class GgufTypes
{
    private static readonly GgufType[] Known =
    [
        new(0, "F32", 1, 4, DType.Float32), new(1, "F16", 1, 2, DType.Float16), new(30, "BF16", 1, 2, DType.BFloat16),
        new(2, "Q4_0", 32, 18, DType.Q4_0), new(8, "Q8_0", 32, 34, DType.Q8_0), new(24, "I8", 1, 1, DType.Int8), new(26, "I32", 1, 4, DType.Int32), new(27, "I64", 1, 8, DType.Int64),
        new(3, "Q4_1", 32, 20) { Decode = GgufBlocks.Q4_1 }, new(6, "Q5_0", 32, 22) { ToQ8 = GgufBlocks.Q5_0 }, new(7, "Q5_1", 32, 24) { Decode = GgufBlocks.Q5_1 },
        new(12, "Q4_K", 256, 144) { Decode = GgufBlocks.Q4_K }, new(13, "Q5_K", 256, 176) { Decode = GgufBlocks.Q5_K }, new(14, "Q6_K", 256, 210) { Decode = GgufBlocks.Q6_K },
        new(9, "Q8_1", 32, 36), new(10, "Q2_K", 256, 84), new(11, "Q3_K", 256, 110), new(15, "Q8_K", 256, 292), new(25, "I16", 1, 2), new(28, "F64", 1, 8),
    ];

    /// <summary>The names of the types that can be read.</summary>
    public static string Supported => string.Join(", ", Known.Where(known => known.ReadAs is not null).Select(known => known.Name));

    /// <summary>The type of a code; null for those whose sizes are not known here.</summary>
    public static GgufType? Find(uint code) => Array.Find(Known, known => known.Code == code);

    /// <summary>The type that a tensor is stored as.</summary>
    /// <exception cref="GlmException">GGUF has none.</exception>
    public static GgufType Of(DType type, string tensor) =>
        Array.Find(Known, known => known.Type == type) ?? throw new GlmException($"{tensor}: expected a type that GGUF has, found {type}");
}
