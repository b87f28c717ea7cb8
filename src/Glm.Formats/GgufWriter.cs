using System.Text;

namespace Glm.Formats;

/// <summary>Writes GGUF files of version 3 (spec 10.1), aligned to 32 bytes.</summary>
public static class GgufWriter
{
    private const int Alignment = 32, Version = 3, LongestTensorName = 64, MostDimensions = 4, BufferBytes = 1 << 20;

    /// <summary>Writes metadata and tensors, one after the other; the file appears under its name when it is whole.</summary>
    /// <param name="path">The file.</param>
    /// <param name="metadata">Keys and values: integers of 8 to 64 bits, float, double, bool, string, or arrays of one of them; the .NET type is the type in the file.</param>
    /// <param name="tensors">What to write, of a floating-point, integer or block type; shapes outermost first.</param>
    /// <param name="cancel">Stops the writing; no file is left then.</param>
    /// <exception cref="GlmException">Two keys or tensors have the same name, GGUF does not have a type, or the file cannot be written.</exception>
    public static void Write(string path, IReadOnlyList<KeyValuePair<string, object>> metadata, IReadOnlyList<TensorEntry> tensors, CancellationToken cancel = default)
    {
        byte[] head = Head(path, metadata, tensors);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(head);
            byte[] buffer = new byte[BufferBytes];
            foreach (var entry in tensors)
            {
                entry.CopyTo(path, stream.Write, buffer, cancel);
                stream.Write(new byte[(int)(-stream.Position & (Alignment - 1))]);
            }
        });
    }

    private static byte[] Head(string path, IReadOnlyList<KeyValuePair<string, object>> metadata, IReadOnlyList<TensorEntry> tensors)
    {
        var names = new HashSet<string>();
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(GgufFile.MagicBytes);
        writer.Write(Version);
        writer.Write((long)tensors.Count);
        writer.Write((long)metadata.Count);
        foreach (var (key, value) in metadata)
        {
            if (!names.Add(key)) throw new GlmException($"{path}: expected each key once, found {key} again");
            Text(writer, key);
            writer.Write((int)TypeOf(key, value.GetType()));
            Value(writer, key, value);
        }
        names.Clear();
        long offset = 0;
        foreach (var entry in tensors)
        {
            if (!names.Add(entry.Name)) throw new GlmException($"{path}: expected each tensor once, found {entry.Name} again");
            WriteInfo(writer, path, entry, offset);
            offset += (entry.Bytes + Alignment - 1) & -Alignment;
        }
        writer.Write(new byte[(int)(-stream.Position & (Alignment - 1))]);
        return stream.ToArray();
    }

    private static void WriteInfo(BinaryWriter writer, string path, TensorEntry entry, long offset)
    {
        var type = GgufTypes.Of(entry.Type, entry.Name);
        int columns = entry.Shape.Length == 0 ? 1 : entry.Shape[^1];
        if (columns % type.BlockValues != 0) throw new GlmException($"{path}: {entry.Name}: expected rows of a multiple of {type.BlockValues} values for {type.Name}, found {columns}");
        if (entry.Shape.Length > MostDimensions) throw new GlmException($"{path}: {entry.Name}: expected at most {MostDimensions} dimensions, found {entry.Shape.Length}");
        if (Encoding.UTF8.GetByteCount(entry.Name) > LongestTensorName) throw new GlmException($"{path}: {entry.Name}: expected a name of at most {LongestTensorName} bytes, found a longer one");
        Text(writer, entry.Name);
        writer.Write(entry.Shape.Length);
        foreach (int size in entry.Shape.Reverse()) writer.Write((long)size);
        writer.Write(type.Code);
        writer.Write(offset);
    }

    private static GgufValueType TypeOf(string key, Type type) => type.IsArray ? GgufValueType.Array : Type.GetTypeCode(type) switch
    {
        TypeCode.Byte => GgufValueType.UInt8,
        TypeCode.SByte => GgufValueType.Int8,
        TypeCode.UInt16 => GgufValueType.UInt16,
        TypeCode.Int16 => GgufValueType.Int16,
        TypeCode.UInt32 => GgufValueType.UInt32,
        TypeCode.Int32 => GgufValueType.Int32,
        TypeCode.Single => GgufValueType.Float32,
        TypeCode.Boolean => GgufValueType.Bool,
        TypeCode.String => GgufValueType.String,
        TypeCode.UInt64 => GgufValueType.UInt64,
        TypeCode.Int64 => GgufValueType.Int64,
        TypeCode.Double => GgufValueType.Float64,
        _ => throw new GlmException($"{key}: expected a type that GGUF metadata have, found {type.Name}"),
    };

    private static void Value(BinaryWriter writer, string key, object value)
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
            case string v: Text(writer, v); break;
            case Array v:
                var element = TypeOf(key, v.GetType().GetElementType()!);
                if (element == GgufValueType.Array) throw new GlmException($"{key}: expected an array of scalars or strings, found an array of arrays");
                writer.Write((int)element);
                writer.Write((long)v.Length);
                foreach (object item in v) Value(writer, key, item);
                break;
        }
    }

    private static void Text(BinaryWriter writer, string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        writer.Write((long)utf8.Length);
        writer.Write(utf8);
    }
}
