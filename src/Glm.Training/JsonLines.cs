using System.Text;
using System.Text.Json;

namespace Glm.Training;

/// <summary>Files of one JSON object a line, to which a run appends. A line that a crash cut off is no line, and does not spoil the next.</summary>
internal static class JsonLines
{
    /// <summary>The objects of a file; none if there is no file.</summary>
    public static List<T> Read<T>(string path, JsonSerializerOptions form) where T : class
    {
        var objects = new List<T>();
        if (!File.Exists(path)) return objects;
        foreach (string line in File.ReadLines(path))
        {
            try
            {
                if (JsonSerializer.Deserialize<T>(line, form) is { } value) objects.Add(value);
            }
            catch (JsonException)
            {
                // Cut off.
            }
        }
        return objects;
    }

    /// <summary>Replaces the file.</summary>
    /// <exception cref="GlmException">It cannot be written.</exception>
    public static void Write<T>(string path, IEnumerable<T> objects, JsonSerializerOptions form) => AtomicFile.Write(path, stream =>
    {
        foreach (var value in objects) stream.Write(Line(value, form));
    });

    /// <summary>Appends an object, on a line of its own.</summary>
    /// <exception cref="GlmException">The file cannot be written.</exception>
    public static void Append<T>(string path, T value, JsonSerializerOptions form)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
            bool cutOff = false;
            if (stream.Length > 0)
            {
                stream.Seek(-1, SeekOrigin.End);
                cutOff = stream.ReadByte() != '\n';
            }
            if (cutOff) stream.WriteByte((byte)'\n');
            stream.Write(Line(value, form));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be written: {error.Message}", error);
        }
    }

    private static byte[] Line<T>(T value, JsonSerializerOptions form) => Encoding.UTF8.GetBytes(JsonSerializer.Serialize(value, form) + "\n");
}
