using System.Text;

namespace Glm.Hub;

/// <summary>
/// Which names of a hub may become files here: those that mean the same file, below the directory, on every system. Everything else is refused
/// rather than mended, since a hub that sends such a name has made a mistake or means harm.
/// </summary>
internal static class FileNames
{
    private const int LongestName = 1024, LongestSegment = 255;
    private const string Reserved = "\\:*?\"<>|";

    private static readonly HashSet<string> Devices = new(
        ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", .. from kind in new[] { "COM", "LPT" } from number in "0123456789¹²³" select $"{kind}{number}"],
        StringComparer.OrdinalIgnoreCase);

    /// <exception cref="GlmException">A name leads elsewhere, cannot be a file everywhere, or is that of another one.</exception>
    public static void Check(string repository, IEnumerable<HubFile> files)
    {
        var names = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var folders = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (string path in files.Select(file => file.Path))
        {
            if (Fault(path) is { } fault) throw new GlmException($"{repository}: expected names of files that are safe to write, found {path.Shown()}: {fault}");
            if (!names.TryAdd(path, path)) throw new GlmException($"{repository}: expected each file once, found {names[path].Shown()} and {path.Shown()}");
            for (int slash = path.IndexOf('/'); slash >= 0; slash = path.IndexOf('/', slash + 1)) folders[path[..slash]] = path;
        }
        if (folders.Keys.FirstOrDefault(names.ContainsKey) is { } both)
            throw new GlmException($"{repository}: expected {both.Shown()} to be a file or a folder, found both: {folders[both].Shown()}");
    }

    private static string? Fault(string path)
    {
        if (path.Length is 0 or > LongestName) return $"{path.Length} characters";
        if (path[0] == '/') return "an absolute path";
        foreach (char c in path)
            if (char.IsControl(c) || Reserved.Contains(c)) return $"the character U+{(int)c:X4}";
        foreach (string segment in path.Split('/'))
        {
            if (segment is "" or "." or "..") return "an empty or relative part";
            if (segment[^1] is '.' or ' ') return "a part that ends in a dot or blank";
            if (Devices.Contains(segment.Split('.')[0].TrimEnd())) return "the name of a device";
            if (Encoding.UTF8.GetByteCount(segment) > LongestSegment) return $"a part of more than {LongestSegment} bytes";
        }
        return null;
    }
}

/// <summary>What others sent, in messages.</summary>
internal static class ForeignText
{
    private const int Longest = 200;

    /// <summary>The text without characters that steer a terminal, shortened.</summary>
    public static string Shown(this string text)
    {
        string cut = text.Length > Longest ? text[..Longest] + "…" : text;
        return string.Concat(cut.Select(c => char.IsControl(c) || char.GetUnicodeCategory(c) == System.Globalization.UnicodeCategory.Format ? '\uFFFD' : c));
    }
}
