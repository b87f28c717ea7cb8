using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Glm.Server;

/// <summary>The fields of a request, or of an object in it, checked as they are read. Fields that nobody reads are ignored; null is as if a field were not there.</summary>
internal readonly struct RequestBody(JsonElement json, string path = "")
{
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    /// <summary>Reads the body of a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="most">Most bytes that it may have.</param>
    /// <exception cref="ApiException">It is no JSON object, or too long.</exception>
    public static async Task<RequestBody> ReadAsync(HttpRequest request, int most)
    {
        // A page of another site may send other types without being asked; JSON it may not.
        if (!request.HasJsonContentType()) throw new ApiException(StatusCodes.Status415UnsupportedMediaType, "invalid_request_error", "Content-Type: expected application/json");
        try
        {
            using var document = JsonDocument.Parse(await BytesAsync(request, most).ConfigureAwait(false), Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw ApiException.Invalid($"body: expected a JSON object, found {Kind(document.RootElement)}");
            RequireText(document.RootElement);
            return new RequestBody(document.RootElement.Clone());
        }
        catch (InvalidOperationException)
        {
            throw ApiException.Invalid("body: expected text, found half of a surrogate pair");
        }
        catch (JsonException error)
        {
            throw ApiException.Invalid($"body: expected JSON: {error.Message.Split(". Path:")[0]}");
        }
    }

    /// <summary>All bytes of a body. Clients send the whole of it before they read an answer, so that one too long is read to its end too, and not kept.</summary>
    private static async Task<ReadOnlyMemory<byte>> BytesAsync(HttpRequest request, int most)
    {
        var bytes = new ArrayBufferWriter<byte>();
        long length = 0;
        while (await request.Body.ReadAsync(bytes.GetMemory(4096), request.HttpContext.RequestAborted).ConfigureAwait(false) is > 0 and int read)
        {
            length += read;
            if (length <= most) bytes.Advance(read);
        }
        return length <= most ? bytes.WrittenMemory : throw ApiException.TooLong();
    }

    /// <summary>A field; null where it is not there.</summary>
    public JsonElement? Find(string name) => json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public string? Text(string name) => Find(name) is { } value ? TextOf(value, path + name) : null;

    public bool Flag(string name, bool standard = false) => Find(name) is not { } value ? standard
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(path + name, "true or false", value);

    public int? Integer(string name, int least, int most) => Find(name) is { } value ? IntegerOf(value, path + name, least, most) : null;

    public long? Long(string name) => Find(name) is not { } value ? null : value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) ? number : throw Wrong(path + name, "an integer", value);

    public double? Number(string name, double least, double most) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= least && number <= most ? number : throw Wrong(path + name, $"a number from {least} to {most}", value);

    public RequestBody? Object(string name) => Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Object ? new RequestBody(value, $"{path}{name}.") : throw Wrong(path + name, "an object", value);

    /// <summary>The elements of a list; none where it is not there.</summary>
    public IReadOnlyList<JsonElement> List(string name) => Find(name) is not { } value ? []
        : value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : throw Wrong(path + name, "a list", value);

    /// <summary>The objects of a list.</summary>
    public IReadOnlyList<RequestBody> Objects(string name)
    {
        string prefix = path + name;
        return [.. List(name).Select((item, i) => item.ValueKind == JsonValueKind.Object ? new RequestBody(item, $"{prefix}[{i}].") : throw Wrong($"{prefix}[{i}]", "an object", item))];
    }

    /// <summary>A text, or a list of texts.</summary>
    public IReadOnlyList<string> Texts(string name, int most)
    {
        if (Find(name) is not { } value) return [];
        string prefix = path + name;
        string[] texts = value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray().Select((item, i) => TextOf(item, $"{prefix}[{i}]"))] : [TextOf(value, prefix)];
        return texts.Length <= most ? texts : throw ApiException.Invalid($"{prefix}: expected at most {most}, found {texts.Length}", prefix);
    }

    /// <summary>The JSON of the whole object.</summary>
    public JsonElement Json => json;

    /// <summary>The name of a field, from the body's root.</summary>
    public string Path(string name) => path + name;

    public static string TextOf(JsonElement value, string path) => value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(path, "text", value);

    /// <summary>Reads every text once: whoever reads one later need not expect that it is none.</summary>
    /// <exception cref="InvalidOperationException">One has half of a surrogate pair in it.</exception>
    private static void RequireText(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String) value.GetString();
        else if (value.ValueKind == JsonValueKind.Array)
            foreach (var item in value.EnumerateArray()) RequireText(item);
        else if (value.ValueKind == JsonValueKind.Object)
            foreach (var field in value.EnumerateObject())
            {
                _ = field.Name;
                RequireText(field.Value);
            }
    }

    public static int IntegerOf(JsonElement value, string path, int least, int most) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= least && number <= most ? number : throw Wrong(path, $"an integer from {least} to {most}", value);

    public static ApiException Wrong(string path, string expected, JsonElement found) => ApiException.Invalid($"{path}: expected {expected}, found {Kind(found)}", path);

    private static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "text",
        JsonValueKind.Number => value.GetRawText() is { Length: < 30 } number ? number : "a long number",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };
}
