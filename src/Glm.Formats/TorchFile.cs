using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Glm.Tensors;

namespace Glm.Formats;

/// <summary>
/// A file of <c>torch.save</c> (<c>.pt</c>, <c>.bin</c>) since PyTorch 1.6: a zip archive of uncompressed records, <c>data.pkl</c> with the pickled object and
/// <c>data/N</c> with the elements of each storage. Dicts, lists and tuples of tensors become names joined by dots; numbers and text are passed over.
/// </summary>
/// <remarks>
/// Nothing in a file is executed: names other than those of tensors, their element types and ordered dicts are an error. Every tensor is checked to lie
/// inside its storage, and that inside its record, when the file is opened. Contiguous tensors are views of the mapped file.
/// </remarks>
public sealed class TorchFile : TensorStore
{
    private const string PickleName = "data.pkl";
    private const int LongestPickle = 1 << 25, LongestNote = 64, MostDimensions = 64, DeepestNesting = 64;

    /// <summary>Elements that an expanded tensor may have beyond those of its storage.</summary>
    private const long MostRepeated = 1 << 22;

    private readonly Storage _storage;
    private readonly ZipRecords _zip;
    private readonly string _prefix;
    private readonly Dictionary<string, TorchTensor> _tensors = [];
    private readonly List<string> _names = [];
    private long _budget;

    private TorchFile(string path, string? root) : base(path)
    {
        _storage = Storage.Map(path);
        _zip = new ZipRecords(path, _storage);
        _prefix = FindPrefix();
        if (_zip.Records.ContainsKey(_prefix + "byteorder") && Encoding.UTF8.GetString(_zip.Read(_prefix + "byteorder", LongestNote)) is not "little" and var order)
            throw new GlmException($"{path}: byteorder: expected little, found {order}");
        byte[] pickle = _zip.Read(_prefix + PickleName, LongestPickle);
        // A dict may be held twice, but dicts that hold others twice, and so on, must not multiply: what a pickle means takes no more than some multiple of it.
        _budget = 16L * pickle.Length;
        var value = new PickleReader(path, pickle, Global, StorageOf).Read();
        if (value is not PickleDictionary and not List<object?> and not object?[]) throw new GlmException($"{path}: {PickleName}: expected a dict of tensors, found {Kind(value)}");
        Collect(null, root is null ? value : Under(value, root), 0);
    }

    /// <summary>Maps a file and checks everything but the elements.</summary>
    /// <exception cref="GlmException">The file cannot be read, is damaged, or holds something else than tensors, numbers and text.</exception>
    public static new TorchFile Open(string path) => new(path, null);

    /// <summary>The same for a file whose tensors lie under a key of the outermost dict, as those of GLM-130B under <c>module</c>: names are those below it.</summary>
    /// <exception cref="GlmException">The file cannot be read, is damaged, or has no such key.</exception>
    public static TorchFile Open(string path, string root) => new(path, root);

    /// <inheritdoc/>
    public override IReadOnlyList<string> Names => _names;

    /// <summary>Whether a file of these first bytes is a zip archive.</summary>
    internal static bool IsHead(ReadOnlySpan<byte> head) => head.StartsWith("PK\x03\x04"u8);

    /// <summary>Whether a file of these first bytes was saved before PyTorch 1.6: a pickled number of 10 bytes opens it.</summary>
    internal static bool IsLegacyHead(ReadOnlySpan<byte> head) => head.StartsWith((ReadOnlySpan<byte>)[0x80, 2, 0x8a, 10]);

    /// <inheritdoc/>
    public override TensorInfo? FindInfo(string name) => _tensors.TryGetValue(name, out var tensor)
        ? new TensorInfo(tensor.Storage.Type.Name, tensor.Storage.Type.Type, tensor.Shape, tensor.Count * tensor.Storage.Type.Bytes)
        : null;

    /// <inheritdoc/>
    protected override Tensor Read(string name)
    {
        var tensor = _tensors[name];
        var stored = tensor.Storage.Type;
        if (stored.Type is not { } type) throw new GlmException($"{Path}: {name}: expected one of the types {TorchTypes.Supported}, found {stored.Name}");
        if (stored.Name == TorchTypes.Double) return Rounded(Elements(tensor, DType.Int64));
        return Elements(tensor, type);
    }

    private Tensor Elements(TorchTensor tensor, DType type)
    {
        var storage = tensor.Storage;
        long offset = storage.Offset + tensor.First * storage.Type.Bytes;
        return tensor.IsContiguous && offset % storage.Type.Bytes == 0
            ? _storage.View(type, offset, tensor.Shape)
            : _storage.Gather(type, storage.Offset, tensor.First, tensor.Shape, tensor.Strides);
    }

    /// <summary>Doubles, given as their bits, as float32.</summary>
    private static Tensor Rounded(Tensor bits)
    {
        const int Part = 4096;
        var result = Tensor.Allocate(DType.Float32, bits.Shape);
        double[] doubles = new double[Part];
        float[] floats = new float[Part];
        for (long done = 0; done < bits.Count; done += Part)
        {
            int count = (int)Math.Min(Part, bits.Count - done);
            bits.CopyBytesTo(MemoryMarshal.AsBytes(doubles.AsSpan(0, count)), done * sizeof(double));
            for (int i = 0; i < count; i++) floats[i] = (float)doubles[i];
            result.CopyBytesFrom(MemoryMarshal.AsBytes(floats.AsSpan(0, count)), done * sizeof(float));
        }
        return result;
    }

    /// <summary>The folder that all records lie in, which is named after the file that was saved.</summary>
    private string FindPrefix()
    {
        string[] pickles = [.. _zip.Records.Keys.Where(name => name.EndsWith("/" + PickleName, StringComparison.Ordinal) && name.IndexOf('/') == name.Length - PickleName.Length - 1)];
        return pickles is [var pickle] ? pickle[..^PickleName.Length] : throw new GlmException($"{Path}: expected one record NAME/{PickleName} in the archive, found {pickles.Length}");
    }

    private object? Global(string name) => name switch
    {
        "torch._utils._rebuild_tensor_v2" => (PickleFunction)RebuildTensor,
        "torch._utils._rebuild_parameter" => (PickleFunction)(arguments => arguments is [TorchTensor tensor, ..] ? tensor : throw Bad("_rebuild_parameter", "a tensor", Kind(arguments.FirstOrDefault()))),
        "collections.OrderedDict" => (PickleFunction)(arguments => arguments.Length == 0 ? new PickleDictionary() : throw Bad("OrderedDict", "no arguments", $"{arguments.Length}")),
        _ when name.StartsWith("torch.", StringComparison.Ordinal) => TorchTypes.Find(name["torch.".Length..]),
        _ => null,
    };

    /// <summary>('storage', type, number, device, elements)</summary>
    private TorchStorage StorageOf(object? id)
    {
        if (id is not object?[] tuple || tuple is not ["storage", TorchType type, string key, string, long count])
            throw Bad("persistent id", "('storage', type, number, device, elements)", id is object?[] ? "another tuple" : Kind(id));
        if (!_zip.Records.TryGetValue($"{_prefix}data/{key}", out var record)) throw Bad($"storage {key}", "its record in the archive", "none");
        if (count < 0 || count != record.Bytes / type.Bytes) throw Bad($"storage {key}", $"{record.Bytes / type.Bytes} elements of {type.Name} in {record.Bytes} bytes", $"{count}");
        return new TorchStorage(key, type, count, record.Offset);
    }

    /// <summary>(storage, first element, shape, strides, requires gradient, hooks[, metadata])</summary>
    private TorchTensor RebuildTensor(object?[] arguments)
    {
        if (arguments is not [TorchStorage storage, long first, object?[] sizes, object?[] steps, ..] || sizes.Length != steps.Length || sizes.Length > MostDimensions)
            throw Bad("_rebuild_tensor_v2", "a storage, an offset, a shape and as many strides", $"{arguments.Length} other values");
        string what = $"a tensor of storage {storage.Key}";
        int[] shape = new int[sizes.Length];
        long[] strides = new long[sizes.Length];
        Int128 count = 1, last = first;
        for (int i = 0; i < shape.Length; i++)
        {
            if (sizes[i] is not long size || size is < 0 or > int.MaxValue) throw Bad(what, $"dimensions from 0 to {int.MaxValue}", Kind(sizes[i]));
            if (steps[i] is not long stride || stride < 0) throw Bad(what, "strides from 0 on", Kind(steps[i]));
            (shape[i], strides[i]) = ((int)size, stride);
            count = count > long.MaxValue ? count : count * size;
            last += (Int128)(size - 1) * stride;
        }
        if (shape.Contains(0)) (count, last) = (0, first - 1);
        if (first < 0 || first > storage.Count || last >= storage.Count) throw Bad(what, $"elements below {storage.Count}", $"[{string.Join(", ", shape)}] from {first} on with strides [{string.Join(", ", strides)}]");
        if (count > Math.Max(storage.Count, MostRepeated)) throw Bad(what, $"at most {Math.Max(storage.Count, MostRepeated)} elements", $"{count}");
        return new TorchTensor(storage, first, shape, strides, (long)count);
    }

    private object? Under(object? value, string root)
    {
        foreach (var (key, item) in (value as PickleDictionary)?.Items ?? [])
            if (key is string text && text == root && item is PickleDictionary) return item;
        throw new GlmException($"{Path}: {PickleName}: expected a dict under the key {root}, found none");
    }

    /// <summary>Tensors by their path through dicts, lists and tuples.</summary>
    private void Collect(Place? place, object? value, int depth)
    {
        Spend(1);
        if (depth > DeepestNesting) throw Bad(PickleName, $"dicts of tensors, nested at most {DeepestNesting} deep", "deeper ones");
        switch (value)
        {
            case TorchTensor tensor:
                string name = NameOf(place!);
                if (!_tensors.TryAdd(name, tensor)) throw Bad(name, "each tensor once", "it twice");
                _names.Add(name);
                break;
            case PickleDictionary dictionary:
                foreach (var (key, item) in dictionary.Items) Collect(new Place(place, key), item, depth + 1);
                break;
            case List<object?> list:
                for (int i = 0; i < list.Count; i++) Collect(new Place(place, (long)i), list[i], depth + 1);
                break;
            case object?[] tuple:
                for (int i = 0; i < tuple.Length; i++) Collect(new Place(place, (long)i), tuple[i], depth + 1);
                break;
        }
    }

    private string NameOf(Place place)
    {
        var parts = new Stack<string>();
        for (var at = place; at is not null; at = at.Parent)
        {
            parts.Push(at.Key switch
            {
                string text => text,
                long number => number.ToString(CultureInfo.InvariantCulture),
                var other => throw Bad(PickleName, "text or integers as keys of tensors", Kind(other)),
            });
            Spend(parts.Peek().Length);
        }
        return string.Join('.', parts);
    }

    private void Spend(long size)
    {
        if ((_budget -= size) < 0) throw Bad(PickleName, "each dict of tensors once", "ones that are held many times");
    }

    private static string Kind(object? value) => value switch
    {
        null => "None",
        string => "text",
        bool or long or double => $"{value}",
        TorchTensor => "a tensor",
        object?[] => "a tuple",
        List<object?> => "a list",
        PickleDictionary => "a dict",
        _ => "something else",
    };

    private GlmException Bad(string field, string expected, string found) => new($"{Path}: {field}: expected {expected}, found {found}");

    /// <summary>Where a value stands: a key of the value at the parent.</summary>
    private sealed record Place(Place? Parent, object? Key);

    private sealed record TorchStorage(string Key, TorchType Type, long Count, long Offset);

    private sealed record TorchTensor(TorchStorage Storage, long First, int[] Shape, long[] Strides, long Count)
    {
        /// <summary>Whether the elements lie one after another in the order of the shape.</summary>
        public bool IsContiguous
        {
            get
            {
                long expected = 1;
                for (int i = Shape.Length - 1; i >= 0; expected *= Shape[i--])
                    if (Shape[i] != 1 && Strides[i] != expected) return Count == 0;
                return true;
            }
        }
    }
}
