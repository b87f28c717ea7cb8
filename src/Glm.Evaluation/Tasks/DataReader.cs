using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Glm.Training;

namespace Glm.Evaluation;

/// <summary>A record of a data file, or why there is none at this place.</summary>
/// <param name="Fields">Its fields; null where it is malformed.</param>
/// <param name="Place">Where it stands: a line, or the number of an item of one JSON document.</param>
/// <param name="Fault">What is wrong; null where nothing is.</param>
public sealed record DataRecord(JsonObject? Fields, string Place, string? Fault = null);

/// <summary>Reads data files in the forms that data sets come in, plain or compressed, as records of fields.</summary>
public static class DataReader
{
    /// <summary>A file may have so many bytes when it is decompressed.</summary>
    private const int LargestFile = 1 << 30;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static readonly JsonDocumentOptions JsonForm = new() { AllowDuplicateProperties = false };

    private static readonly Dictionary<string, Func<string, string, TaskDefinition, IEnumerable<DataRecord>>> Readers = new()
    {
        ["json-lines"] = (_, text, _) => JsonLines(text),
        ["json"] = (file, text, _) => JsonDocument(file, text),
        ["json-map"] = (file, text, _) => DataSchemas.Map(Node(file, text)),
        ["csv"] = (file, text, task) => DelimitedText.Read(file, text, task.Delimiter ?? ',', quotes: true, task.Columns),
        ["tsv"] = (file, text, task) => DelimitedText.Read(file, text, task.Delimiter ?? '\t', quotes: false, task.Columns),
        ["text"] = (_, text, _) => Whole(text),
        ["lines"] = (_, text, _) => Lines(text).Select(line => new DataRecord(new JsonObject { ["text"] = line.Text }, line.Place)),
        ["squad"] = (file, text, _) => DataSchemas.Squad(file, Node(file, text)),
        ["c3"] = (file, text, _) => DataSchemas.C3(file, Node(file, text)),
        ["bigbench"] = (file, text, _) => DataSchemas.BigBench(file, Node(file, text)),
        ["winogender"] = (file, text, _) => DataSchemas.Winogender(DelimitedText.Read(file, text, '\t', quotes: false, null)),
        ["stereoset"] = (_, text, _) => DataSchemas.StereoSet(JsonLines(text)),
        ["last-word"] = (file, text, _) => DataSchemas.LastWord(IsJson(file) ? JsonLines(text) : Lines(text).Select(line => new DataRecord(new JsonObject { ["text"] = line.Text }, line.Place))),
        ["blanks"] = (file, text, task) => HeldOutPassages.Blanks(Documents(file, text), task.Seed),
        ["passages"] = (file, text, task) => HeldOutPassages.Passages(Documents(file, text), task.Seed),
    };

    /// <summary>Names of the forms.</summary>
    public static IEnumerable<string> Formats => Readers.Keys;

    /// <summary>The records of a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="task">Says how it is read.</param>
    /// <exception cref="GlmException">The file cannot be read, or is no such file at all.</exception>
    public static IEnumerable<DataRecord> Read(string file, TaskDefinition task)
    {
        string text = Text(file);
        return Readers[task.Format ?? Guess(file, text)](file, text, task);
    }

    /// <summary>The records of a file in a form that needs no more to be read.</summary>
    internal static IEnumerable<DataRecord> ReadAs(string file, string format) => format == "json" ? JsonDocument(file, Text(file)) : JsonLines(Text(file));

    /// <summary>A file's name without the ending of its compression.</summary>
    public static string PlainName(string file) => Path.GetExtension(file).ToLowerInvariant() is ".gz" or ".xz" or ".zst" ? file[..file.LastIndexOf('.')] : file;

    /// <summary>Those of JSON lines, or the one that a text file is.</summary>
    private static IEnumerable<DataRecord> Documents(string file, string text) => IsJson(file) ? JsonLines(text) : Whole(text);

    private static DataRecord[] Whole(string text) => [new DataRecord(new JsonObject { ["text"] = text }, "line 1")];

    private static bool IsJson(string file) => Path.GetExtension(PlainName(file)).StartsWith(".json", StringComparison.OrdinalIgnoreCase);

    private static string Guess(string file, string text) => Path.GetExtension(PlainName(file)).ToLowerInvariant() switch
    {
        ".csv" => "csv",
        ".tsv" => "tsv",
        ".json" when text.AsSpan().TrimStart().StartsWith("[") => "json",
        ".json" or ".jsonl" => "json-lines",
        _ => "text",
    };

    private static string Text(string file)
    {
        using var memory = new MemoryStream();
        try
        {
            using var stream = InputFile.Open(file);
            byte[] buffer = new byte[1 << 16];
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                memory.Write(buffer, 0, read);
                if (memory.Length > LargestFile) throw new GlmException($"{file}: expected at most {LargestFile} bytes of text, found more");
            }
            string text = Strict.GetString(memory.GetBuffer(), 0, (int)memory.Length);
            return text.StartsWith('\uFEFF') ? text[1..] : text;
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new GlmException($"{file}: cannot be read: {error.Message}", error);
        }
        catch (DecoderFallbackException error)
        {
            throw new GlmException($"{file}: expected UTF-8, found other bytes at {error.Index}", error);
        }
    }

    private static IEnumerable<(string Text, string Place)> Lines(string text)
    {
        int number = 0;
        foreach (string line in text.Split('\n'))
        {
            number++;
            if (!string.IsNullOrWhiteSpace(line)) yield return (line.TrimEnd('\r'), $"line {number}");
        }
    }

    private static IEnumerable<DataRecord> JsonLines(string text)
    {
        foreach (var (line, place) in Lines(text))
        {
            DataRecord record;
            try
            {
                record = JsonNode.Parse(line, documentOptions: JsonForm) is JsonObject fields ? new DataRecord(fields, place) : new DataRecord(null, place, "expected a JSON object, found something else");
            }
            catch (JsonException error)
            {
                record = new DataRecord(null, place, $"expected a JSON object, found none: {error.Message}");
            }
            yield return record;
        }
    }

    private static IEnumerable<DataRecord> JsonDocument(string file, string text)
    {
        if (Node(file, text) is not JsonArray items) throw new GlmException($"{file}: expected a JSON array, found something else");
        return items.Select((item, i) => item is JsonObject fields ? new DataRecord(fields, $"item {i + 1}") : new DataRecord(null, $"item {i + 1}", "expected a JSON object, found something else"));
    }

    private static JsonNode? Node(string file, string text)
    {
        try
        {
            return JsonNode.Parse(text, documentOptions: JsonForm);
        }
        catch (JsonException error)
        {
            throw new GlmException($"{file}: line {error.LineNumber + 1}: expected a JSON document, found none: {error.Message}", error);
        }
    }
}
