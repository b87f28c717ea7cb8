using System.Text.Json;

namespace Glm.Tokenizers;

/// <summary>
/// A <c>tokenizer.json</c> that holds a byte-level vocabulary with merges: BLOOM (ChatGLM spec 8.4), and others whose split pattern is known here.
/// </summary>
internal static class TokenizerJson
{
    public const string Name = "tokenizer.json";

    /// <summary>Whether a JSON object is such a file.</summary>
    public static bool Recognises(JsonElement json) => json.TryGetProperty("model", out var model) && model.ValueKind == JsonValueKind.Object;

    /// <summary>The tokenizer.</summary>
    /// <exception cref="GlmException">A part is missing, malformed, or does what is not supported.</exception>
    public static Tokenizer Create(JsonElement json, string file)
    {
        var model = json.GetProperty("model");
        string type = Text(model, "type") ?? "BPE";
        if (type != "BPE") throw new GlmException($"{file}: model.type: expected BPE, found {type}");
        if (json.TryGetProperty("normalizer", out var normalizer) && normalizer.ValueKind != JsonValueKind.Null)
            throw new GlmException($"{file}: normalizer: expected none, found {VocabularyFile.Shown(normalizer)}");
        var pattern = PatternOf(json, file);
        var tokens = new Dictionary<string, int>(VocabularyFile.Ids(Required(model, "vocab", file), $"{file}: model.vocab"), StringComparer.Ordinal);
        var added = AddedTokens(json, file);
        foreach (var (name, id) in added) tokens.TryAdd(name, id);
        var vocabulary = ByteVocabulary.OfMerges(tokens, Merges(Required(model, "merges", file), file), file);
        return added.ContainsKey("<|user|>") ? new ByteLevelTokenizer(VocabularyKind.Glm4, vocabulary, pattern, Glm4(added, file))
            : new ByteLevelTokenizer(VocabularyKind.Bloom, vocabulary, pattern, Bloom(tokens, file));
    }

    private static SpecialTokens Bloom(Dictionary<string, int> tokens, string file)
    {
        var special = KnownSpecials.Bloom();
        foreach (var (name, id) in special.Names)
            if (!tokens.TryGetValue(name, out int found) || found != id)
                throw new GlmException($"{file}: expected the vocabulary of BLOOM with {name} as {id}, found {(found > 0 ? $"{name} as {found}" : "another")}");
        return special;
    }

    private static SpecialTokens Glm4(Dictionary<string, int> added, string file)
    {
        if (!added.TryGetValue("<|endoftext|>", out int first)) throw new GlmException($"{file}: added_tokens: expected <|endoftext|>, found none");
        var special = KnownSpecials.Glm4(first);
        foreach (var (name, id) in special.Names.Take(10))
            if (!added.TryGetValue(name, out int found) || found != id) throw new GlmException($"{file}: added_tokens: expected {name} as {id}, found {(found > 0 ? $"it as {found}" : "none")}");
        return special;
    }

    private static Dictionary<string, int> AddedTokens(JsonElement json, string file)
    {
        var added = new Dictionary<string, int>(StringComparer.Ordinal);
        if (!json.TryGetProperty("added_tokens", out var tokens)) return added;
        int number = 0;
        foreach (var token in Array(tokens, $"{file}: added_tokens"))
        {
            string where = $"{file}: added_tokens[{number++}]";
            if (Text(token, "content") is not { Length: > 0 } name) throw new GlmException($"{where}: expected a content, found none");
            added[name] = token.TryGetProperty("id", out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) && id is >= 0 and < 1 << 24 ? id
                : throw new GlmException($"{where}: expected an id for \"{name}\", found none");
        }
        return added;
    }

    // Merges are "left right" in older files and ["left", "right"] in newer ones.
    private static IEnumerable<(string Left, string Right, string Where)> Merges(JsonElement merges, string file)
    {
        int number = 0;
        foreach (var merge in Array(merges, $"{file}: model.merges"))
        {
            string where = $"{file}: model.merges[{number++}]";
            yield return merge.ValueKind switch
            {
                JsonValueKind.String => MergesFile.Parse(merge.GetString()!, where),
                JsonValueKind.Array when merge.GetArrayLength() == 2 && merge[0].ValueKind == JsonValueKind.String && merge[1].ValueKind == JsonValueKind.String =>
                    (merge[0].GetString()!, merge[1].GetString()!, where),
                _ => throw new GlmException($"{where}: expected two tokens, found {VocabularyFile.Shown(merge)}"),
            };
        }
    }

    // A split by an expression, then bytes; or GPT-2's own pattern inside the step that makes bytes.
    private static SplitPattern PatternOf(JsonElement json, string file)
    {
        string where = $"{file}: pre_tokenizer";
        if (!json.TryGetProperty("pre_tokenizer", out var steps) || steps.ValueKind != JsonValueKind.Object) throw new GlmException($"{where}: expected an object, found none");
        JsonElement[] list = Text(steps, "type") == "Sequence" ? [.. Array(Required(steps, "pretokenizers", where), where)] : [steps];
        SplitPattern? pattern = null;
        foreach (var step in list)
            switch (Text(step, "type"))
            {
                case "Split":
                    string expression = step.TryGetProperty("pattern", out var value) ? Text(value, "Regex") ?? "" : "";
                    string behaviour = Text(step, "behavior") ?? "";
                    if (SplitPattern.Of(expression) is not { } known || pattern is not null || behaviour != "Isolated" || Flag(step, "invert", false))
                        throw new GlmException($"{where}: expected one split that isolates matches of a known expression, found \"{expression}\" ({behaviour})");
                    pattern = known;
                    break;
                case "ByteLevel":
                    if (Flag(step, "add_prefix_space", true)) throw new GlmException($"{where}: add_prefix_space: expected false, found true");
                    if (Flag(step, "use_regex", true)) pattern = pattern is null ? SplitPattern.Gpt2 : throw new GlmException($"{where}: expected one split, found two");
                    break;
                default:
                    throw new GlmException($"{where}: expected steps of type Split and ByteLevel, found {VocabularyFile.Shown(step)}");
            }
        return pattern ?? throw new GlmException($"{where}: expected a split, found none");
    }

    private static bool Flag(JsonElement json, string name, bool standard) => json.TryGetProperty(name, out var value) ? value.ValueKind == JsonValueKind.True : standard;

    private static string? Text(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static JsonElement Required(JsonElement json, string name, string file) =>
        json.TryGetProperty(name, out var value) ? value : throw new GlmException($"{file}: {name}: expected it, found none");

    private static JsonElement.ArrayEnumerator Array(JsonElement json, string where) =>
        json.ValueKind == JsonValueKind.Array ? json.EnumerateArray() : throw new GlmException($"{where}: expected a list, found {json.ValueKind}");
}
