using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Glm.Training;

/// <summary>One file of token ids.</summary>
/// <param name="File">Its name in the folder.</param>
/// <param name="Tokens">Ids that it holds.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">Hash of the whole file, lower-case hexadecimal.</param>
public sealed record ShardEntry(string File, long Tokens, long Bytes, string Sha256);

/// <summary>Documents that were left out for one reason.</summary>
/// <param name="Documents">How many.</param>
/// <param name="Utf8Bytes">Length of their texts in UTF-8.</param>
public sealed record LeftOut(long Documents, long Utf8Bytes);

/// <summary>What one input file gave.</summary>
/// <param name="File">The path as it was given.</param>
/// <param name="Documents">Documents taken from it.</param>
/// <param name="Tokens">Their ids, one end-of-document id each included.</param>
/// <param name="Utf8Bytes">Length of their texts in UTF-8.</param>
/// <param name="Malformed">Lines (of a text file: pieces) that gave no document.</param>
/// <param name="FirstMalformedLine">The first of them, from 1; null where there is none.</param>
/// <param name="FirstMalformedReason">What is wrong with it.</param>
/// <param name="Duplicates">Copies and near copies of documents before them; null where there is none.</param>
/// <param name="HeldOut">Documents that share text with those held out; null where there is none.</param>
public sealed record SourceEntry(string File, long Documents, long Tokens, long Utf8Bytes, long Malformed, long? FirstMalformedLine, string? FirstMalformedReason,
    LeftOut? Duplicates = null, LeftOut? HeldOut = null);

/// <summary>The table of contents of a folder of prepared training data (<c>manifest.json</c>); it is written last.</summary>
/// <param name="Format">Always <see cref="FormatName"/>.</param>
/// <param name="Version">Version of the format.</param>
/// <param name="Dtype"><c>uint16</c> or <c>int32</c>.</param>
/// <param name="VocabularySize">All ids are below it.</param>
/// <param name="TokenizerSha256">Hash of the tokenizer's file.</param>
/// <param name="EodId">Id that ends every document.</param>
/// <param name="Documents">Documents in all.</param>
/// <param name="Tokens">Ids in all.</param>
/// <param name="Utf8Bytes">Length of all texts in UTF-8.</param>
/// <param name="Shards">The files, in order.</param>
/// <param name="Sources">The inputs, in order.</param>
public sealed record ShardManifest(string Format, int Version, string Dtype, int VocabularySize, string TokenizerSha256, int EodId,
    long Documents, long Tokens, long Utf8Bytes, IReadOnlyList<ShardEntry> Shards, IReadOnlyList<SourceEntry> Sources)
{
    /// <summary>Tells this format from others.</summary>
    public const string FormatName = "glm-token-shards";

    /// <summary>The version that is written and read.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Name of the file in the folder.</summary>
    public const string FileName = "manifest.json";

    private const long LargestFile = 64 << 20;

    /// <summary>Hash of a tokenizer's file, lower-case hexadecimal: what ties shards to the vocabulary of their ids.</summary>
    /// <exception cref="GlmException">The file cannot be read.</exception>
    public static string HashOfTokenizer(string path)
    {
        try
        {
            return Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Writes the manifest of a folder.</summary>
    /// <exception cref="GlmException">It cannot be written.</exception>
    public void Save(string folder) =>
        AtomicFile.Write(Path.Combine(folder, FileName), stream => JsonSerializer.Serialize(stream, this, ManifestJson.Default.ShardManifest));

    /// <summary>Reads and checks the manifest of a folder.</summary>
    /// <exception cref="GlmException">There is none, it is damaged, of another version, or contradicts itself.</exception>
    public static ShardManifest Load(string folder)
    {
        string path = Path.Combine(folder, FileName);
        try
        {
            using FileStream stream = File.OpenRead(path);
            if (stream.Length > LargestFile) throw new GlmException($"{path}: expected at most {LargestFile} bytes, found {stream.Length}");
            ShardManifest? manifest = JsonSerializer.Deserialize(stream, ManifestJson.Default.ShardManifest);
            if (manifest is null) throw new GlmException($"{path}: expected a JSON object, found null");
            manifest.Check(path);
            return manifest;
        }
        catch (JsonException error)
        {
            throw new GlmException($"{path}: damaged manifest: {error.Message}", error);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new GlmException($"{path}: not found: the folder holds no prepared training data, or its preparation was interrupted", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Bytes of an id.</summary>
    internal int IdBytes => Dtype == "uint16" ? sizeof(ushort) : sizeof(int);

    /// <summary>The smaller type that holds every id.</summary>
    internal static string DtypeOf(int vocabularySize) => vocabularySize <= ushort.MaxValue + 1 ? "uint16" : "int32";

    private void Check(string path)
    {
        void Require(bool holds, string field, object expected, object? found)
        {
            if (!holds) throw new GlmException($"{path}: {field}: expected {expected}, found {found ?? "nothing"}");
        }
        Require(Format == FormatName, "format", FormatName, Format);
        Require(Version == CurrentVersion, "version", CurrentVersion, Version);
        Require(VocabularySize > 0, "vocabulary_size", "a positive number", VocabularySize);
        Require(Dtype == DtypeOf(VocabularySize), "dtype", DtypeOf(VocabularySize), Dtype);
        Require(EodId >= 0 && EodId < VocabularySize, "eod_id", $"an id below {VocabularySize}", EodId);
        Require(!Shards.Contains(null!) && !Sources.Contains(null!), "shards and sources", "objects", null);
        decimal tokens = 0;
        foreach (ShardEntry shard in Shards)
        {
            Require(shard.File.Length > 0 && Path.GetFileName(shard.File) == shard.File && shard.File != "..", "shards.file", "a file name", shard.File);
            Require(shard.Tokens is > 0 and < long.MaxValue / 8, "shards.tokens", "a positive number", shard.Tokens);
            Require(shard.Bytes == ShardFile.HeaderBytes + shard.Tokens * IdBytes, "shards.bytes", ShardFile.HeaderBytes + shard.Tokens * IdBytes, shard.Bytes);
            tokens += shard.Tokens;
        }
        Require(Tokens == tokens, "tokens", $"{tokens}, the sum of the shards", Tokens);
        Require(Shards.DistinctBy(shard => shard.File).Count() == Shards.Count, "shards.file", "distinct names", "one twice");
    }
}

/// <summary>JSON of the manifest, with snake_case names.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true,
    RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(ShardManifest))]
internal sealed partial class ManifestJson : JsonSerializerContext;
