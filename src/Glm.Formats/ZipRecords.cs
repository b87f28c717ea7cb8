using System.Buffers.Binary;
using System.Text;
using Glm.Tensors;

namespace Glm.Formats;

/// <summary>
/// Where the files of a zip archive lie that stores them uncompressed, as PyTorch does: from the central directory at its end (Zip64 allowed), checked
/// against the local headers. Every record lies inside the archive and none overlaps another.
/// </summary>
internal sealed class ZipRecords
{
    private const uint LocalMagic = 0x04034b50, CentralMagic = 0x02014b50, EndMagic = 0x06054b50, End64Magic = 0x06064b50, Locator64Magic = 0x07064b50;
    private const int LocalBytes = 30, CentralBytes = 46, EndBytes = 22, End64Bytes = 56, Locator64Bytes = 20, LongestComment = ushort.MaxValue;
    private const ushort Zip64Extra = 1, EncryptedFlag = 1;

    private readonly string _path;
    private readonly Storage _storage;
    private readonly Dictionary<string, ZipRecord> _records = [];

    /// <exception cref="GlmException">The archive is damaged, or a record is compressed or encrypted.</exception>
    public ZipRecords(string path, Storage storage)
    {
        (_path, _storage) = (path, storage);
        var (directory, bytes, count) = FindDirectory();
        var reader = new MappedReader(path, storage, directory);
        for (ulong i = 0; i < count; i++)
        {
            if (reader.Position - directory > bytes - CentralBytes) throw Bad("central directory", $"{count} records in {bytes} bytes", $"the end after {i}");
            ReadRecord(reader);
        }
        RefuseOverlaps(directory);
    }

    /// <summary>The records by name.</summary>
    public IReadOnlyDictionary<string, ZipRecord> Records => _records;

    /// <summary>The bytes of a record, of which at most <paramref name="longest"/> are wanted.</summary>
    /// <exception cref="GlmException">There is no such record, or it is longer.</exception>
    public byte[] Read(string name, int longest)
    {
        if (!_records.TryGetValue(name, out var record)) throw new GlmException($"{_path}: expected a record {name}, found none among {_records.Count}");
        if (record.Bytes > longest) throw Bad(name, $"at most {longest} bytes", $"{record.Bytes}");
        byte[] bytes = new byte[record.Bytes];
        _storage.View(DType.UInt8, record.Offset, bytes.Length).CopyBytesTo(bytes);
        return bytes;
    }

    /// <summary>Begin, size and number of records of the central directory; what does not fit into 32 bits stands in the Zip64 end.</summary>
    private (long Start, long Bytes, ulong Count) FindDirectory()
    {
        long at = FindEnd();
        var reader = new MappedReader(_path, _storage, at);
        var end = reader.Take(EndBytes, "end of the archive");
        ulong count = BinaryPrimitives.ReadUInt16LittleEndian(end[10..]), size = BinaryPrimitives.ReadUInt32LittleEndian(end[12..]), start = BinaryPrimitives.ReadUInt32LittleEndian(end[16..]);
        if (at >= Locator64Bytes)
        {
            var locator = new MappedReader(_path, _storage, at - Locator64Bytes).Take(Locator64Bytes, "Zip64 locator");
            if (BinaryPrimitives.ReadUInt32LittleEndian(locator) == Locator64Magic)
            {
                ulong place = BinaryPrimitives.ReadUInt64LittleEndian(locator[8..]);
                if (place > (ulong)at) throw Bad("Zip64 locator", $"an offset below {at}", $"{place}");
                var end64 = new MappedReader(_path, _storage, (long)place).Take(End64Bytes, "Zip64 end of the archive");
                if (BinaryPrimitives.ReadUInt32LittleEndian(end64) != End64Magic) throw Bad("Zip64 locator", "the Zip64 end of the archive", $"something else at offset {place}");
                (count, size, start) = (BinaryPrimitives.ReadUInt64LittleEndian(end64[32..]), BinaryPrimitives.ReadUInt64LittleEndian(end64[40..]), BinaryPrimitives.ReadUInt64LittleEndian(end64[48..]));
            }
        }
        if (start > (ulong)at || size > (ulong)at - start) throw Bad("central directory", $"a place inside the {at} bytes before the end of the archive", $"{size} bytes at offset {start}");
        if (count > size / CentralBytes) throw Bad("central directory", $"at most {size / CentralBytes} records in {size} bytes", $"{count}");
        return ((long)start, (long)size, count);
    }

    /// <summary>The end record stands before a comment whose length it names.</summary>
    private long FindEnd()
    {
        int length = (int)Math.Min(_storage.Bytes, EndBytes + LongestComment);
        byte[] tail = new byte[length];
        _storage.View(DType.UInt8, _storage.Bytes - length, length).CopyBytesTo(tail);
        for (int at = length - EndBytes; at >= 0; at--)
            if (BinaryPrimitives.ReadUInt32LittleEndian(tail.AsSpan(at)) == EndMagic && BinaryPrimitives.ReadUInt16LittleEndian(tail.AsSpan(at + 20)) == length - EndBytes - at)
                return _storage.Bytes - length + at;
        throw new GlmException($"{_path}: expected a zip archive with its directory at the end, found none: the file may be cut off");
    }

    private void ReadRecord(MappedReader reader)
    {
        var head = reader.Take(CentralBytes, "central directory");
        if (BinaryPrimitives.ReadUInt32LittleEndian(head) != CentralMagic) throw Bad("central directory", "a record", $"something else at offset {reader.Position - CentralBytes}");
        int flags = BinaryPrimitives.ReadUInt16LittleEndian(head[8..]), method = BinaryPrimitives.ReadUInt16LittleEndian(head[10..]);
        ulong packed = BinaryPrimitives.ReadUInt32LittleEndian(head[20..]), bytes = BinaryPrimitives.ReadUInt32LittleEndian(head[24..]);
        int nameBytes = BinaryPrimitives.ReadUInt16LittleEndian(head[28..]), extraBytes = BinaryPrimitives.ReadUInt16LittleEndian(head[30..]);
        int commentBytes = BinaryPrimitives.ReadUInt16LittleEndian(head[32..]);
        ulong local = BinaryPrimitives.ReadUInt32LittleEndian(head[42..]);
        string name = Encoding.UTF8.GetString(reader.Take(nameBytes, "name in the central directory"));
        ReadZip64(name, reader.Take(extraBytes, name), ref bytes, ref packed, ref local);
        reader.Skip((ulong)commentBytes, 1, name);
        if ((flags & EncryptedFlag) != 0) throw Bad(name, "a plain record", "an encrypted one");
        if (method != 0 || packed != bytes) throw Bad(name, "an uncompressed record, as torch.save writes them", $"compression method {method}");
        if (!_records.TryAdd(name, new ZipRecord(DataOffset(name, local, bytes), (long)bytes))) throw Bad(name, "each record once", "it twice");
    }

    /// <summary>Of the fields that are all ones, the values stand in the Zip64 field, in this order.</summary>
    private void ReadZip64(string name, ReadOnlySpan<byte> extra, ref ulong bytes, ref ulong packed, ref ulong local)
    {
        while (extra.Length >= 4)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]);
            if (length > extra.Length - 4) return;
            if (BinaryPrimitives.ReadUInt16LittleEndian(extra) == Zip64Extra)
            {
                var values = extra.Slice(4, length);
                bytes = Next(ref values, bytes);
                packed = Next(ref values, packed);
                local = Next(ref values, local);
                return;
            }
            extra = extra[(4 + length)..];
        }

        ulong Next(ref ReadOnlySpan<byte> values, ulong field)
        {
            if (field != uint.MaxValue) return field;
            if (values.Length < 8) throw Bad(name, "its sizes in the Zip64 field", $"{values.Length} bytes left there");
            field = BinaryPrimitives.ReadUInt64LittleEndian(values);
            values = values[8..];
            return field;
        }
    }

    /// <summary>The data follow the local header, whose name and extra field have their own lengths: PyTorch aligns data by the latter.</summary>
    private long DataOffset(string name, ulong local, ulong bytes)
    {
        ulong end = (ulong)_storage.Bytes;
        if (local > end || end - local < LocalBytes) throw Bad(name, $"a place inside the {end} bytes of the file", $"offset {local}");
        Span<byte> head = stackalloc byte[LocalBytes];
        _storage.View(DType.UInt8, (long)local, LocalBytes).CopyBytesTo(head);
        if (BinaryPrimitives.ReadUInt32LittleEndian(head) != LocalMagic) throw Bad(name, "its local header", $"something else at offset {local}");
        ulong offset = local + LocalBytes + BinaryPrimitives.ReadUInt16LittleEndian(head[26..]) + BinaryPrimitives.ReadUInt16LittleEndian(head[28..]);
        if (offset > end || bytes > end - offset) throw Bad(name, $"a record inside the {end} bytes of the file", $"{bytes} bytes at offset {offset}");
        return (long)offset;
    }

    private void RefuseOverlaps(long directory)
    {
        (string Name, long End) last = ("", 0);
        foreach (var (name, record) in _records.OrderBy(r => r.Value.Offset).ThenBy(r => r.Value.Bytes))
        {
            if (record.Offset < last.End) throw Bad(name, $"data from offset {last.End} on, where {last.Name} ends", $"{record.Offset}");
            last = (name, record.Offset + record.Bytes);
        }
        if (last.End > directory) throw Bad(last.Name, $"data before the central directory at offset {directory}", $"their end at {last.End}");
    }

    private GlmException Bad(string field, string expected, string found) => new($"{_path}: {field}: expected {expected}, found {found}");
}

/// <summary>A file in an archive.</summary>
/// <param name="Offset">Where its data begin.</param>
/// <param name="Bytes">How long they are.</param>
internal readonly record struct ZipRecord(long Offset, long Bytes);
