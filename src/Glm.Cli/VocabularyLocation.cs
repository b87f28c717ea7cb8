using Glm.Formats;
using Glm.Tokenizers;

namespace Glm.Cli;

/// <summary>Where a vocabulary lies: in a file of its own, in a model's directory, or inside a GGUF file.</summary>
internal static class VocabularyLocation
{
    private const string Prefix = "tokenizer.ggml.";

    /// <summary>Reads the vocabulary at a path.</summary>
    /// <exception cref="GlmException">There is none, it is damaged, or of no known kind.</exception>
    public static Tokenizer Open(string path, IceOptions? ice = null) => IsGguf(path) ? OfGguf(path) : Tokenizer.Load(path, ice);

    private static bool IsGguf(string path)
    {
        if (!File.Exists(path)) return false;
        using var stream = File.OpenRead(path);
        Span<byte> magic = stackalloc byte[4];
        return stream.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) == magic.Length && magic.SequenceEqual("GGUF"u8);
    }

    private static Tokenizer OfGguf(string path)
    {
        var metadata = GgufFile.Open(path).Metadata;
        string[] tokens = metadata.FindStrings(Prefix + "tokens") ?? throw new GlmException($"{path}: expected a vocabulary ({Prefix}tokens), found none");
        return new GgufVocabulary(path, metadata.GetString(Prefix + "model"), metadata.FindString(Prefix + "pre"), tokens,
            metadata.FindNumbers(Prefix + "scores"), metadata.FindNumbers(Prefix + "token_type")).Create();
    }
}
