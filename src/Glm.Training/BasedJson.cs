using System.Text.Json;
using System.Text.Json.Nodes;

namespace Glm.Training;

/// <summary>JSON files that change some fields of another one, named in the field <c>base</c> relative to them: runs of a study that differ in one thing.</summary>
internal static class BasedJson
{
    private const string Field = "base";
    private const int Deepest = 8;

    private static JsonDocumentOptions Form { get; } = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>The fields of a file and, where it has none of the name, those of its base.</summary>
    /// <exception cref="GlmException">A file names a base that names a base, and so on.</exception>
    /// <exception cref="JsonException">A file is not a JSON object.</exception>
    public static byte[] Read(string path) => Read(path, Deepest);

    private static byte[] Read(string path, int depth)
    {
        byte[] text = File.ReadAllBytes(path);
        using var json = JsonDocument.Parse(text, Form);
        if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty(Field, out var field)) return text;
        if (field.ValueKind != JsonValueKind.String) throw new GlmException($"{path}: {Field}: expected the name of a file, found {field}");
        if (depth == 0) throw new GlmException($"{path}: {Field}: expected at most {Deepest} files that build on one another, found more");
        var merged = JsonNode.Parse(Read(Path.Combine(Path.GetDirectoryName(path)!, field.GetString()!), depth - 1), documentOptions: Form)!.AsObject();
        foreach (var property in json.RootElement.EnumerateObject())
            if (property.Name != Field) merged[property.Name] = JsonNode.Parse(property.Value.GetRawText(), documentOptions: Form);
        return JsonSerializer.SerializeToUtf8Bytes(merged);
    }
}
