namespace Glm.Tensors;

/// <summary>Elements and rows of any floating-point type as float32.</summary>
internal static unsafe class TensorRows
{
    /// <summary>Converts to float32.</summary>
    public static void ToFloats(byte* source, DType type, float* destination, long count)
    {
        switch (type)
        {
            case DType.Float32 or DType.BFloat16 or DType.Float16:
                Conversion.Widen(source, type, destination, (nint)count, Isa.Current);
                break;
            case DType.Q4_0 or DType.Q8_0:
                BlockFormat.Decode(source, type, 0, count, destination);
                break;
            case DType.Int64:
                for (long i = 0; i < count; i++) destination[i] = ((long*)source)[i];
                break;
            case DType.Int32:
                for (long i = 0; i < count; i++) destination[i] = ((int*)source)[i];
                break;
            case DType.Int8 or DType.Bool:
                for (long i = 0; i < count; i++) destination[i] = ((sbyte*)source)[i];
                break;
            default:
                throw new NotSupportedException($"{type} has no values without its scales");
        }
    }

    /// <summary>Rounds float32 to another floating-point type, to nearest even, or to blocks as GGUF does.</summary>
    /// <exception cref="GlmException">A value cannot be stored in a block.</exception>
    public static void FromFloats(float* source, byte* destination, DType type, long count)
    {
        if (type.IsBlock()) BlockFormat.Encode(source, type, destination, count);
        else Conversion.Narrow(source, destination, type, (nint)count, Isa.Current);
    }

    /// <summary>Row <paramref name="row"/> as float32: where it lies, or converted into <paramref name="scratch"/>.</summary>
    public static float* Read(Tensor tensor, long row, float* scratch)
    {
        int columns = tensor.Columns;
        if (tensor.Panels is { } panels)
        {
            PanelPacking.ReadRow(panels, tensor.Data, tensor.Scales is null ? null : (Half*)tensor.Scales.Data, checked((int)row), 0, columns, scratch);
            return scratch;
        }
        byte* data = tensor.Data + tensor.Type.Bytes(row * columns);
        if (tensor.Type == DType.Float32) return (float*)data;
        ToFloats(data, tensor.Type, scratch, columns);
        return scratch;
    }

    /// <summary>Where to compute row <paramref name="row"/>: in its place if that is float32, otherwise in <paramref name="scratch"/>.</summary>
    public static float* Target(Tensor tensor, long row, float* scratch) =>
        tensor.Type == DType.Float32 ? tensor.Floats + row * tensor.Columns : scratch;

    /// <summary>Stores a row computed in <see cref="Target"/>.</summary>
    public static void Write(Tensor tensor, long row, float* values)
    {
        int columns = tensor.Columns;
        if (tensor.Type != DType.Float32) FromFloats(values, tensor.Data + tensor.Type.Bytes(row * columns), tensor.Type, columns);
    }
}
