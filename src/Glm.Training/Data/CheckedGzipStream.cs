using System.IO.Compression;

namespace Glm.Training;

/// <summary>
/// Decompresses a gzip file of one or more members and notices when its end is missing. <see cref="GZipStream"/> alone takes a cut
/// file for a whole one (unless the process as a whole is configured otherwise). So one more member is put behind the file's own;
/// its text must come out at the end, and does so only if the member before it was complete.
/// </summary>
internal sealed class CheckedGzipStream : ReadOnlyStream
{
    private readonly GZipStream _gzip;
    private readonly byte[] _buffer = new byte[1 << 16];
    private int _start, _end;

    /// <summary>Decompresses <paramref name="file"/>, which it owns.</summary>
    public CheckedGzipStream(Stream file) => _gzip = new GZipStream(new Concatenation(file, EndMember()), CompressionMode.Decompress);

    private static ReadOnlySpan<byte> EndMark => "end of the file's own members"u8;

    public override int Read(Span<byte> buffer)
    {
        while (_end - _start <= EndMark.Length)
        {
            _buffer.AsSpan(_start.._end).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
            int read = _gzip.Read(_buffer, _end, _buffer.Length - _end);
            _end += read;
            if (read > 0) continue;
            return _buffer.AsSpan(.._end).SequenceEqual(EndMark) ? 0 : throw new InvalidDataException("the gzip data is cut off, or something else follows it");
        }
        int count = Math.Min(buffer.Length, _end - _start - EndMark.Length);
        _buffer.AsSpan(_start, count).CopyTo(buffer);
        _start += count;
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) _gzip.Dispose();
        base.Dispose(disposing);
    }

    private static MemoryStream EndMember()
    {
        var member = new MemoryStream();
        using (var gzip = new GZipStream(member, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(EndMark);
        member.Position = 0;
        return member;
    }

    private sealed class Concatenation(Stream first, Stream second) : ReadOnlyStream
    {
        public override int Read(Span<byte> buffer) => first.Read(buffer) is > 0 and var read ? read : second.Read(buffer);

        protected override void Dispose(bool disposing)
        {
            if (disposing) first.Dispose();
            base.Dispose(disposing);
        }
    }
}
