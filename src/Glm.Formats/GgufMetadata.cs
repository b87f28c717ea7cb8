using System.Buffers.Binary;
using System.Globalization;
using Glm.Tensors;

namespace Glm.Formats;

/// <summary>The types of metadata, with their codes in the file (spec 10.1).</summary>
public enum GgufValueType
{
    /// <summary>Unsigned 8-bit integer.</summary>
    UInt8 = 0,

    /// <summary>Signed 8-bit integer.</summary>
    Int8 = 1,

    /// <summary>Unsigned 16-bit integer.</summary>
    UInt16 = 2,

    /// <summary>Signed 16-bit integer.</summary>
    Int16 = 3,

    /// <summary>Unsigned 32-bit integer.</summary>
    UInt32 = 4,

    /// <summary>Signed 32-bit integer.</summary>
    Int32 = 5,

    /// <summary>IEEE binary32.</summary>
    Float32 = 6,

    /// <summary>One byte, 0 or 1.</summary>
    Bool = 7,

    /// <summary>UTF-8 with its length before it.</summary>
    String = 8,

    /// <summary>Element type, count, elements; arrays of arrays are not supported.</summary>
    Array = 9,

    /// <summary>Unsigned 64-bit integer.</summary>
    UInt64 = 10,

    /// <summary>Signed 64-bit integer.</summary>
    Int64 = 11,

    /// <summary>IEEE binary64.</summary>
    Float64 = 12,
}

/// <summary>
/// The key-value pairs at the head of a GGUF file. That every value lies inside the file is checked when the file is opened; a value is decoded when it is
/// asked for, since vocabularies are large and often not wanted.
/// </summary>
public sealed class GgufMetadata
{
    private const int LongestKey = ushort.MaxValue;
    private const int LongestString = 1 << 24;

    private readonly string _path;
    private readonly Storage _storage;
    private readonly Dictionary<string, Entry> _entries = [];

    internal GgufMetadata(string path, Storage storage, MappedReader reader, ulong count)
    {
        _path = path;
        _storage = storage;
        for (ulong i = 0; i < count; i++)
        {
            string key = reader.String($"key {i}", LongestKey);
            if (!_entries.TryAdd(key, ReadEntry(reader, key))) throw new GlmException($"{path}: {key}: expected each key once, found it twice");
        }
    }

    /// <summary>The keys.</summary>
    public IReadOnlyCollection<string> Keys => _entries.Keys;

    /// <summary>The type of a key's value, or null if there is no such key.</summary>
    public GgufValueType? TypeOf(string key) => _entries.TryGetValue(key, out var entry) ? entry.Type : null;

    /// <summary>The type of an array's elements, or null if there is no such array.</summary>
    public GgufValueType? ElementTypeOf(string key) => _entries.TryGetValue(key, out var entry) && entry.Type == GgufValueType.Array ? entry.Element : null;

    /// <summary>An integer of any width, or null if there is no such key.</summary>
    /// <exception cref="GlmException">The value is not an integer from -2^63 to 2^63 - 1.</exception>
    public long? FindInteger(string key) => _entries.TryGetValue(key, out var entry) ? Integer(key, entry.Type, Scalar(key, entry), "an integer") : null;

    /// <summary>A number of any type, or null if there is no such key.</summary>
    /// <exception cref="GlmException">The value is not a number.</exception>
    public double? FindNumber(string key) => _entries.TryGetValue(key, out var entry) ? Number(key, entry.Type, Scalar(key, entry)) : null;

    /// <summary>A truth value, or null if there is no such key.</summary>
    /// <exception cref="GlmException">The value is not one.</exception>
    public bool? FindBool(string key)
    {
        if (!_entries.TryGetValue(key, out var entry)) return null;
        if (entry.Type != GgufValueType.Bool) throw Unexpected(key, "a Bool", entry.Type);
        return Scalar(key, entry)[0] switch
        {
            0 => false,
            1 => true,
            var other => throw new GlmException($"{_path}: {key}: expected 0 or 1 for a Bool, found {other}"),
        };
    }

    /// <summary>A string, or null if there is no such key.</summary>
    /// <exception cref="GlmException">The value is not a string of UTF-8, or longer than 16 MiB.</exception>
    public string? FindString(string key)
    {
        if (!_entries.TryGetValue(key, out var entry)) return null;
        if (entry.Type != GgufValueType.String) throw Unexpected(key, "a String", entry.Type);
        return At(entry).String(key, LongestString);
    }

    /// <summary>An array of strings, or null if there is no such key.</summary>
    /// <exception cref="GlmException">The value is not such an array.</exception>
    public string[]? FindStrings(string key)
    {
        if (!FindArray(key, out var entry)) return null;
        if (entry.Element != GgufValueType.String) throw Unexpected(key, "an Array of String", entry.Element, "an Array of ");
        var reader = At(entry);
        string[] values = new string[entry.Count];
        for (int i = 0; i < values.Length; i++) values[i] = reader.String(key, LongestString);
        return values;
    }

    /// <summary>An array of numbers of any type, or null if there is no such key.</summary>
    /// <exception cref="GlmException">The value is not such an array.</exception>
    public double[]? FindNumbers(string key)
    {
        if (!FindArray(key, out var entry)) return null;
        int size = SizeOf(entry.Element);
        if (size == 0 || entry.Element == GgufValueType.Bool) throw Unexpected(key, "an Array of numbers", entry.Element, "an Array of ");
        var reader = At(entry);
        double[] values = new double[entry.Count];
        for (int i = 0; i < values.Length; i++) values[i] = Number(key, entry.Element, reader.Take(size, key));
        return values;
    }

    /// <summary>An integer that must be there and lie between two bounds.</summary>
    /// <exception cref="GlmException">It is missing, no integer, or outside the bounds.</exception>
    public int GetInteger(string key, int least = 0, int most = int.MaxValue)
    {
        long value = FindInteger(key) ?? throw Missing(key);
        return value >= least && value <= most ? (int)value : throw new GlmException($"{_path}: {key}: expected {least} to {most}, found {value}");
    }

    /// <summary>A number that must be there.</summary>
    /// <exception cref="GlmException">It is missing or no number.</exception>
    public double GetNumber(string key) => FindNumber(key) ?? throw Missing(key);

    /// <summary>A string that must be there.</summary>
    /// <exception cref="GlmException">It is missing or no string.</exception>
    public string GetString(string key) => FindString(key) ?? throw Missing(key);

    private GlmException Missing(string key) => new($"{_path}: expected the metadata key {key}, found none among {_entries.Count}");

    private GlmException Unexpected(string key, string expected, GgufValueType found, string prefix = "") =>
        new($"{_path}: {key}: expected {expected}, found {prefix}{found}");

    private Entry ReadEntry(MappedReader reader, string key)
    {
        var type = ReadType(reader, key);
        if (type == GgufValueType.Array)
        {
            var element = ReadType(reader, key);
            if (element == GgufValueType.Array) throw new GlmException($"{_path}: {key}: expected an Array of scalars or strings, found an Array of Array");
            ulong count = reader.UInt64(key);
            long start = reader.Position;
            if (element != GgufValueType.String) reader.Skip(count, SizeOf(element), key);
            else
                for (ulong i = 0; i < count; i++) reader.SkipString(key);
            if (count > (ulong)Array.MaxLength) throw new GlmException($"{_path}: {key}: expected at most {Array.MaxLength} elements, found {count}");
            return new Entry(type, start, element, (int)count);
        }
        long position = reader.Position;
        if (type == GgufValueType.String) reader.SkipString(key);
        else reader.Skip(1, SizeOf(type), key);
        return new Entry(type, position, type, 1);
    }

    private GgufValueType ReadType(MappedReader reader, string key)
    {
        uint code = reader.UInt32(key);
        return code <= (uint)GgufValueType.Float64 ? (GgufValueType)code : throw new GlmException($"{_path}: {key}: expected a value type from 0 to 12, found {code}");
    }

    private bool FindArray(string key, out Entry entry)
    {
        if (!_entries.TryGetValue(key, out entry)) return false;
        return entry.Type == GgufValueType.Array ? true : throw Unexpected(key, "an Array", entry.Type);
    }

    private MappedReader At(Entry entry) => new(_path, _storage, entry.Position);

    private ReadOnlySpan<byte> Scalar(string key, Entry entry) =>
        SizeOf(entry.Type) is > 0 and var size ? At(entry).Take(size, key) : throw Unexpected(key, "a number", entry.Type);

    private double Number(string key, GgufValueType type, ReadOnlySpan<byte> bytes) => type switch
    {
        GgufValueType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(bytes),
        GgufValueType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        GgufValueType.UInt64 => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        _ => Integer(key, type, bytes, "a number"),
    };

    private long Integer(string key, GgufValueType type, ReadOnlySpan<byte> bytes, string expected) => type switch
    {
        GgufValueType.UInt8 => bytes[0],
        GgufValueType.Int8 => (sbyte)bytes[0],
        GgufValueType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        GgufValueType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
        GgufValueType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        GgufValueType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        GgufValueType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(bytes),
        GgufValueType.UInt64 when BinaryPrimitives.ReadUInt64LittleEndian(bytes) is var value => value <= long.MaxValue
            ? (long)value
            : throw new GlmException($"{_path}: {key}: expected an integer below 2^63, found {value.ToString(CultureInfo.InvariantCulture)}"),
        _ => throw Unexpected(key, expected, type),
    };

    /// <summary>Bytes of a scalar; 0 for strings and arrays.</summary>
    private static int SizeOf(GgufValueType type) => type switch
    {
        GgufValueType.UInt8 or GgufValueType.Int8 or GgufValueType.Bool => 1,
        GgufValueType.UInt16 or GgufValueType.Int16 => 2,
        GgufValueType.UInt32 or GgufValueType.Int32 or GgufValueType.Float32 => 4,
        GgufValueType.UInt64 or GgufValueType.Int64 or GgufValueType.Float64 => 8,
        _ => 0,
    };

    private readonly record struct Entry(GgufValueType Type, long Position, GgufValueType Element, int Count);
}
