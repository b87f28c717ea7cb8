using System.Buffers.Binary;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>
/// Reads one protobuf message field by field. Every length is checked against the bytes that are there before it is used; a
/// fault is a <see cref="GlmException"/> that names the file and the message or field.
/// </summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message, string file, string name)
{
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    private readonly ReadOnlySpan<byte> _message = message;
    private int _position;
    private int _fieldStart;

    /// <summary>Number of the field that was read last.</summary>
    public int Field { get; private set; }

    /// <summary>Wire type of the field that was read last.</summary>
    public WireType Wire { get; private set; }

    /// <summary>Moves to the next field; false at the end of the message.</summary>
    public bool Next()
    {
        if (_position == _message.Length) return false;
        _fieldStart = _position;
        ulong tag = ReadRawVarint();
        if (tag is < 8 or > uint.MaxValue)
            throw Fault("a field tag", $"{tag}");
        Field = (int)(tag >> 3);
        Wire = (WireType)(tag & 7);
        if (Wire is not (WireType.Varint or WireType.Fixed64 or WireType.Bytes or WireType.Fixed32))
            throw Fault("wire type 0, 1, 2 or 5", $"{(int)Wire}");
        return true;
    }

    public int ReadInt32()
    {
        Expect(WireType.Varint);
        return (int)ReadRawVarint();
    }

    public bool ReadBool()
    {
        Expect(WireType.Varint);
        return ReadRawVarint() != 0;
    }

    public float ReadFloat()
    {
        Expect(WireType.Fixed32);
        return BinaryPrimitives.ReadSingleLittleEndian(Take(4));
    }

    public ReadOnlySpan<byte> ReadBytes()
    {
        Expect(WireType.Bytes);
        ulong length = ReadRawVarint();
        if (length > (ulong)(_message.Length - _position))
            throw Fault($"at most {_message.Length - _position} bytes", $"a length of {length}");
        return Take((int)length);
    }

    public string ReadString()
    {
        ReadOnlySpan<byte> bytes = ReadBytes();
        try { return StrictUtf8.GetString(bytes); }
        catch (DecoderFallbackException) { throw Fault("valid UTF-8", "other bytes"); }
    }

    /// <summary>Skips the current field and appends it, tag included, to <paramref name="kept"/>.</summary>
    public void Keep(List<byte> kept)
    {
        switch (Wire)
        {
            case WireType.Varint: ReadRawVarint(); break;
            case WireType.Fixed64: Take(8); break;
            case WireType.Fixed32: Take(4); break;
            default: ReadBytes(); break;
        }
        kept.AddRange(_message[_fieldStart.._position]);
    }

    public readonly GlmException Fault(string expected, string found) =>
        new($"{file}: {name}, field {Field}: expected {expected}, found {found}");

    private readonly void Expect(WireType wire)
    {
        if (Wire != wire) throw Fault($"wire type {wire}", $"{Wire}");
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _message.Length - _position)
            throw Fault($"{count} bytes", $"{_message.Length - _position} before the end");
        ReadOnlySpan<byte> taken = _message.Slice(_position, count);
        _position += count;
        return taken;
    }

    private ulong ReadRawVarint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = Take(1)[0];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80) return value;
        }
        throw Fault("a number of at most 10 bytes", "a longer one");
    }
}
