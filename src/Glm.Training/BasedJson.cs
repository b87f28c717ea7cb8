using System.Text.Json;

namespace Glm.Training;

/// <summary>JSON files that change some fields of another one, named in the field <c>base</c> relative to them: runs of a study that differ in one thing.</summary>
internal static class BasedJson
{
    private const string Field = "base";
    private const int Deepest = 8;

    private static JsonDocumentOptions Form { get; } = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>The fields of a file and, where it has none of the name, those of its base.</summary>
    /// <exception cref="GlmException">A file names a base that names a base, and so on.</exception>
    /// <exception cref="JsonException">A file is not JSON.</exception>
    public static byte[] Read(string path) => Read(path, Deepest);

    private static byte[] Read(string path, int depth)
    {
        byte[] text = File.ReadAllBytes(path);
        using var json = JsonDocument.Parse(text, Form);
        if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty(Field, out var field)) return text;
        if (field.ValueKind != JsonValueKind.String) throw new GlmException($"{path}: {Field}: expected the name of a file, found {field}");
        if (depth == 0) throw new GlmException($"{path}: {Field}: expected at most {Deepest} files that build on one another, found more");
        string name = Path.Combine(Path.GetDirectoryName(path)!, field.GetString()!);
        using var below = JsonDocument.Parse(Read(name, depth - 1), Form);
        if (below.RootElement.ValueKind != JsonValueKind.Object) throw new GlmException($"{name}: expected a JSON object, found {below.RootElement.ValueKind}");
        var fields = new Dictionary<string, JsonElement>();
        foreach (var property in below.RootElement.EnumerateObject().Concat(json.RootElement.EnumerateObject()))
            if (property.Name != Field) fields[property.Name] = property.Value;
        return JsonSerializer.SerializeToUtf8Bytes(fields);
    }
}
