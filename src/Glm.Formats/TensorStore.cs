using System.Diagnostics.CodeAnalysis;
using Glm.Tensors;

namespace Glm.Formats;

/// <summary>What a store says of a tensor without reading it.</summary>
/// <param name="StoredAs">The element type by the format's own name.</param>
/// <param name="Type">The element type that it is read as; null if it cannot be read.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="Bytes">What it takes in its file; 0 if the size of its elements is not known.</param>
public sealed record TensorInfo(string StoredAs, DType? Type, int[] Shape, long Bytes);

/// <summary>
/// Named tensors on disk, whatever the format: a file, or several that belong together. Opening checks names, shapes and places; a tensor is read when it is
/// asked for, as a view of the mapped file where the layout allows it.
/// </summary>
public abstract class TensorStore
{
    private static readonly string[] WeightFiles = ["*.safetensors", "pytorch_model*.bin"];

    /// <summary>A store at a path.</summary>
    protected TensorStore(string path) => Path = path;

    /// <summary>The file or directory.</summary>
    public string Path { get; }

    /// <summary>Names of the tensors in the order of the data.</summary>
    public abstract IReadOnlyList<string> Names { get; }

    /// <summary>The tensor of a name.</summary>
    /// <exception cref="GlmException">There is no such tensor, or its element type is not supported.</exception>
    public Tensor this[string name] =>
        Find(name, out var tensor) ? tensor : throw new GlmException($"{Path}: expected a tensor named {name}, found none among {Names.Count}");

    /// <summary>The tensor of a name, if there is one.</summary>
    /// <exception cref="GlmException">Its element type is not supported.</exception>
    public bool Find(string name, [NotNullWhen(true)] out Tensor? tensor)
    {
        tensor = FindInfo(name) is null ? null : Read(name);
        return tensor is not null;
    }

    /// <summary>Type and size of the tensor of a name, or null if there is none.</summary>
    public abstract TensorInfo? FindInfo(string name);

    /// <summary>The file that holds a tensor, for messages.</summary>
    public virtual string FileOf(string name) => Path;

    /// <summary>The tensor of a name that is there.</summary>
    /// <exception cref="GlmException">Its element type is not supported.</exception>
    protected abstract Tensor Read(string name);

    /// <summary>
    /// Opens what lies at a path. Files are told apart by their content: safetensors, GGUF, PyTorch, or the index of a sharded checkpoint. A directory is read
    /// by its index (<c>*.safetensors.index.json</c>) if it has one, otherwise it is all of its <c>*.safetensors</c>; without any, the same with
    /// <c>pytorch_model*.bin</c>.
    /// </summary>
    /// <exception cref="GlmException">There is nothing of the kind, a file is damaged, or files do not agree.</exception>
    public static TensorStore Open(string path) =>
        Directory.Exists(path) ? OpenDirectory(path) : ShardIndex.IsIndex(FirstBytes(path)) ? ShardIndex.Open(path) : OpenFile(path);

    /// <summary>Opens a single file with tensors in it.</summary>
    internal static TensorStore OpenFile(string path)
    {
        ReadOnlySpan<byte> head = FirstBytes(path);
        if (head.StartsWith(GgufFile.MagicBytes)) return GgufFile.Open(path);
        if (SafetensorsFile.IsHead(head)) return SafetensorsFile.Open(path);
        if (TorchFile.IsHead(head)) return TorchFile.Open(path);
        if (TorchFile.IsLegacyHead(head)) throw new GlmException($"{path}: expected a PyTorch file of version 1.6 or later, found an older one: load it there and save it again");
        throw new GlmException($"{path}: expected a safetensors, GGUF or PyTorch file, found one that begins with {(head.IsEmpty ? "nothing" : Convert.ToHexStringLower(head))}");
    }

    private static TensorStore OpenDirectory(string path)
    {
        foreach (string pattern in WeightFiles)
        {
            string[] indexes = Files(path, pattern + ShardIndex.Extension), files = Files(path, pattern);
            if (indexes.Length > 1) throw new GlmException($"{path}: expected one {pattern}{ShardIndex.Extension}, found {string.Join(", ", indexes.Select(System.IO.Path.GetFileName))}");
            if (indexes.Length == 1) return ShardIndex.Open(indexes[0]);
            if (files.Length > 0) return files.Length == 1 ? OpenFile(files[0]) : new ShardedStore(path, files.Select(OpenFile));
        }
        throw new GlmException($"{path}: expected the tensors of a model, such as model.safetensors, found no {string.Join(" or ", WeightFiles)}");
    }

    private static string[] Files(string path, string pattern)
    {
        try
        {
            return [.. Directory.GetFiles(path, pattern).Order(StringComparer.Ordinal)];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    private static byte[] FirstBytes(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            byte[] head = new byte[SafetensorsFile.HeadBytes];
            return head[..file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }
}
