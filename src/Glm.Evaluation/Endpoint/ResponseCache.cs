using System.Security.Cryptography;
using System.Text;

namespace Glm.Evaluation;

/// <summary>Responses on disk, found by the hash of what was asked, so that nothing is asked and paid for twice. The key is no part of either.</summary>
/// <param name="folder">Where they lie.</param>
internal sealed class ResponseCache(string folder)
{
    /// <summary>The user's cache directory for them.</summary>
    public static string Standard
    {
        get
        {
            string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            if (string.IsNullOrEmpty(cache)) cache = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
            return Path.Combine(cache, "glm", "responses");
        }
    }

    /// <summary>Name of a request.</summary>
    public static string Name(Uri address, byte[] body)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(address.AbsoluteUri + "\n"));
        hash.AppendData(body);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The response to a request, or null. What cannot be read counts as not there.</summary>
    public byte[]? Find(string name)
    {
        try
        {
            return File.ReadAllBytes(PathOf(name));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Keeps a response.</summary>
    /// <exception cref="GlmException">It cannot be written.</exception>
    public void Keep(string name, byte[] response) => AtomicFile.Write(PathOf(name), stream => stream.Write(response));

    private string PathOf(string name) => Path.Combine(folder, name[..2], name + ".json");
}
