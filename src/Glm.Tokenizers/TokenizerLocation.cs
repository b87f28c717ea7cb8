using System.Text.Json;

namespace Glm.Tokenizers;

/// <summary>
/// What lies around a vocabulary's file and says whose it is where the file alone does not: <c>tokenizer_config.json</c>, <c>config.json</c> and
/// <c>added_tokens.json</c>.
/// </summary>
internal sealed class TokenizerLocation
{
    private static readonly string[] FileNames = ["tokenizer.model", "ice_text.model", "cog-pretrain.model", TokenizerJson.Name, "vocab.json", "vocab.txt"];

    private readonly JsonElement? _tokenizer, _model;

    /// <summary>Reads what lies beside a file.</summary>
    /// <exception cref="GlmException">It is no JSON.</exception>
    public TokenizerLocation(string file)
    {
        Folder = Path.GetDirectoryName(file) ?? "";
        _tokenizer = VocabularyFile.JsonIfThere(Path.Combine(Folder, "tokenizer_config.json"));
        _model = VocabularyFile.JsonIfThere(Path.Combine(Folder, "config.json"));
        string added = Path.Combine(Folder, "added_tokens.json");
        AddedTokens = VocabularyFile.JsonIfThere(added) is { } json ? VocabularyFile.Ids(json, added) : new Dictionary<string, int>();
    }

    /// <summary>Names of files that hold vocabularies, in the order of preference.</summary>
    public static string Names => string.Join(", ", FileNames);

    /// <summary>The folder of the file.</summary>
    public string Folder { get; }

    /// <summary>Special tokens that the model's publisher added.</summary>
    public IReadOnlyDictionary<string, int> AddedTokens { get; }

    /// <summary>The architecture, where it is said.</summary>
    public string? ModelType => Text(_model, "model_type");

    /// <summary>Whether the tokenizer is that of ChatGLM-6B, and if so, how many image tokens precede its pieces.</summary>
    public int? ChatGlmImageTokens =>
        Number(_tokenizer, "num_image_tokens") is { } count ? count
        : Number(_model, "vocab_size") switch { 130528 when ModelType == "chatglm" => 0, 150528 when ModelType == "chatglm" => 20000, _ => null };

    /// <summary>Whether a name of the model or its tokenizer contains a word.</summary>
    public bool IsNamed(string word) => new[] { Text(_tokenizer, "name_or_path"), Text(_model, "_name_or_path"), Text(_tokenizer, "tokenizer_class") }
        .Any(name => name?.Contains(word, StringComparison.OrdinalIgnoreCase) == true);

    /// <summary>Names of all files that a vocabulary may consist of.</summary>
    public static IReadOnlyList<string> AllFileNames => [.. FileNames, MergesFile.Name, "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"];

    /// <summary>The vocabulary's file in a directory, or null.</summary>
    public static string? FindIn(string directory) => FileNames.Select(name => Path.Combine(directory, name)).FirstOrDefault(File.Exists);

    private static string? Text(JsonElement? json, string name) =>
        json is { } root && root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static int? Number(JsonElement? json, string name) =>
        json is { } root && root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number : null;
}
