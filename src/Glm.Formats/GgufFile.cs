using System.Buffers.Binary;
using System.Numerics;
using Glm.Tensors;

namespace Glm.Formats;

/// <summary>
/// A GGUF file of version 2 or 3, mapped into memory (spec 10.1): magic, counts, metadata, tensor infos, then the data, aligned. Tensors are views of the
/// mapping in their stored type; blocks that kernels do not have are decoded when they are asked for.
/// </summary>
/// <remarks>
/// Everything before the data is checked when the file is opened, and that every tensor lies inside the file. Element types that Glm.Tensors lacks are an
/// error only when such a tensor is asked for.
/// </remarks>
public sealed class GgufFile : TensorStore
{
    private const string AlignmentKey = "general.alignment";
    private const int StandardAlignment = 32, LongestTensorName = 64, MostDimensions = 4;
    private const int LeastKeyBytes = 8 + 4 + 1, LeastInfoBytes = 8 + 4 + 4 + 8;
    private const int PartValues = 1 << 16;

    private readonly Storage _storage;
    private readonly Dictionary<string, Entry> _entries = [];
    private readonly List<string> _names = [];

    private GgufFile(string path) : base(path)
    {
        _storage = Storage.Map(path);
        var reader = new MappedReader(path, _storage);
        uint magic = reader.UInt32("magic");
        Require(magic == BinaryPrimitives.ReadUInt32LittleEndian(MagicBytes), "magic", "GGUF", $"0x{magic:x8}");
        uint version = reader.UInt32("version");
        Require(version is 2 or 3, "version", "2 or 3", $"{version}");
        Version = (int)version;
        ulong tensors = reader.UInt64("tensor count"), keys = reader.UInt64("key count");
        Require(keys <= (ulong)(reader.Remaining / LeastKeyBytes), "key count", $"at most {reader.Remaining / LeastKeyBytes} in {_storage.Bytes} bytes", $"{keys}");
        Metadata = new GgufMetadata(path, _storage, reader, keys);
        Require(tensors <= (ulong)(reader.Remaining / LeastInfoBytes), "tensor count", $"at most {reader.Remaining / LeastInfoBytes} in {_storage.Bytes} bytes", $"{tensors}");
        long alignment = ReadAlignment();
        for (ulong i = 0; i < tensors; i++)
        {
            string name = reader.String($"name of tensor {i}", LongestTensorName);
            if (!_entries.TryAdd(name, ReadInfo(reader, name, alignment))) throw new GlmException($"{path}: {name}: expected each tensor once, found it twice");
            _names.Add(name);
        }
        long dataStart = (reader.Position + alignment - 1) & -alignment;
        foreach (string name in _names) _entries[name] = Placed(name, _entries[name], dataStart);
    }

    /// <summary>Maps a file and checks everything but the data.</summary>
    /// <exception cref="GlmException">The file cannot be read or is not a valid GGUF file of version 2 or 3.</exception>
    public static new GgufFile Open(string path) => new(path);

    /// <summary>What a file begins with.</summary>
    internal static ReadOnlySpan<byte> MagicBytes => "GGUF"u8;

    /// <summary>The version of the format.</summary>
    public int Version { get; }

    /// <summary>Size of the file in bytes.</summary>
    public long Bytes => _storage.Bytes;

    /// <summary>The key-value pairs.</summary>
    public GgufMetadata Metadata { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Names => _names;

    /// <inheritdoc/>
    public override TensorInfo? FindInfo(string name)
    {
        if (!_entries.TryGetValue(name, out var entry)) return null;
        return GgufTypes.Find(entry.TypeCode) is { } type
            ? new TensorInfo(type.Name, type.ReadAs, entry.Shape, BytesOf(name, entry, type))
            : new TensorInfo($"type {entry.TypeCode}", null, entry.Shape, 0);
    }

    /// <inheritdoc/>
    protected override Tensor Read(string name) => Read(name, DType.Float32);

    /// <summary>The tensor of a name as it is stored; of blocks that kernels do not have, the values in a floating-point type.</summary>
    /// <exception cref="GlmException">There is no such tensor, or its element type is not supported.</exception>
    public Tensor Read(string name, DType decoded)
    {
        if (!_entries.TryGetValue(name, out var entry)) return this[name];
        var known = GgufTypes.Find(entry.TypeCode);
        if (known?.ReadAs is null) throw new GlmException($"{Path}: {name}: expected one of the types {GgufTypes.Supported}, found {known?.Name ?? $"type {entry.TypeCode}"}");
        if (known.Type is { } type) return _storage.View(type, entry.Offset, entry.Shape);
        var target = Tensor.Allocate(known.ToQ8 is null ? decoded : DType.Q8_0, entry.Shape);
        if (target.Count == 0) return target;
        // Blocks are independent of each other: all processors decode them, a few at a time.
        int blocks = checked((int)(target.Count / known.BlockValues)), part = PartValues / known.BlockValues;
        var rows = target.Reshape(blocks, known.BlockValues);
        Parallel.For(0, (blocks + part - 1) / part, i => DecodeBlocks(known, entry.Offset, i * part, rows.Slice(i * part, Math.Min(part, blocks - i * part))));
        return target;
    }

    /// <summary>Decodes blocks from number <paramref name="start"/> on into rows of a block's values.</summary>
    private void DecodeBlocks(GgufType type, long offset, int start, Tensor rows)
    {
        byte[] stored = new byte[rows.Rows * type.BlockBytes];
        _storage.View(DType.UInt8, offset + (long)start * type.BlockBytes, stored.Length).CopyBytesTo(stored);
        if (type.Decode is { } decode) rows.CopyFrom(Expanded(stored, type.BlockBytes, decode, type.BlockValues));
        else rows.CopyBytesFrom(Expanded(stored, type.BlockBytes, type.ToQ8!, (int)DType.Q8_0.Bytes(type.BlockValues)));
    }

    private static T[] Expanded<T>(byte[] stored, int blockBytes, BlockExpansion<T> expand, int blockValues)
    {
        T[] values = new T[stored.Length / blockBytes * blockValues];
        for (int i = 0, at = 0; at < stored.Length; i += blockValues, at += blockBytes) expand(stored.AsSpan(at, blockBytes), values.AsSpan(i, blockValues));
        return values;
    }

    private long ReadAlignment()
    {
        long alignment = Metadata.FindInteger(AlignmentKey) ?? StandardAlignment;
        Require(alignment is > 0 and <= 1L << 31 && BitOperations.IsPow2(alignment), AlignmentKey, "a power of two up to 2^31", $"{alignment}");
        return alignment;
    }

    /// <summary>One tensor info; its offset counts from the begin of the data.</summary>
    private Entry ReadInfo(MappedReader reader, string name, long alignment)
    {
        uint dimensions = reader.UInt32(name);
        Require(dimensions <= MostDimensions, name, $"at most {MostDimensions} dimensions", $"{dimensions}");
        int[] shape = new int[dimensions];
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            ulong size = reader.UInt64(name);
            Require(size <= int.MaxValue, name, $"dimensions up to {int.MaxValue}", $"{size}");
            shape[i] = (int)size;
        }
        uint type = reader.UInt32(name);
        ulong offset = reader.UInt64(name);
        Require(offset <= long.MaxValue && (long)offset % alignment == 0, name, $"an offset that is a multiple of {alignment}", $"{offset}");
        return new Entry(type, shape, (long)offset);
    }

    /// <summary>The entry with its offset in the file, if the tensor lies inside it.</summary>
    private Entry Placed(string name, Entry entry, long dataStart)
    {
        long available = _storage.Bytes - dataStart, bytes = 0;
        if (GgufTypes.Find(entry.TypeCode) is { } type)
        {
            int columns = entry.Shape.Length == 0 ? 1 : entry.Shape[^1];
            Require(columns % type.BlockValues == 0, name, $"rows of a multiple of {type.BlockValues} values for {type.Name}", $"{columns}");
            bytes = BytesOf(name, entry, type);
        }
        Require(entry.Offset <= available && bytes <= available - entry.Offset, name, $"a tensor inside the {Math.Max(0, available)} bytes of data",
            $"{bytes} bytes at offset {entry.Offset}");
        return entry with { Offset = dataStart + entry.Offset };
    }

    private long BytesOf(string name, Entry entry, GgufType type)
    {
        try
        {
            return checked(entry.Shape.Aggregate(1L, (count, size) => checked(count * size)) / type.BlockValues * type.BlockBytes);
        }
        catch (OverflowException error)
        {
            throw new GlmException($"{Path}: {name}: expected fewer than 2^63 bytes, found {type.Name} [{string.Join(", ", entry.Shape)}]", error);
        }
    }

    private void Require(bool holds, string field, string expected, string found)
    {
        if (!holds) throw new GlmException($"{Path}: {field}: expected {expected}, found {found}");
    }

    private readonly record struct Entry(uint TypeCode, int[] Shape, long Offset);
}
