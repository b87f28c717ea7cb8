using System.IO.Compression;
using System.Text;

namespace Glm.Formats.Tests;

/// <summary>Makes files as torch.save does, right or wrong, of pickles that tests put together; it shares no code with the reader or the writer.</summary>
internal sealed class TorchArchive
{
    private readonly List<(string Name, byte[] Data)> _records = [];

    public CompressionLevel Compression { get; init; } = CompressionLevel.NoCompression;

    public string Folder { get; init; } = "archive";

    /// <summary>Adds a record.</summary>
    public TorchArchive Add(string name, params byte[] data)
    {
        _records.Add(($"{Folder}/{name}", data));
        return this;
    }

    /// <summary>Adds <c>data.pkl</c>: the opcodes given, between those that begin and end a pickle.</summary>
    public TorchArchive Pickle(params byte[][] opcodes) => Add("data.pkl", [0x80, 2, .. opcodes.SelectMany(o => o), (byte)'.']);

    /// <summary>Adds the storage <paramref name="key"/>.</summary>
    public TorchArchive Storage(string key, params float[] values) => Add("data/" + key, [.. values.SelectMany(BitConverter.GetBytes)]);

    public byte[] ToArray()
    {
        var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create))
            foreach (var (name, data) in _records)
                using (var record = zip.CreateEntry(name, Compression).Open())
                    record.Write(data);
        return stream.ToArray();
    }

    public static byte[] Op(string opcodes) => Encoding.Latin1.GetBytes(opcodes);

    public static byte[] Text(string text) => [(byte)'X', .. BitConverter.GetBytes(Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)];

    public static byte[] Integer(long value) => [0x8a, 8, .. BitConverter.GetBytes(value)];

    public static byte[] Global(string module, string name) => Encoding.UTF8.GetBytes($"c{module}\n{name}\n");

    public static byte[] Tuple(params long[] values) => [(byte)'(', .. values.SelectMany(Integer), (byte)'t'];

    /// <summary>{key: value, …}</summary>
    public static byte[] Dict(params (string Key, byte[] Value)[] items) => [(byte)'}', (byte)'(', .. items.SelectMany(item => (byte[])[.. Text(item.Key), .. item.Value]), (byte)'u'];

    /// <summary>A tensor of a storage of <paramref name="count"/> elements.</summary>
    public static byte[] View(string type, string key, long count, long first, long[] shape, long[] strides) =>
    [
        .. Global("torch._utils", "_rebuild_tensor_v2"), .. Op("(("), .. Text("storage"), .. Global("torch", type), .. Text(key), .. Text("cpu"), .. Integer(count), .. Op("tQ"),
        .. Integer(first), .. Tuple(shape), .. Tuple(strides), .. Op("\x89"), .. Global("collections", "OrderedDict"), .. Op(")RtR"),
    ];

    /// <summary>A vector that is all of the float storage <paramref name="key"/>.</summary>
    public static byte[] Vector(string key, long count) => View("FloatStorage", key, count, 0, [count], [1]);
}
