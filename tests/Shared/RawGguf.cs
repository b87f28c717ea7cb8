using System.Text;

namespace Glm.Tests;

/// <summary>GGUF files for tests from what they are told, right or wrong; it shares no code with the reader or the writer.</summary>
internal sealed class RawGguf
{
    private readonly List<(string Key, object Value)> _metadata = [];
    private readonly List<(string Name, int[] Shape, uint Type, byte[] Data)> _tensors = [];

    public uint Version { get; init; } = 3;

    public int Alignment { get; init; } = 32;

    /// <summary>Adds a key; the type of the value, or of the elements of an array, is the type in the file.</summary>
    public RawGguf Add(string key, object value)
    {
        _metadata.Add((key, value));
        return this;
    }

    /// <summary>Adds a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Its type's code.</param>
    /// <param name="data">Its bytes.</param>
    /// <param name="shape">Its dimensions, outermost first.</param>
    public RawGguf AddTensor(string name, uint type, byte[] data, params int[] shape)
    {
        _tensors.Add((name, shape, type, data));
        return this;
    }

    /// <summary>Adds a tensor of float32.</summary>
    public RawGguf AddTensor(string name, float[] values, params int[] shape) => AddTensor(name, 0, [.. values.SelectMany(BitConverter.GetBytes)], shape);

    public byte[] ToArray()
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)_tensors.Count);
        writer.Write((ulong)_metadata.Count);
        foreach (var (key, value) in _metadata)
        {
            Write(writer, key);
            writer.Write(TypeOf(value.GetType()));
            Write(writer, value);
        }
        ulong offset = 0;
        foreach (var (name, shape, type, data) in _tensors)
        {
            Write(writer, name);
            writer.Write((uint)shape.Length);
            foreach (int size in shape.Reverse()) writer.Write((ulong)size);
            writer.Write(type);
            writer.Write(offset);
            offset += (ulong)((data.Length + Alignment - 1) / Alignment * Alignment);
        }
        foreach (var tensor in _tensors)
        {
            writer.Write(new byte[(Alignment - stream.Length % Alignment) % Alignment]);
            writer.Write(tensor.Data);
        }
        return stream.ToArray();
    }

    private static uint TypeOf(Type type) => type.IsArray ? 9u : Type.GetTypeCode(type) switch
    {
        TypeCode.Byte => 0u,
        TypeCode.SByte => 1u,
        TypeCode.UInt16 => 2u,
        TypeCode.Int16 => 3u,
        TypeCode.UInt32 => 4u,
        TypeCode.Int32 => 5u,
        TypeCode.Single => 6u,
        TypeCode.Boolean => 7u,
        TypeCode.String => 8u,
        TypeCode.UInt64 => 10u,
        TypeCode.Int64 => 11u,
        TypeCode.Double => 12u,
        _ => throw new ArgumentException($"GGUF has no {type}"),
    };

    private static void Write(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case byte v: writer.Write(v); break;
            case sbyte v: writer.Write(v); break;
            case ushort v: writer.Write(v); break;
            case short v: writer.Write(v); break;
            case uint v: writer.Write(v); break;
            case int v: writer.Write(v); break;
            case float v: writer.Write(v); break;
            case bool v: writer.Write(v); break;
            case ulong v: writer.Write(v); break;
            case long v: writer.Write(v); break;
            case double v: writer.Write(v); break;
            case string v:
                byte[] utf8 = Encoding.UTF8.GetBytes(v);
                writer.Write((ulong)utf8.Length);
                writer.Write(utf8);
                break;
            case Array v:
                writer.Write(TypeOf(v.GetType().GetElementType()!));
                writer.Write((ulong)v.Length);
                foreach (object element in v) Write(writer, element);
                break;
            default: throw new ArgumentException($"GGUF has no {value.GetType()}");
        }
    }
}
