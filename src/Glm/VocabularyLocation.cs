using Glm.Formats;
using Glm.Models;
using Glm.Tokenizers;

namespace Glm;

/// <summary>Where a vocabulary lies: in a file of its own, in a model's directory, or inside a GGUF file.</summary>
public static class VocabularyLocation
{
    private const string Prefix = GgufVocabularyMetadata.Prefix;

    /// <summary>Reads the vocabulary at a path.</summary>
    /// <exception cref="GlmException">There is none, it is damaged, or of no known kind.</exception>
    public static Tokenizer Open(string path, IceOptions? ice = null) => !IsGguf(path) ? Tokenizer.Load(path, ice)
        : FindInGguf(path)?.Create() ?? throw new GlmException($"{path}: expected a vocabulary ({Prefix}tokens), found none");

    /// <summary>The vocabulary of a GGUF file as a <c>tokenizer.model</c>; null of another path, and of a file without a vocabulary of a supported kind.</summary>
    /// <exception cref="GlmException">The vocabulary is damaged.</exception>
    public static byte[]? AsFile(string path) => IsGguf(path) && FindInGguf(path) is { IsKnown: true } vocabulary ? vocabulary.ToTokenizerModel() : null;

    /// <summary>The vocabulary of a GGUF file; null if it has none.</summary>
    /// <exception cref="GlmException">The file is damaged.</exception>
    public static GgufVocabulary? FindInGguf(string path)
    {
        var metadata = GgufFile.Open(path).Metadata;
        return metadata.FindStrings(Prefix + "tokens") is not { } tokens ? null : new GgufVocabulary(path, metadata.GetString(Prefix + "model"), metadata.FindString(Prefix + "pre"), tokens,
            metadata.FindNumbers(Prefix + "scores"), metadata.FindNumbers(Prefix + "token_type"));
    }

    private static bool IsGguf(string path)
    {
        if (!File.Exists(path)) return false;
        using var stream = File.OpenRead(path);
        Span<byte> magic = stackalloc byte[4];
        return stream.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) == magic.Length && magic.SequenceEqual("GGUF"u8);
    }

    /// <summary>The vocabulary of a model as metadata of a GGUF file; null where it has none, or one that GGUF has no form for.</summary>
    /// <exception cref="GlmException">It is damaged, or does not fit the model.</exception>
    public static IReadOnlyList<KeyValuePair<string, object>>? AsMetadata(string model)
    {
        if (!IsGguf(model))
            return Tokenizer.FindIn(model) is { } file ? GgufVocabularyMetadata.Of(Tokenizer.Load(file), ModelDirectory.LoadConfig(model).Shape.Vocabulary) : null;
        var metadata = GgufFile.Open(model).Metadata;
        string[] keys = [.. metadata.Keys.Where(key => key.StartsWith("tokenizer.", StringComparison.Ordinal))];
        return keys.Length == 0 ? null : [.. keys.Select(key => KeyValuePair.Create(key, Value(metadata, key)))];
    }

    /// <summary>Text, a truth value or numbers; integers become 32-bit ones, which vocabularies have.</summary>
    private static object Value(GgufMetadata metadata, string key) => (metadata.TypeOf(key), metadata.ElementTypeOf(key)) switch
    {
        (GgufValueType.String, _) => metadata.GetString(key),
        (GgufValueType.Bool, _) => metadata.FindBool(key)!,
        (GgufValueType.Array, GgufValueType.String) => metadata.FindStrings(key)!,
        (GgufValueType.Array, GgufValueType.Float32 or GgufValueType.Float64) => Array.ConvertAll(metadata.FindNumbers(key)!, value => (float)value),
        (GgufValueType.Array, _) => Array.ConvertAll(metadata.FindNumbers(key)!, value => (int)value),
        (GgufValueType.Float32 or GgufValueType.Float64, _) => (float)metadata.GetNumber(key),
        _ => (uint)metadata.GetInteger(key),
    };
}
