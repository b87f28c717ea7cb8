using System.Buffers.Binary;
using System.Text;
using Glm.Tensors;

namespace Glm.Formats;

/// <summary>Reads the little-endian numbers and strings of a mapped file one after another; nothing is taken from beyond its end.</summary>
internal sealed class MappedReader(string path, Storage storage, long position = 0)
{
    private const int BufferBytes = 1 << 16;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private byte[] _buffer = [];
    private long _bufferStart;

    /// <summary>Where the next value begins, in bytes from the start of the file.</summary>
    public long Position { get; private set; } = position;

    /// <summary>Bytes between here and the end of the file.</summary>
    public long Remaining => storage.Bytes - Position;

    public byte Byte(string field) => Take(1, field)[0];

    public uint UInt32(string field) => BinaryPrimitives.ReadUInt32LittleEndian(Take(4, field));

    public ulong UInt64(string field) => BinaryPrimitives.ReadUInt64LittleEndian(Take(8, field));

    /// <summary>The next bytes, valid until the next call.</summary>
    public ReadOnlySpan<byte> Take(int bytes, string field)
    {
        Require(bytes, field);
        if (Position < _bufferStart || Position + bytes > _bufferStart + _buffer.Length)
        {
            int length = (int)Math.Min(Remaining, Math.Max(bytes, BufferBytes));
            if (_buffer.Length != length) _buffer = new byte[length];
            storage.View(DType.UInt8, Position, length).CopyBytesTo(_buffer);
            _bufferStart = Position;
        }
        var taken = _buffer.AsSpan((int)(Position - _bufferStart), bytes);
        Position += bytes;
        return taken;
    }

    /// <summary>A string: its length as an unsigned 64-bit number, then UTF-8.</summary>
    /// <exception cref="GlmException">It is longer than <paramref name="longest"/> bytes or than the file, or not UTF-8.</exception>
    public string String(string field, int longest)
    {
        ulong length = UInt64(field);
        if (length > (ulong)longest) throw new GlmException($"{path}: {field}: expected a string of at most {longest} bytes, found a length of {length}");
        try
        {
            return StrictUtf8.GetString(Take((int)length, field));
        }
        catch (DecoderFallbackException error)
        {
            throw new GlmException($"{path}: {field}: expected UTF-8, found other bytes", error);
        }
    }

    /// <summary>Passes over a string without decoding it.</summary>
    public void SkipString(string field) => Skip(UInt64(field), 1, field);

    /// <summary>Passes over <paramref name="count"/> values of <paramref name="size"/> bytes.</summary>
    public void Skip(ulong count, int size, string field)
    {
        if (count > (ulong)(Remaining / size))
            throw new GlmException($"{path}: {field}: expected at most {Remaining / size} values of {size} bytes before the end of the file, found {count}");
        Position += (long)count * size;
    }

    private void Require(long bytes, string field)
    {
        if (bytes > Remaining) throw new GlmException($"{path}: {field}: expected {bytes} bytes at offset {Position}, found {Remaining} before the end of the file");
    }
}
