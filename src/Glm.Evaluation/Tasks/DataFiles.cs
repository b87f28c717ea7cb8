using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Glm.Evaluation;

/// <summary>Finds data files by patterns as the original does: <c>**/</c> is any number of folders, <c>*</c> any part of a name; endings of compression do not count.</summary>
internal static class DataFiles
{
    /// <summary>Paths below a folder that match one of some patterns, in order; the same file once.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="patterns">The patterns.</param>
    /// <returns>Paths relative to the folder.</returns>
    public static IReadOnlyList<string> Find(string folder, IReadOnlyList<string> patterns)
    {
        if (!Directory.Exists(folder)) return [];
        string[] files = [.. Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true, MaxRecursionDepth = 8 })
            .Select(file => Path.GetRelativePath(folder, file).Replace('\\', '/')).Order(StringComparer.Ordinal)];
        return [.. patterns.SelectMany(pattern => files.Where(file => Matches(DataReader.PlainName(file), pattern))).Distinct()];
    }

    /// <summary>Hash of the bytes of some files, in their order.</summary>
    public static string Hash(IEnumerable<string> files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in files)
            try
            {
                using var stream = File.OpenRead(file);
                hash.AppendData(SHA256.HashData(stream));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new GlmException($"{file}: cannot be read: {error.Message}", error);
            }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }

    private static bool Matches(string path, string pattern)
    {
        var regex = new StringBuilder("^");
        for (int i = 0; i < pattern.Length; i++)
        {
            if (pattern.AsSpan(i).StartsWith("**/"))
            {
                regex.Append("(.*/)?");
                i += 2;
            }
            else regex.Append(pattern[i] switch { '*' => "[^/]*", '?' => "[^/]", var c => Regex.Escape(c.ToString()) });
        }
        return Regex.IsMatch(path, regex.Append('$').ToString(), RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
    }
}
