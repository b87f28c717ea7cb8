using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Glm.Hub;

/// <summary>The list of a repository's files, page by page.</summary>
internal static partial class HubListing
{
    private const int MostPages = 1000, MostFiles = 100_000, LargestPage = 16 << 20;
    private const long LargestFile = 1L << 46;

    /// <exception cref="GlmException">There is no such repository, or the list is not one of files with sizes and hashes.</exception>
    public static async Task<List<HubFile>> ReadAsync(HubConnection hub, Retries retries, HubRepository repository, Uri endpoint, CancellationToken cancellation)
    {
        string what = $"{repository.Name}: list of files";
        var files = new List<HubFile>();
        var next = repository.Listing(endpoint);
        for (int page = 0; next is not null; page++)
        {
            if (page == MostPages) throw new GlmException($"{what}: expected at most {MostPages} pages, found more");
            (byte[] content, string type, var following) = await retries.RunAsync(token => PageAsync(hub, next, what, token), cancellation).ConfigureAwait(false);
            Parse(content, type, what, files);
            if (files.Count > MostFiles) throw new GlmException($"{what}: expected at most {MostFiles} files, found more");
            next = following;
        }
        return files;
    }

    private static async Task<(byte[] Content, string Type, Uri? Next)> PageAsync(HubConnection hub, Uri address, string what, CancellationToken cancellation)
    {
        using var response = await hub.GetAsync(address, what, range: null, cancellation).ConfigureAwait(false);
        if (response.Status != HttpStatusCode.OK) throw new GlmException($"{what}: expected HTTP 200, found {(int)response.Status}");
        var link = NextLink().Match(response.Header("Link"));
        Uri? next = !link.Success ? null
            : Uri.TryCreate(link.Groups[1].Value, UriKind.RelativeOrAbsolute, out var found) ? HubConnection.Follow(response.Address, found, what)
            : throw new GlmException($"{what}: expected the address of the next page, found {link.Groups[1].Value.Shown()}");
        return (await response.ReadAllAsync(LargestPage).ConfigureAwait(false), response.ContentType, next);
    }

    private static void Parse(byte[] content, string type, string what, List<HubFile> files)
    {
        try
        {
            using var page = JsonDocument.Parse(content);
            if (page.RootElement.ValueKind != JsonValueKind.Array) throw new GlmException($"{what}: expected a JSON array, found {page.RootElement.ValueKind}");
            foreach (var entry in page.RootElement.EnumerateArray())
                if (File(entry, what) is { } file) files.Add(file);
        }
        catch (JsonException error)
        {
            throw new GlmException($"{what}: expected JSON, found {type}: {error.Message.Shown()}", error);
        }
        catch (InvalidOperationException error)
        {
            // A text with half a surrogate pair is JSON, but no text.
            throw new GlmException($"{what}: expected Unicode, found {error.Message.Shown()}", error);
        }
    }

    /// <summary>The file of an entry, or null for a folder.</summary>
    private static HubFile? File(JsonElement entry, string what)
    {
        string path = Text(entry, "path") ?? throw new GlmException($"{what}: path: expected a text, found {Shown(entry, "path")}");
        string where = $"{what}: {path.Shown()}";
        string? type = Text(entry, "type");
        if (type == "directory") return null;
        if (type != "file") throw new GlmException($"{where}: type: expected a file or a directory, found {Shown(entry, "type")}");
        bool large = entry.TryGetProperty("lfs", out var lfs) && lfs.ValueKind == JsonValueKind.Object;
        var source = large ? lfs : entry;
        if (!source.TryGetProperty("size", out var number) || number.ValueKind != JsonValueKind.Number || !number.TryGetInt64(out long size) || size is < 0 or > LargestFile)
            throw new GlmException($"{where}: size: expected bytes, at most {LargestFile}, found {Shown(source, "size")}");
        var (algorithm, name, digits) = large ? (HashAlgorithmName.SHA256, "SHA-256", 64) : (HashAlgorithmName.SHA1, "git hash", 40);
        string? hash = Text(source, "oid")?.ToLowerInvariant();
        if (hash is null || hash.Length != digits || !hash.All(char.IsAsciiHexDigit)) throw new GlmException($"{where}: oid: expected a {name} of {digits} digits, found {Shown(source, "oid")}");
        return new HubFile(path, size, new HubHash(algorithm, hash));
    }

    private static string? Text(JsonElement entry, string name) =>
        entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string Shown(JsonElement entry, string name) =>
        entry.ValueKind != JsonValueKind.Object ? entry.ValueKind.ToString() : entry.TryGetProperty(name, out var value) ? value.GetRawText().Shown() : "nothing";

    [GeneratedRegex("""<([^<>]*)>\s*;[^,<>]*\brel\s*=\s*"?next\b""", RegexOptions.IgnoreCase)]
    private static partial Regex NextLink();
}
