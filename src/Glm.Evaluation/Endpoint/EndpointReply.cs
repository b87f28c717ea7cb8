using System.Text.Json;

namespace Glm.Evaluation;

/// <summary>Reads what an endpoint answers; a shape that was not expected is an error that says where.</summary>
internal static class EndpointReply
{
    /// <summary>Texts of a completion or of a chat, in their order.</summary>
    public static IReadOnlyList<string> Texts(JsonElement reply, bool chat) => [.. Choices(reply).Select(choice => chat ? Content(choice) : Property(choice, "text", JsonValueKind.String).GetString()!)];

    /// <summary>Tokens that were read and written; zeros where the endpoint does not tell.</summary>
    public static (long Read, long Written) Usage(JsonElement reply) =>
        reply.ValueKind == JsonValueKind.Object && reply.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object ? (Count(usage, "prompt_tokens"), Count(usage, "completion_tokens")) : default;

    /// <summary>Names of the models there.</summary>
    public static IReadOnlyList<string> Models(JsonElement reply) => [.. Property(reply, "data", JsonValueKind.Array).EnumerateArray().Select(model => Property(model, "id", JsonValueKind.String).GetString()!)];

    /// <summary>Tokens that a model takes, under one of the names that servers give this; null where they do not tell.</summary>
    public static int? LengthOf(string model, JsonElement reply)
    {
        foreach (var entry in Property(reply, "data", JsonValueKind.Array).EnumerateArray().Where(entry => Property(entry, "id", JsonValueKind.String).GetString() == model))
            foreach (var place in entry.TryGetProperty("glm", out var own) && own.ValueKind == JsonValueKind.Object ? [entry, own] : new[] { entry })
                foreach (string name in new[] { "max_model_len", "max_length", "context_length", "context_window" })
                    if (place.TryGetProperty(name, out var length) && length.ValueKind == JsonValueKind.Number && length.TryGetInt32(out int tokens) && tokens > 0) return tokens;
        return null;
    }

    /// <summary>The tokens of an echoed text with where each begins and its log-probability, NaN where there is none (the first has none).</summary>
    /// <param name="reply">The reply.</param>
    /// <param name="text">The text that was sent.</param>
    public static EchoedTokens Echo(JsonElement reply, string text)
    {
        var logprobs = Property(Choices(reply).First(), "logprobs", JsonValueKind.Object);
        string[] tokens = [.. Property(logprobs, "tokens", JsonValueKind.Array).EnumerateArray().Select(token => token.ValueKind == JsonValueKind.String ? token.GetString()! : throw Wrong("tokens", "text", token))];
        double[] scores = Numbers(Property(logprobs, "token_logprobs", JsonValueKind.Array), "token_logprobs");
        if (scores.Length != tokens.Length) throw new EndpointException($"reply: expected as many token_logprobs as tokens, found {scores.Length} and {tokens.Length}");
        return new EchoedTokens(Offsets(logprobs, tokens, text), scores);
    }

    /// <summary>
    /// Where tokens begin in a text: they are its parts, perhaps behind a token that begins every text. Where they are not, since a character can lie in
    /// several tokens that no text can show, the endpoint's own offsets count.
    /// </summary>
    private static int[] Offsets(JsonElement logprobs, string[] tokens, string text)
    {
        int length = text.EnumerateRunes().Count(), shift = string.Concat(tokens).IndexOf(text, StringComparison.Ordinal);
        if (shift >= 0 && shift <= (tokens.Length > 0 ? tokens[0].Length : 0))
        {
            int[] starts = new int[tokens.Length];
            for (int i = 0, at = -shift; i < tokens.Length; at += tokens[i++].EnumerateRunes().Count()) starts[i] = at;
            return starts;
        }
        double[] offsets = logprobs.TryGetProperty("text_offset", out var given) && given.ValueKind == JsonValueKind.Array ? Numbers(given, "text_offset") : [];
        if (offsets.Length != tokens.Length || tokens.Length == 0 || offsets[0] != 0 || !(offsets[^1] + tokens[^1].Length >= length))
            throw new EndpointException($"reply: expected the tokens of the prompt, found others: {string.Concat(tokens.Take(8))[..Math.Min(40, string.Concat(tokens.Take(8)).Length)].ReplaceLineEndings(" ")}");
        return [.. offsets.Select(offset => (int)offset)];
    }

    private static IEnumerable<JsonElement> Choices(JsonElement reply)
    {
        var choices = Property(reply, "choices", JsonValueKind.Array);
        if (choices.GetArrayLength() == 0) throw new EndpointException("reply: expected a choice, found none");
        return choices.EnumerateArray().OrderBy(choice => choice.ValueKind == JsonValueKind.Object && choice.TryGetProperty("index", out var index) && index.TryGetInt32(out int place) ? place : 0);
    }

    /// <summary>A model that answers with nothing, or refuses, has written no text.</summary>
    private static string Content(JsonElement choice)
    {
        var message = Property(choice, "message", JsonValueKind.Object);
        if (!message.TryGetProperty("content", out var content) || content.ValueKind == JsonValueKind.Null) return "";
        return content.ValueKind == JsonValueKind.String ? content.GetString()! : throw Wrong("content", "text", content);
    }

    private static JsonElement Property(JsonElement element, string name, JsonValueKind kind)
    {
        if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out var value)) throw new EndpointException($"reply: expected a field {name}, found none");
        return value.ValueKind == kind ? value : throw Wrong(name, kind.ToString().ToLowerInvariant(), value);
    }

    private static double[] Numbers(JsonElement list, string name) =>
        [.. list.EnumerateArray().Select(number => number.ValueKind switch { JsonValueKind.Number => number.GetDouble(), JsonValueKind.Null => double.NaN, _ => throw Wrong(name, "numbers", number) })];

    private static long Count(JsonElement usage, string name) => usage.TryGetProperty(name, out var count) && count.TryGetInt64(out long value) && value >= 0 ? value : 0;

    private static EndpointException Wrong(string name, string expected, JsonElement found) => new($"reply: {name}: expected {expected}, found {found.ValueKind.ToString().ToLowerInvariant()}");
}

/// <summary>Tokens of a text that an endpoint has read.</summary>
/// <param name="Offsets">Where each begins, in code points.</param>
/// <param name="Scores">Log-probability of each; NaN for the first.</param>
internal sealed record EchoedTokens(int[] Offsets, double[] Scores)
{
    /// <summary>Sum of the log-probabilities of the tokens that reach beyond a place and begin before another, and how many they are. A token over the place counts.</summary>
    /// <exception cref="EndpointException">One of them has none.</exception>
    public (double Sum, int Tokens) Between(int start, int end)
    {
        double sum = 0;
        int count = 0;
        for (int i = 0; i < Offsets.Length; i++)
        {
            if (Offsets[i] >= end || EndOf(i) <= start) continue;
            if (double.IsNaN(Scores[i])) throw new EndpointException($"reply: expected a log-probability of token {i + 1}, found none");
            sum += Scores[i];
            count++;
        }
        return (sum, count);
    }

    /// <summary>Where a token ends; those of one character begin and end together.</summary>
    private int EndOf(int token)
    {
        int next = token + 1;
        while (next < Offsets.Length && Offsets[next] == Offsets[token]) next++;
        return next < Offsets.Length ? Offsets[next] : int.MaxValue;
    }
}
