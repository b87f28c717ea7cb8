using System.Buffers.Binary;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>Writes one protobuf message, field by field.</summary>
internal sealed class ProtobufWriter
{
    private readonly MemoryStream _stream = new();

    public void Write(int field, int value)
    {
        WriteTag(field, WireType.Varint);
        WriteRawVarint((ulong)(long)value);
    }

    public void Write(int field, bool value) => Write(field, value ? 1 : 0);

    public void Write(int field, float value)
    {
        WriteTag(field, WireType.Fixed32);
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        _stream.Write(bytes);
    }

    public void Write(int field, ReadOnlySpan<byte> bytes)
    {
        WriteTag(field, WireType.Bytes);
        WriteRawVarint((ulong)bytes.Length);
        _stream.Write(bytes);
    }

    public void Write(int field, string text) => Write(field, Encoding.UTF8.GetBytes(text));

    /// <summary>Appends fields that are already encoded, tags included.</summary>
    public void WriteRaw(ReadOnlySpan<byte> fields) => _stream.Write(fields);

    public byte[] ToArray() => _stream.ToArray();

    private void WriteTag(int field, WireType wire) => WriteRawVarint(((ulong)field << 3) | (ulong)wire);

    private void WriteRawVarint(ulong value)
    {
        for (; value >= 0x80; value >>= 7) _stream.WriteByte((byte)(value | 0x80));
        _stream.WriteByte((byte)value);
    }
}
