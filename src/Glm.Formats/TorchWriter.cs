using System.Text;

namespace Glm.Formats;

/// <summary>
/// Writes files that <c>torch.load</c> reads, with <c>weights_only=True</c> and memory-mapped, too: a zip archive of <c>data.pkl</c>, <c>version</c> and one
/// storage per tensor, <c>data/N</c>, aligned to 64 bytes.
/// </summary>
public static class TorchWriter
{
    private const int BufferBytes = 1 << 20;

    /// <summary>Writes a dict of tensors, one after the other; the file appears under its name when it is whole.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">What to write; 4-bit integers are stored as bytes <c>[out, in / 2]</c> (spec 6.2).</param>
    /// <param name="root">A key of an outer dict under which the dict lies, such as <c>module</c>.</param>
    /// <param name="cancel">Stops the writing; no file is left then.</param>
    /// <exception cref="GlmException">Two tensors have the same name, PyTorch does not have a type, or the file cannot be written.</exception>
    public static void Write(string path, IReadOnlyList<TensorEntry> tensors, string? root = null, CancellationToken cancel = default)
    {
        byte[] pickle = Pickle(path, tensors, root);
        string folder = Path.GetFileNameWithoutExtension(path);
        AtomicFile.Write(path, stream =>
        {
            using var zip = new ZipWriter(stream);
            zip.Add($"{folder}/data.pkl", pickle);
            byte[] buffer = new byte[BufferBytes];
            for (int i = 0; i < tensors.Count; i++)
            {
                var entry = tensors[i];
                zip.Add($"{folder}/data/{i}", entry.Bytes, write => entry.CopyTo(path, write, buffer, cancel));
            }
            zip.Add($"{folder}/version", "3\n"u8.ToArray());
            zip.Finish();
        });
    }

    /// <summary>{root: {name: tensor, …}} in the opcodes of protocol 2.</summary>
    private static byte[] Pickle(string path, IReadOnlyList<TensorEntry> tensors, string? root)
    {
        var names = new HashSet<string>();
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write([0x80, 2, (byte)'}']);
        if (root is not null)
        {
            Text(writer, root);
            writer.Write((byte)'}');
        }
        writer.Write((byte)'(');
        for (int i = 0; i < tensors.Count; i++)
        {
            if (!names.Add(tensors[i].Name)) throw new GlmException($"{path}: expected each tensor once, found {tensors[i].Name} again");
            Text(writer, tensors[i].Name);
            PickleTensor(writer, tensors[i], i);
        }
        writer.Write((byte)'u');
        if (root is not null) writer.Write((byte)'s');
        writer.Write((byte)'.');
        return stream.ToArray();
    }

    /// <summary>_rebuild_tensor_v2(('storage', type, number, 'cpu', elements), 0, shape, strides, False, OrderedDict())</summary>
    private static void PickleTensor(BinaryWriter writer, TensorEntry entry, int number)
    {
        var (type, shape) = entry.Plain();
        long[] strides = new long[shape.Length];
        long step = 1;
        for (int i = shape.Length - 1; i >= 0; step *= Math.Max(1, shape[i--])) strides[i] = step;
        Name(writer, "torch._utils", "_rebuild_tensor_v2");
        writer.Write("(("u8);
        Text(writer, "storage");
        Name(writer, "torch", TorchTypes.Of(type, entry.Name).Name);
        Text(writer, $"{number}");
        Text(writer, "cpu");
        Integer(writer, shape.Contains(0) ? 0 : step);
        writer.Write("tQ"u8);
        Integer(writer, 0);
        Tuple(writer, Array.ConvertAll(shape, size => (long)size));
        Tuple(writer, strides);
        writer.Write((byte)0x89);
        Name(writer, "collections", "OrderedDict");
        writer.Write(")RtR"u8);
    }

    private static void Name(BinaryWriter writer, string module, string name) => writer.Write(Encoding.UTF8.GetBytes($"c{module}\n{name}\n"));

    private static void Text(BinaryWriter writer, string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        writer.Write((byte)'X');
        writer.Write(utf8.Length);
        writer.Write(utf8);
    }

    private static void Tuple(BinaryWriter writer, long[] values)
    {
        writer.Write((byte)'(');
        foreach (long value in values) Integer(writer, value);
        writer.Write((byte)'t');
    }

    private static void Integer(BinaryWriter writer, long value)
    {
        if (value <= int.MaxValue)
        {
            writer.Write((byte)'J');
            writer.Write((int)value);
            return;
        }
        writer.Write([0x8a, sizeof(long)]);
        writer.Write(value);
    }
}
