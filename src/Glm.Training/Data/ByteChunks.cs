namespace Glm.Training;

/// <summary>Cuts a stream into lines or pieces, and never holds more than <paramref name="limit"/> bytes of it.</summary>
internal sealed class ByteChunks(Stream stream, int limit)
{
    private byte[] _buffer = new byte[Math.Min(limit, 1 << 16)];
    private int _start, _end;
    private bool _streamEnded;

    /// <summary>
    /// The next line, without its newline; false at the end. A line longer than the limit is skipped and comes out
    /// <paramref name="tooLong"/> and empty. The bytes stay valid until the next call.
    /// </summary>
    public bool ReadLine(out ReadOnlySpan<byte> line, out bool tooLong)
    {
        tooLong = false;
        int scanned = 0;
        while (true)
        {
            int newline = _buffer.AsSpan((_start + scanned).._end).IndexOf((byte)'\n');
            if (newline >= 0)
            {
                line = tooLong ? default : _buffer.AsSpan(_start, scanned + newline);
                _start += scanned + newline + 1;
                return true;
            }
            scanned = _end - _start;
            if (Fill()) continue;
            line = _streamEnded && !tooLong ? _buffer.AsSpan(_start, scanned) : default;
            _start = _end;
            if (_streamEnded) return scanned > 0 || tooLong;
            (tooLong, scanned) = (true, 0);
        }
    }

    /// <summary>
    /// The next piece: all that is left where that is within the limit, otherwise whole lines (or at least whole UTF-8 characters);
    /// false at the end.
    /// </summary>
    public bool ReadPiece(out ReadOnlySpan<byte> piece)
    {
        while (Fill()) { }
        ReadOnlySpan<byte> held = _buffer.AsSpan(_start.._end);
        int length = held.Length;
        if (!_streamEnded)
        {
            length = held.LastIndexOf((byte)'\n') + 1;
            if (length == 0) length = held.Length - PartialCharacter(held);
        }
        piece = held[..length];
        _start += length;
        return length > 0;
    }

    /// <summary>Bytes at the end that begin a UTF-8 character (0xxxxxxx or 11xxxxxx) without ending it; at most 3.</summary>
    private static int PartialCharacter(ReadOnlySpan<byte> bytes)
    {
        for (int back = 1; back <= Math.Min(3, bytes.Length - 1); back++)
            if ((bytes[^back] & 0xC0) != 0x80) return bytes[^back] >= 0xC0 ? back : 0;
        return 0;
    }

    /// <summary>Reads more; false where the stream has ended or the limit is reached.</summary>
    private bool Fill()
    {
        if (_end == _buffer.Length && _start > 0)
        {
            _buffer.AsSpan(_start.._end).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }
        if (_streamEnded || _end == limit) return false;
        if (_end == _buffer.Length) Array.Resize(ref _buffer, (int)Math.Min(limit, 2L * _buffer.Length));
        int read = stream.Read(_buffer, _end, _buffer.Length - _end);
        _end += read;
        _streamEnded = read == 0;
        return read > 0;
    }
}
