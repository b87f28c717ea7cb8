using System.Globalization;
using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>How far the packing of a model is.</summary>
/// <param name="DoneBytes">Bytes of weights packed.</param>
/// <param name="TotalBytes">Bytes of all of them.</param>
public readonly record struct PackingProgress(long DoneBytes, long TotalBytes);

/// <summary>
/// The quantised matrices of a model in the order of the fastest kernels, packed once and mapped from then on. The packed file lies beside the model,
/// or in its directory, or in the user's cache where those cannot be written; it is a safetensors file with 4 KiB-aligned tensors whose metadata name the layout and the file
/// that it was made of (its length and time). A packed file of another layout or source is made anew.
/// </summary>
public sealed class PackedWeights
{
    /// <summary>How the names of packed files end.</summary>
    internal const string Extension = ".packed";

    private const string LayoutKey = "layout", SourceKey = "source";

    /// <summary>The packed file in a directory.</summary>
    private const string DirectoryName = "model" + Extension;

    private PackedWeights(IReadOnlyDictionary<string, Tensor> tensors, string? file, string? problem) => (Tensors, File, Problem) = (tensors, file, problem);

    /// <summary>The weights by name.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors { get; }

    /// <summary>The packed file that is mapped; null if it could not be written, so that the weights are packed for this process alone.</summary>
    public string? File { get; }

    /// <summary>Why there is no packed file.</summary>
    public string? Problem { get; }

    /// <summary>Packed weights for these ones, by name; made and saved first if there is no packed file yet.</summary>
    /// <param name="source">The file or directory that the weights come from.</param>
    /// <param name="weights">Quantised weights <c>[out, in]</c> in rows.</param>
    /// <param name="workers">Threads to pack with.</param>
    /// <param name="progress">Hears of the packing, if there is any.</param>
    /// <param name="cancel">Stops the packing; no file is left then.</param>
    /// <exception cref="GlmException">A weight cannot be packed.</exception>
    public static PackedWeights Load(
        string source, IReadOnlyList<(string Name, Tensor Tensor)> weights, Workers workers, IProgress<PackingProgress>? progress = null,
        CancellationToken cancel = default)
    {
        string identity = Identity(source);
        string[] places = [Directory.Exists(source) ? Path.Combine(source, DirectoryName) : source + Extension, CachePath(source)];
        foreach (string place in places)
            if (Open(place, identity, weights) is { } packed) return new PackedWeights(packed, place, null);
        string? problem = null;
        foreach (string place in places)
        {
            problem = TryWrite(place, identity, weights, workers, progress, cancel);
            if (problem is null && Open(place, identity, weights) is { } packed) return new PackedWeights(packed, place, null);
            problem ??= $"{place}: what was just written there cannot be read";
        }
        return new PackedWeights(weights.ToDictionary(w => w.Name, w => w.Tensor.Pack(workers)), null, problem);
    }

    /// <summary>Name, length and time of the file, or a hash of those of all files of the directory.</summary>
    private static string Identity(string source)
    {
        if (!Directory.Exists(source)) return IdentityOf(new FileInfo(source));
        var files = new DirectoryInfo(source).EnumerateFiles("*", SearchOption.AllDirectories).Where(file => file.Extension != Extension).Select(IdentityOf).Order(StringComparer.Ordinal);
        return Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(string.Join('\n', files))));
    }

    private static string IdentityOf(FileInfo file) => string.Create(CultureInfo.InvariantCulture, $"{file.Name} {file.Length} {file.LastWriteTimeUtc.Ticks}");

    /// <summary>Where the user's programs keep what can be made again; models of the same name are told apart by their folder.</summary>
    private static string CachePath(string source)
    {
        string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (string.IsNullOrEmpty(cache)) cache = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        string folder = Path.GetDirectoryName(Path.GetFullPath(Path.TrimEndingDirectorySeparator(source))) ?? "";
        byte[] hash = System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(folder));
        return Path.Combine(cache, "glm", $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(source))}.{Convert.ToHexStringLower(hash.AsSpan(0, 8))}{Extension}");
    }

    /// <summary>The weights in a packed file; null if it is missing, damaged, or made of something else.</summary>
    private static Dictionary<string, Tensor>? Open(string path, string identity, IReadOnlyList<(string Name, Tensor Tensor)> weights)
    {
        if (!System.IO.File.Exists(path)) return null;
        try
        {
            var file = SafetensorsFile.Open(path);
            if (file.Metadata.GetValueOrDefault(LayoutKey) != Tensor.PackedLayout || file.Metadata.GetValueOrDefault(SourceKey) != identity) return null;
            return weights.ToDictionary(w => w.Name, w => file[w.Name].AsPacked(w.Tensor.Type, w.Tensor.Rows, w.Tensor.Columns, w.Tensor.Scales));
        }
        catch (Exception error) when (error is GlmException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>Packs and saves; returns why that failed.</summary>
    private static string? TryWrite(
        string path, string identity, IReadOnlyList<(string Name, Tensor Tensor)> weights, Workers workers, IProgress<PackingProgress>? progress,
        CancellationToken cancel)
    {
        long done = 0, total = weights.Sum(w => w.Tensor.Bytes);
        var entries = new List<TensorEntry>();
        foreach (var (name, tensor) in weights)
            entries.Add(new TensorEntry(name, DType.UInt8, Tensor.PackedShape(tensor), () =>
            {
                var packed = tensor.Pack(workers).PackedBytes;
                tensor.ReleasePages();
                progress?.Report(new PackingProgress(done += tensor.Bytes, total));
                return packed;
            }));
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            var metadata = new Dictionary<string, string> { [LayoutKey] = Tensor.PackedLayout, [SourceKey] = identity };
            SafetensorsWriter.Write(path, entries, metadata, aligned: true, cancel);
            Storage.ForgetCached(path);
            return null;
        }
        catch (Exception error) when (error is GlmException or IOException or UnauthorizedAccessException)
        {
            return error.Message;
        }
    }
}
