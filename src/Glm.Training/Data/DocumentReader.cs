using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Glm.Training;

/// <summary>A text, or the reason why there is none at this place of the file.</summary>
/// <param name="Text">The text; null where it is faulty.</param>
/// <param name="Utf8Bytes">Its length in UTF-8.</param>
/// <param name="Line">Line of the file, from 1.</param>
/// <param name="Fault">What is wrong; null where nothing is.</param>
public readonly record struct DocumentText(string? Text, int Utf8Bytes, long Line, string? Fault);

/// <summary>
/// Reads the documents of one file in bounded memory; a text file beyond the limit becomes several documents. What cannot be used
/// is handed out as a fault, never dropped silently.
/// </summary>
/// <param name="path">The file.</param>
/// <param name="textField">Field of a JSON line that holds the text; null to hand out the JSON object itself.</param>
/// <param name="maxDocumentBytes">The limit.</param>
public sealed class DocumentReader(string path, string? textField, int maxDocumentBytes)
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The documents in order; blank lines between JSON documents are not documents.</summary>
    /// <exception cref="GlmException">The file cannot be read to its end.</exception>
    public IEnumerable<DocumentText> Read()
    {
        using Stream stream = InputFile.Open(path);
        var chunks = new ByteChunks(stream, maxDocumentBytes);
        long line = 1;
        if (InputFile.IsJsonLines(path))
            for (; NextLine(chunks, line) is { } document; line++)
            {
                if (document.Text is not null || document.Fault is not null) yield return document;
            }
        else
            while (NextPiece(chunks, ref line) is { } piece) yield return piece;
    }

    private DocumentText? NextLine(ByteChunks chunks, long number)
    {
        ReadOnlySpan<byte> line;
        bool tooLong;
        try
        {
            if (!chunks.ReadLine(out line, out tooLong)) return null;
        }
        catch (Exception error) when (error is IOException or InvalidDataException)
        {
            throw Unreadable(number, error);
        }
        if (tooLong) return Fault(number, $"longer than {maxDocumentBytes} bytes");
        if (number == 1) line = WithoutByteOrderMark(line);
        if (line.Trim(" \t\r"u8).IsEmpty) return new DocumentText(null, 0, number, null);
        return Utf8.IsValid(line) ? ParseJson(line, number) : Fault(number, "invalid UTF-8");
    }

    private DocumentText ParseJson(ReadOnlySpan<byte> line, long number)
    {
        try
        {
            var reader = new Utf8JsonReader(line);
            using JsonDocument json = JsonDocument.ParseValue(ref reader);
            if (reader.Read()) return Fault(number, "more than one JSON value");
            if (json.RootElement.ValueKind != JsonValueKind.Object) return Fault(number, "no JSON object");
            if (textField is null) return Document(json.RootElement.GetRawText(), number);
            if (!json.RootElement.TryGetProperty(textField, out JsonElement field)) return Fault(number, $"no field '{textField}'");
            if (field.ValueKind != JsonValueKind.String) return Fault(number, $"field '{textField}' is no string");
            return Document(field.GetString()!, number);
        }
        catch (JsonException)
        {
            return Fault(number, "invalid JSON");
        }
        catch (InvalidOperationException)
        {
            return Fault(number, $"field '{textField}' holds half of a surrogate pair");
        }
    }

    private DocumentText? NextPiece(ByteChunks chunks, ref long line)
    {
        try
        {
            long first = line;
            if (!chunks.ReadPiece(out ReadOnlySpan<byte> piece)) return null;
            line += piece.Count((byte)'\n');
            if (first == 1) piece = WithoutByteOrderMark(piece);
            if (Utf8.IsValid(piece)) return Document(Strict.GetString(piece), first);
            return Fault(first + piece[..FirstInvalid(piece)].Count((byte)'\n'), "invalid UTF-8");
        }
        catch (Exception error) when (error is IOException or InvalidDataException)
        {
            throw Unreadable(line, error);
        }
    }

    private static int FirstInvalid(ReadOnlySpan<byte> bytes)
    {
        try
        {
            Strict.GetCharCount(bytes);
            return bytes.Length;
        }
        catch (DecoderFallbackException error)
        {
            return Math.Clamp(error.Index, 0, bytes.Length);
        }
    }

    private static DocumentText Document(string text, long line) =>
        string.IsNullOrWhiteSpace(text) ? Fault(line, "empty text") : new DocumentText(text, Strict.GetByteCount(text), line, null);

    private static DocumentText Fault(long line, string reason) => new(null, 0, line, reason);

    private static ReadOnlySpan<byte> WithoutByteOrderMark(ReadOnlySpan<byte> bytes) => bytes.StartsWith("\uFEFF"u8) ? bytes[3..] : bytes;

    private GlmException Unreadable(long line, Exception error) => new($"{path}: cannot be read beyond line {line}: {error.Message}", error);
}
