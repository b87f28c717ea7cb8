using System.Buffers.Binary;
using System.Text.Json;
using Glm.Tensors;

namespace Glm.Formats;

/// <summary>Writes safetensors files.</summary>
public static class SafetensorsWriter
{
    private const int PageBytes = 4096;
    private const int BufferBytes = 1 << 20;

    /// <summary>Writes tensors, without their scales: name those as tensors of their own.</summary>
    /// <inheritdoc cref="Write(string, IReadOnlyList{TensorEntry}, IReadOnlyDictionary{string, string}?, bool, CancellationToken)"/>
    public static void Write(
        string path, IReadOnlyList<(string Name, Tensor Tensor)> tensors, IReadOnlyDictionary<string, string>? metadata = null,
        bool aligned = false, CancellationToken cancel = default) =>
        Write(path, [.. tensors.Select(t => new TensorEntry(t.Name, t.Tensor.Type, t.Tensor.Shape.ToArray(), () => t.Tensor))], metadata, aligned, cancel);

    /// <summary>
    /// Writes tensors one after the other; the file appears under its name when it is whole.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">What to write. The data lie in the order of falling element size, as the original library lays them out, so that each is aligned to its elements.</param>
    /// <param name="metadata">Strings for <c>__metadata__</c>.</param>
    /// <param name="aligned">
    /// Aligns every tensor to 4 KiB for mapping, in the given order; the gaps that this leaves are refused by the original library, so it is for packed files of our own.
    /// </param>
    /// <param name="cancel">Stops the writing; no file is left then.</param>
    /// <exception cref="GlmException">Two tensors have the same name, or the file cannot be written.</exception>
    public static void Write(
        string path, IReadOnlyList<TensorEntry> tensors, IReadOnlyDictionary<string, string>? metadata = null,
        bool aligned = false, CancellationToken cancel = default)
    {
        int alignment = aligned ? PageBytes : 1;
        TensorEntry[] ordered = aligned ? [.. tensors] : [.. tensors.OrderByDescending(t => t.Type.Bytes(2))];
        var offsets = new long[ordered.Length];
        long end = 0;
        for (int i = 0; i < ordered.Length; i++)
        {
            offsets[i] = RoundUp(end, alignment);
            end = offsets[i] + ordered[i].Bytes;
        }
        byte[] header = Header(path, ordered, offsets, metadata, aligned ? PageBytes : 8);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            byte[] buffer = new byte[BufferBytes];
            for (int i = 0; i < ordered.Length; i++)
            {
                stream.SetLength(header.Length + offsets[i]);
                stream.Position = stream.Length;
                ordered[i].CopyTo(path, stream.Write, buffer, cancel);
            }
        });
    }

    private static byte[] Header(
        string path, TensorEntry[] tensors, long[] offsets, IReadOnlyDictionary<string, string>? metadata, int alignment)
    {
        var names = new HashSet<string> { SafetensorsFile.MetadataName };
        using var bytes = new MemoryStream();
        bytes.Write(new byte[8]);
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            if (metadata is not null)
            {
                json.WriteStartObject(SafetensorsFile.MetadataName);
                foreach (var (key, value) in metadata) json.WriteString(key, value);
                json.WriteEndObject();
            }
            for (int i = 0; i < tensors.Length; i++)
            {
                if (!names.Add(tensors[i].Name)) throw new GlmException($"{path}: expected each tensor once, found {tensors[i].Name} again");
                var (type, shape) = tensors[i].Plain();
                json.WriteStartObject(tensors[i].Name);
                json.WriteString("dtype", SafetensorsTypes.NameOf(type, tensors[i].Name));
                json.WriteStartArray("shape");
                foreach (int size in shape) json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offsets[i]);
                json.WriteNumberValue(offsets[i] + tensors[i].Bytes);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        while (bytes.Length % alignment != 0) bytes.WriteByte((byte)' ');
        byte[] header = bytes.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - 8);
        return header;
    }

    private static long RoundUp(long value, int alignment) => (value + alignment - 1) / alignment * alignment;
}
