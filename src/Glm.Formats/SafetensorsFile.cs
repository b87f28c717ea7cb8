using System.Text.Json;
using Glm.Tensors;

namespace Glm.Formats;

/// <summary>
/// A safetensors file, mapped into memory: 8 bytes of little-endian header length, a JSON header
/// <c>{"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {…}}</c>, then the data. Tensors are views of the mapping.
/// </summary>
/// <remarks>
/// The header is checked as a whole when the file is opened: every tensor lies inside the file, none overlaps another, and each has as many bytes as its
/// shape needs. Element types that Glm.Tensors lacks are an error only when such a tensor is asked for.
/// </remarks>
public sealed class SafetensorsFile : TensorStore
{
    /// <summary>The longest header that is read; the original library has the same bound.</summary>
    public const long LongestHeader = 100_000_000;

    internal const string MetadataName = "__metadata__";

    /// <summary>How many bytes tell the format: the length of the header and its first character.</summary>
    internal const int HeadBytes = 9;

    private readonly Storage _storage;
    private readonly long _dataStart;
    private readonly Dictionary<string, Entry> _entries = [];
    private readonly Dictionary<string, string> _metadata = [];
    private readonly List<string> _names = [];

    private SafetensorsFile(string path) : base(path)
    {
        _storage = Storage.Map(path);
        using var header = ReadHeader(out _dataStart);
        foreach (var property in header.RootElement.EnumerateObject())
        {
            if (property.Name == MetadataName) ReadMetadata(property.Value);
            else _entries.Add(property.Name, ReadEntry(property.Name, property.Value));
        }
        RefuseOverlaps();
    }

    /// <summary>Maps a file and checks its header.</summary>
    /// <exception cref="GlmException">The file cannot be read or is not a valid safetensors file.</exception>
    public static new SafetensorsFile Open(string path)
    {
        try
        {
            return new SafetensorsFile(path);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new GlmException($"{path}: the safetensors header is not the expected JSON: {error.Message}", error);
        }
    }

    /// <summary>Whether a file of these first bytes can be one.</summary>
    internal static bool IsHead(ReadOnlySpan<byte> head) => head.Length >= HeadBytes && head[8] == '{';

    /// <inheritdoc/>
    public override IReadOnlyList<string> Names => _names;

    /// <summary>The strings under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <inheritdoc/>
    public override TensorInfo? FindInfo(string name) =>
        _entries.TryGetValue(name, out var entry) ? new TensorInfo(entry.Type, SafetensorsTypes.Find(entry.Type), entry.Shape, entry.End - entry.Begin) : null;

    /// <inheritdoc/>
    protected override Tensor Read(string name)
    {
        var entry = _entries[name];
        var type = SafetensorsTypes.Find(entry.Type)
            ?? throw new GlmException($"{Path}: {name}: expected one of the types {SafetensorsTypes.Names}, found {entry.Type}");
        return _storage.View(type, _dataStart + entry.Begin, entry.Shape);
    }

    private JsonDocument ReadHeader(out long dataStart)
    {
        Require(_storage.Bytes >= 8, "at least 8 bytes", $"{_storage.Bytes}");
        byte[] prefix = new byte[8];
        _storage.View(DType.UInt8, 0, 8).CopyBytesTo(prefix);
        ulong length = System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        ulong longest = (ulong)Math.Min(LongestHeader, _storage.Bytes - 8);
        Require(length <= longest, $"a header of at most {longest} bytes", $"a length of {length}");
        byte[] json = new byte[length];
        _storage.View(DType.UInt8, 8, json.Length).CopyBytesTo(json);
        dataStart = 8 + json.Length;
        return JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 8 });
    }

    private void ReadMetadata(JsonElement metadata)
    {
        foreach (var property in metadata.EnumerateObject())
            _metadata.Add(property.Name, property.Value.GetString() ?? throw new GlmException($"{Path}: {MetadataName}.{property.Name}: expected a string, found null"));
    }

    private Entry ReadEntry(string name, JsonElement element)
    {
        Require(element.ValueKind == JsonValueKind.Object, name, "an object with dtype, shape and data_offsets", Shortened(element));
        string type = Field("dtype", JsonValueKind.String).GetString()!;
        int[] shape = [.. Field("shape", JsonValueKind.Array).EnumerateArray().Select(Dimension)];
        long[] offsets = [.. Field("data_offsets", JsonValueKind.Array).EnumerateArray().Select(Offset)];
        long available = _storage.Bytes - _dataStart;
        Require(offsets is [var begin, var end] && begin <= end && end <= available, name,
            $"two ascending data_offsets within the {available} bytes of data", $"[{string.Join(", ", offsets.Take(3))}]");
        if (SafetensorsTypes.Find(type) is { } known)
        {
            long bytes = Bytes(known);
            Require(offsets[1] - offsets[0] == bytes, name, $"{bytes} bytes for {type} [{string.Join(", ", shape)}]", $"{offsets[1] - offsets[0]}");
        }
        return new Entry(type, shape, offsets[0], offsets[1]);

        JsonElement Field(string field, JsonValueKind kind)
        {
            bool present = element.TryGetProperty(field, out var value);
            Require(present && value.ValueKind == kind, $"{name}.{field}", $"a JSON {kind}", present ? Shortened(value) : "nothing");
            return value;
        }

        int Dimension(JsonElement value)
        {
            int size = 0;
            bool valid = value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out size) && size >= 0;
            Require(valid, $"{name}.shape", $"integers from 0 to {int.MaxValue}", Shortened(value));
            return size;
        }

        long Offset(JsonElement value)
        {
            long offset = 0;
            bool valid = value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out offset) && offset >= 0;
            Require(valid, $"{name}.data_offsets", "non-negative integers", Shortened(value));
            return offset;
        }

        long Bytes(DType elementType)
        {
            try
            {
                return elementType.Bytes(shape.Aggregate(1L, (count, size) => checked(count * size)));
            }
            catch (OverflowException error)
            {
                throw new GlmException($"{Path}: {name}.shape: expected fewer than 2^63 bytes, found {type} [{string.Join(", ", shape)}]", error);
            }
        }
    }

    private void RefuseOverlaps()
    {
        (string Name, long End) last = ("", 0);
        foreach (var (name, entry) in _entries.OrderBy(e => e.Value.Begin).ThenBy(e => e.Value.End))
        {
            Require(entry.Begin >= last.End, name, $"data from offset {last.End} on, where {last.Name} ends", $"{entry.Begin}");
            last = (name, entry.End);
            _names.Add(name);
        }
    }

    private void Require(bool holds, string expected, string found)
    {
        if (!holds) throw new GlmException($"{Path}: expected {expected}, found {found}");
    }

    private void Require(bool holds, string field, string expected, string found)
    {
        if (!holds) throw new GlmException($"{Path}: {field}: expected {expected}, found {found}");
    }

    private static string Shortened(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length <= 60 ? text : text[..60] + "…";
    }

    private readonly record struct Entry(string Type, int[] Shape, long Begin, long End);
}
