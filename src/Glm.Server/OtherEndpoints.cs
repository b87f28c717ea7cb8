using System.Buffers.Binary;
using System.Diagnostics;
using System.Text.Json;

namespace Glm.Server;

/// <summary><c>POST /v1/embeddings</c>: texts as vectors.</summary>
internal static class EmbeddingEndpoint
{
    private const int MaximumTexts = 256;

    public static async Task RunAsync(ApiCall call)
    {
        var texts = call.Body.Texts("input", MaximumTexts);
        if (texts.Count == 0) throw ApiException.Invalid("input: expected one or more texts, found none", "input");
        string format = call.Body.Text("encoding_format") ?? "float";
        if (format is not ("float" or "base64")) throw ApiException.Invalid("encoding_format: expected float or base64", "encoding_format");
        int? dimensions = call.Body.Integer("dimensions", 1, int.MaxValue);
        var (vectors, tokens) = await call.Model.EmbedAsync(texts, call.Aborted).ConfigureAwait(false);
        if (dimensions is { } wanted && wanted != vectors[0].Length) throw ApiException.Invalid($"dimensions: expected the model's {vectors[0].Length}, found {wanted}", "dimensions");
        await call.AnswerAsync(
            new EmbeddingAnswer("list", [.. vectors.Select((vector, i) => new EmbeddingEntry("embedding", i, Encode(vector, format)))], call.Model.Name, new Usage(tokens, 0, tokens)),
            ApiJson.Default.EmbeddingAnswer).ConfigureAwait(false);
    }

    private static JsonElement Encode(float[] vector, string format)
    {
        using var memory = new MemoryStream();
        using (var writer = new Utf8JsonWriter(memory))
        {
            if (format == "base64")
            {
                byte[] bytes = new byte[vector.Length * sizeof(float)];
                for (int i = 0; i < vector.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
                writer.WriteBase64StringValue(bytes);
            }
            else
            {
                writer.WriteStartArray();
                foreach (float value in vector) writer.WriteNumberValue(value);
                writer.WriteEndArray();
            }
        }
        using var document = JsonDocument.Parse(memory.ToArray());
        return document.RootElement.Clone();
    }
}

/// <summary><c>POST /v1/fill</c>: the blanks of a text are filled.</summary>
internal static class FillEndpoint
{
    private const int MaximumAlternatives = 20, MaximumBlanks = 64;

    public static async Task RunAsync(ApiCall call)
    {
        string text = call.Body.Text("text") ?? throw ApiException.Invalid("text: expected text, found none", "text");
        int alternatives = call.Body.Integer("alternatives", 0, MaximumAlternatives) ?? 0;
        if (text.Split("MASK]").Length - 1 > MaximumBlanks) throw ApiException.Invalid($"text: expected at most {MaximumBlanks} blanks, found more", "text");
        var options = call.Text("max_tokens");
        if (options.MaxTokens == 0) throw ApiException.Invalid("max_tokens: expected at least 1, found 0", "max_tokens");
        long start = Stopwatch.GetTimestamp();
        var filled = await call.Model.FillAsync(text, options with { Temperature = options.Temperature ?? 0 }, alternatives, call.Aborted).ConfigureAwait(false);
        await call.AnswerAsync(
            new FillAnswer($"fill-{call.Id}", "fill", call.Created, call.Model.Name, filled.Text, [.. filled.Blanks.Select(blank => Blank(blank, alternatives > 0))],
                new Usage(filled.PromptTokens, filled.NewTokens, filled.PromptTokens + filled.NewTokens), Math.Round(Stopwatch.GetElapsedTime(start).TotalSeconds, 3)),
            ApiJson.Default.FillAnswer).ConfigureAwait(false);
    }

    private static BlankAnswer Blank(FilledBlank blank, bool withAlternatives) => new(
        blank.Text, blank.Probability, ApiCall.Reason(blank.Finish), [.. blank.Tokens.Select(token => new TokenAnswer(token.Id, token.Text, token.LogProbability))],
        withAlternatives ? [.. blank.Alternatives.Select(other => Blank(other, false))] : null);
}

/// <summary><c>POST /tokenize</c> and <c>/detokenize</c>.</summary>
internal static class TokenEndpoints
{
    public static Task TokenizeAsync(ApiCall call)
    {
        string text = call.Body.Text("text") ?? throw ApiException.Invalid("text: expected text, found none", "text");
        int[] ids = call.Body.Flag("blanks") ? call.Model.Tokenizer.EncodeWithMasks(text) : call.Model.Tokenizer.Encode(text);
        return call.AnswerAsync(
            new TokenizeAnswer(call.Model.Name, ids.Length, ids, [.. ids.Select(id => new TokenAnswer(id, System.Text.Encoding.UTF8.GetString(call.Model.Tokenizer.TokenBytes(id))))]),
            ApiJson.Default.TokenizeAnswer);
    }

    public static Task DetokenizeAsync(ApiCall call)
    {
        int[] ids = [.. call.Body.List("ids").Select((id, i) => RequestBody.IntegerOf(id, $"ids[{i}]", 0, call.Model.Tokenizer.VocabularySize - 1))];
        return call.AnswerAsync(new DetokenizeAnswer(call.Model.Name, call.Model.Tokenizer.Decode(ids)), ApiJson.Default.DetokenizeAnswer);
    }
}
