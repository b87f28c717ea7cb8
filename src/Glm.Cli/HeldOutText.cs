namespace Glm.Cli;

/// <summary>Held-out text: a file, or those of a folder of training data.</summary>
internal static class HeldOutText
{
    /// <summary>Names of such files in a folder.</summary>
    public const string Pattern = "valid*.jsonl";

    /// <summary>The file itself, or the folder in which such files lie: the one that is named, or its <c>pretrain/</c>.</summary>
    public static string Location(string data)
    {
        string inside = Path.Combine(data, "pretrain");
        bool isInside = Directory.Exists(inside) && !Directory.EnumerateFiles(data, Pattern + "*").Any();
        return isInside ? inside : data;
    }

    /// <summary>The files, by name.</summary>
    /// <exception cref="GlmException">There is none.</exception>
    public static IReadOnlyList<string> Files(string data)
    {
        if (File.Exists(data)) return [data];
        if (!Directory.Exists(data)) throw new GlmException($"{data}: no such file or folder");
        string[] files = [.. Directory.EnumerateFiles(Location(data), Pattern + "*").Order(StringComparer.Ordinal)];
        return files.Length > 0 ? files : throw new GlmException($"{data}: expected text files under a name like {Pattern} (plain, .gz, .xz or .zst), found none");
    }
}
