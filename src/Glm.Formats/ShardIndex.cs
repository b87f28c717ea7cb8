using System.Text.Json;

namespace Glm.Formats;

/// <summary>
/// The index of a sharded checkpoint, <c>{"metadata": …, "weight_map": {tensor: file}}</c>: it must agree with the files beside it, each tensor in the file
/// that it names and none besides.
/// </summary>
internal static class ShardIndex
{
    public const string Extension = ".index.json";

    private const long LongestIndex = SafetensorsFile.LongestHeader;

    /// <summary>Whether a file of these first bytes is JSON; a safetensors file may begin with the same byte, but then has a header.</summary>
    public static bool IsIndex(ReadOnlySpan<byte> head) => head.StartsWith("{"u8) && !SafetensorsFile.IsHead(head);

    /// <exception cref="GlmException">The index is damaged, a file is missing or damaged, or they do not agree.</exception>
    public static TensorStore Open(string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var places = ReadPlaces(path);
        string[] names = [.. places.Values.Distinct().Order(StringComparer.Ordinal)];
        if (Array.Find(names, file => !File.Exists(Path.Combine(folder, file))) is { } missing)
            throw new GlmException($"{path}: weight_map: expected the file {missing} beside the index, found none");
        var files = new List<TensorStore>();
        foreach (string file in names)
        {
            string shard = Path.Combine(folder, file);
            files.Add(TensorStore.OpenFile(shard));
            foreach (string name in files[^1].Names)
                if (places.GetValueOrDefault(name) is var place && place != file)
                    throw new GlmException($"{shard}: {name}: expected each tensor in the file that {Path.GetFileName(path)} names, found {place ?? "none"} there");
        }
        var store = new ShardedStore(folder, files);
        foreach (var (name, file) in places)
            if (store.FindInfo(name) is null) throw new GlmException($"{path}: {name}: expected it in {file}, found no such tensor there");
        return store;
    }

    /// <summary>The file of each tensor; a name without a folder.</summary>
    private static Dictionary<string, string> ReadPlaces(string path)
    {
        try
        {
            long length = new FileInfo(path).Length;
            if (length > LongestIndex) throw new GlmException($"{path}: expected an index of at most {LongestIndex} bytes, found {length}");
            using var json = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 8 });
            if (!json.RootElement.TryGetProperty("weight_map", out var map)) throw new GlmException($"{path}: weight_map: expected a JSON object, found nothing");
            var places = new Dictionary<string, string>();
            foreach (var entry in map.EnumerateObject())
            {
                string file = entry.Value.GetString() ?? "";
                if (file is "" or "." or ".." || file != Path.GetFileName(file) || file.Contains('\0'))
                    throw new GlmException($"{path}: {entry.Name}: expected the name of a file beside the index, found \"{file}\"");
                places.Add(entry.Name, file);
            }
            return places;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new GlmException($"{path}: the index of a sharded checkpoint is not the expected JSON: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }
}
