using System.Text;
using System.Text.Json;

namespace Glm.Tokenizers;

/// <summary>Reads the files of vocabularies, in bounded memory and with one kind of error.</summary>
internal static class VocabularyFile
{
    /// <summary>No real vocabulary comes near this size; a larger file is refused before it is read.</summary>
    private const long MaximumBytes = 32L << 20;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The bytes of a file.</summary>
    /// <exception cref="GlmException">It cannot be read or is too large.</exception>
    public static byte[] Read(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            if (stream.Length > MaximumBytes) throw new GlmException($"{path}: expected a vocabulary of at most {MaximumBytes} bytes, found {stream.Length}");
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The lines of UTF-8 text, without their ends; a last empty one does not count.</summary>
    /// <exception cref="GlmException">It is not UTF-8.</exception>
    public static IEnumerable<string> Lines(byte[] bytes, string file)
    {
        string[] lines = Text(bytes, file).Split('\n');
        int count = lines[^1].Length == 0 ? lines.Length - 1 : lines.Length;
        return lines.Take(count).Select(line => line.EndsWith('\r') ? line[..^1] : line);
    }

    /// <summary>A file of one JSON object.</summary>
    /// <exception cref="GlmException">It is not.</exception>
    public static JsonElement Json(byte[] bytes, string file)
    {
        try
        {
            using var document = JsonDocument.Parse(bytes, new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new GlmException($"{file}: expected a JSON object, found {document.RootElement.ValueKind}");
            return document.RootElement.Clone();
        }
        catch (JsonException error)
        {
            throw new GlmException($"{file}: expected JSON, found what is none: {error.Message}", error);
        }
    }

    /// <summary>The JSON object in a file, or null where there is no such file.</summary>
    /// <exception cref="GlmException">It is no JSON object.</exception>
    public static JsonElement? JsonIfThere(string path) => File.Exists(path) ? Json(Read(path), path) : null;

    /// <summary>An object of names and ids.</summary>
    /// <exception cref="GlmException">It is something else.</exception>
    public static IReadOnlyDictionary<string, int> Ids(JsonElement json, string where)
    {
        if (json.ValueKind != JsonValueKind.Object) throw new GlmException($"{where}: expected an object of names and ids, found {json.ValueKind}");
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var entry in json.EnumerateObject())
            ids[Name(entry, where)] = entry.Value.ValueKind == JsonValueKind.Number && entry.Value.TryGetInt32(out int id) && id is >= 0 and < 1 << 24 ? id
                : throw new GlmException($"{where}: \"{entry.Name}\": expected an id from 0 to {(1 << 24) - 1}, found {Shown(entry.Value)}");
        return ids;
    }

    /// <summary>A value as it may stand in a message.</summary>
    public static string Shown(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length <= 80 ? text : text[..80] + "…";
    }

    private static string Text(byte[] bytes, string file)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException error)
        {
            throw new GlmException($"{file}: expected UTF-8, found other bytes at {error.Index}", error);
        }
    }

    private static string Name(JsonProperty entry, string where)
    {
        try
        {
            return entry.Name;
        }
        catch (InvalidOperationException error)
        {
            throw new GlmException($"{where}: expected names in Unicode, found half of a surrogate pair", error);
        }
    }
}
