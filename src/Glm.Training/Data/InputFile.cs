namespace Glm.Training;

/// <summary>A text file of training data, plain or compressed; its name tells how it is read.</summary>
public static class InputFile
{
    private static readonly string[] Formats = [".txt", ".jsonl"];
    private static readonly string[] Compressions = ["", ".gz", ".xz", ".zst"];

    /// <summary>Whether the name ends in a format that can be read, plain or compressed.</summary>
    public static bool IsKnown(string path) => Formats.Any(format => HasFormat(path, format));

    /// <summary>Whether the file holds one JSON document on each line (otherwise it is one document).</summary>
    public static bool IsJsonLines(string path) => HasFormat(path, ".jsonl");

    /// <summary>Files as they are, folders as the readable files below them in the order of their names.</summary>
    /// <exception cref="GlmException">A path does not exist, or names no format that can be read, or there is nothing to read.</exception>
    public static List<string> Expand(IReadOnlyList<string> inputs)
    {
        var files = new List<string>();
        foreach (string input in inputs)
        {
            if (Directory.Exists(input))
                files.AddRange(Directory.EnumerateFiles(input, "*", SearchOption.AllDirectories).Where(IsKnown).Order(StringComparer.Ordinal));
            else if (!File.Exists(input))
                throw new GlmException($"{input}: no such file or folder");
            else if (IsKnown(input))
                files.Add(input);
            else
                throw new GlmException($"{input}: expected a name that ends in .txt or .jsonl, plain or with .gz, .xz or .zst");
        }
        if (files.Count > 0) return files;
        throw new GlmException($"{(inputs.Count == 0 ? "no inputs given" : inputs[0])}: no .txt or .jsonl files (plain or .gz, .xz, .zst) to read");
    }

    private static bool HasFormat(string path, string format) =>
        Compressions.Any(compression => path.EndsWith(format + compression, StringComparison.OrdinalIgnoreCase));

    /// <summary>The decompressed bytes. Damage that shows at the end of the file is an error of the last read.</summary>
    /// <exception cref="GlmException">The file cannot be opened, or the program that decompresses it is missing.</exception>
    public static Stream Open(string path)
    {
        string extension = Path.GetExtension(path).ToLowerInvariant();
        if (extension == ".xz") return new DecompressedByTool(path, "xz");
        if (extension == ".zst") return new DecompressedByTool(path, "zstd");
        try
        {
            var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);
            return extension == ".gz" ? new CheckedGzipStream(file) : file;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }
}
