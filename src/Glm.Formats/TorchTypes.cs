using Glm.Tensors;

namespace Glm.Formats;

/// <summary>An element type of PyTorch files.</summary>
/// <param name="Name">The class of its storage, in the module <c>torch</c>.</param>
/// <param name="Bytes">Bytes of an element.</param>
/// <param name="Type">The type that it is read as, or null where there is none; doubles are read as float32.</param>
internal sealed record TorchType(string Name, int Bytes, DType? Type);

/// <summary>The element types of PyTorch files.</summary>
internal static class TorchTypes
{
    public const string Double = "DoubleStorage";

    private static readonly TorchType[] Known =
    [
        new("FloatStorage", 4, DType.Float32), new("HalfStorage", 2, DType.Float16), new("BFloat16Storage", 2, DType.BFloat16), new("LongStorage", 8, DType.Int64),
        new("IntStorage", 4, DType.Int32), new("CharStorage", 1, DType.Int8), new("ByteStorage", 1, DType.UInt8), new("BoolStorage", 1, DType.Bool),
        new(Double, 8, DType.Float32), new("ShortStorage", 2, null),
    ];

    /// <summary>The names of the types that can be read.</summary>
    public static string Supported => string.Join(", ", Known.Where(known => known.Type is not null).Select(known => known.Name));

    /// <summary>The type of a storage class, or null.</summary>
    public static TorchType? Find(string name) => Array.Find(Known, known => known.Name == name);

    /// <summary>The type that a tensor is stored as.</summary>
    /// <exception cref="GlmException">PyTorch has none.</exception>
    public static TorchType Of(DType type, string tensor) =>
        Array.Find(Known, known => known.Type == type) ?? throw new GlmException($"{tensor}: expected a type that PyTorch has, found {type}");
}
