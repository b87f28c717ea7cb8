using System.Text;

namespace Glm.Formats;

/// <summary>
/// Writes a zip archive of uncompressed records whose data are aligned to 64 bytes by the extra field of their headers, as PyTorch does. Sizes and places are
/// always those of Zip64, so that there is one form for small and large archives.
/// </summary>
internal sealed class ZipWriter(Stream stream) : IDisposable
{
    private const int Alignment = 64, ExtraHead = 4, LocalZip64 = ExtraHead + 16, CentralZip64 = ExtraHead + 24, LocalBytes = 30, CrcOffset = 14;
    private const ushort Version = 45, Zip64Extra = 1, PaddingExtra = 'F' | 'B' << 8, Utf8Flag = 1 << 11, FirstOfJanuary1980 = 1 << 5 | 1;

    private readonly List<(byte[] Name, uint Crc, long Bytes, long Start)> _records = [];
    private readonly BinaryWriter _writer = new(stream, Encoding.UTF8, leaveOpen: true);

    /// <summary>Adds a record of <paramref name="bytes"/> bytes, which <paramref name="write"/> gives to what it is handed, part by part.</summary>
    public void Add(string name, long bytes, Action<Action<ReadOnlySpan<byte>>> write)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(name);
        long start = stream.Position, head = start + LocalBytes + utf8.Length + LocalZip64 + ExtraHead;
        int padding = (int)(-head & (Alignment - 1));
        _writer.Write(0x04034b50u);
        WriteCommon(0);
        _writer.Write((ushort)utf8.Length);
        _writer.Write((ushort)(LocalZip64 + ExtraHead + padding));
        _writer.Write(utf8);
        WriteZip64(bytes, bytes);
        _writer.Write(PaddingExtra);
        _writer.Write((ushort)padding);
        _writer.Write(new byte[padding]);
        uint crc = 0;
        write(part =>
        {
            crc = Crc32.Append(crc, part);
            stream.Write(part);
        });
        long end = stream.Position;
        stream.Position = start + CrcOffset;
        _writer.Write(crc);
        stream.Position = end;
        _records.Add((utf8, crc, bytes, start));
    }

    /// <summary>Adds a short record.</summary>
    public void Add(string name, byte[] bytes) => Add(name, bytes.Length, write => write(bytes));

    /// <summary>Writes the directory of the archive.</summary>
    public void Finish()
    {
        long start = stream.Position;
        foreach (var (name, crc, bytes, local) in _records)
        {
            _writer.Write(0x02014b50u);
            _writer.Write(Version);
            WriteCommon(crc);
            _writer.Write((ushort)name.Length);
            _writer.Write((ushort)CentralZip64);
            _writer.Write(new byte[10]);
            _writer.Write(uint.MaxValue);
            _writer.Write(name);
            WriteZip64(bytes, bytes, local);
        }
        long end = stream.Position;
        _writer.Write(0x06064b50u);
        _writer.Write(44L);
        _writer.Write(Version);
        _writer.Write(Version);
        _writer.Write(0L);
        _writer.Write((long)_records.Count);
        _writer.Write((long)_records.Count);
        _writer.Write(end - start);
        _writer.Write(start);
        _writer.Write(0x07064b50u);
        _writer.Write(0);
        _writer.Write(end);
        _writer.Write(1);
        _writer.Write(0x06054b50u);
        _writer.Write(0);
        _writer.Write(uint.MaxValue);
        _writer.Write(ulong.MaxValue);
        _writer.Write((ushort)0);
        _writer.Flush();
    }

    public void Dispose() => _writer.Dispose();

    /// <summary>From the version that is needed to the sizes, which stand in the Zip64 field.</summary>
    private void WriteCommon(uint crc)
    {
        _writer.Write(Version);
        _writer.Write(Utf8Flag);
        _writer.Write((ushort)0);
        _writer.Write((ushort)0);
        _writer.Write(FirstOfJanuary1980);
        _writer.Write(crc);
        _writer.Write(ulong.MaxValue);
    }

    private void WriteZip64(params ReadOnlySpan<long> values)
    {
        _writer.Write(Zip64Extra);
        _writer.Write((ushort)(values.Length * sizeof(long)));
        foreach (long value in values) _writer.Write(value);
    }
}
