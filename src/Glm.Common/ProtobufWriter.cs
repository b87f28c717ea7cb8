using System.Buffers.Binary;
using System.Text;

namespace Glm;

/// <summary>How a protobuf value is stored on the wire.</summary>
public enum WireType
{
    /// <summary>Seven bits a byte, the lowest first.</summary>
    Varint = 0,

    /// <summary>8 bytes.</summary>
    Fixed64 = 1,

    /// <summary>A length and so many bytes.</summary>
    Bytes = 2,

    /// <summary>4 bytes.</summary>
    Fixed32 = 5,
}

/// <summary>Writes one protobuf message, field by field.</summary>
public sealed class ProtobufWriter
{
    private readonly MemoryStream _stream = new();

    /// <summary>Appends an integer.</summary>
    public ProtobufWriter Write(int field, long value)
    {
        WriteTag(field, WireType.Varint);
        WriteRawVarint((ulong)value);
        return this;
    }

    /// <summary>Appends a truth value.</summary>
    public ProtobufWriter Write(int field, bool value) => Write(field, value ? 1L : 0);

    /// <summary>Appends a number of 4 bytes.</summary>
    public ProtobufWriter Write(int field, float value)
    {
        WriteTag(field, WireType.Fixed32);
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        return WriteRaw(bytes);
    }

    /// <summary>Appends a number of 8 bytes.</summary>
    public ProtobufWriter Write(int field, double value)
    {
        WriteTag(field, WireType.Fixed64);
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
        return WriteRaw(bytes);
    }

    /// <summary>Appends bytes, which may be a message.</summary>
    public ProtobufWriter Write(int field, ReadOnlySpan<byte> bytes)
    {
        WriteTag(field, WireType.Bytes);
        WriteRawVarint((ulong)bytes.Length);
        return WriteRaw(bytes);
    }

    /// <summary>Appends text.</summary>
    public ProtobufWriter Write(int field, string text) => Write(field, Encoding.UTF8.GetBytes(text));

    /// <summary>Appends fields that are already encoded, tags included.</summary>
    public ProtobufWriter WriteRaw(ReadOnlySpan<byte> fields)
    {
        _stream.Write(fields);
        return this;
    }

    /// <summary>The message.</summary>
    public byte[] ToArray() => _stream.ToArray();

    private void WriteTag(int field, WireType wire) => WriteRawVarint(((ulong)field << 3) | (ulong)wire);

    private void WriteRawVarint(ulong value)
    {
        for (; value >= 0x80; value >>= 7) _stream.WriteByte((byte)(value | 0x80));
        _stream.WriteByte((byte)value);
    }
}
