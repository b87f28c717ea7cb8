namespace Glm.Tokenizers;

/// <summary>GPT-2's <c>merges.txt</c>: after a line with the version, two tokens a line, best first (ChatGLM spec 7.4).</summary>
internal static class MergesFile
{
    public const string Name = "merges.txt";

    /// <summary>The merges of a file, each with the place where it stands.</summary>
    /// <exception cref="GlmException">The file cannot be read, or a line is not two tokens.</exception>
    public static IEnumerable<(string Left, string Right, string Where)> Read(string path)
    {
        int number = 0;
        foreach (string line in VocabularyFile.Lines(VocabularyFile.Read(path), path))
        {
            number++;
            if (number == 1 && line.StartsWith("#version", StringComparison.Ordinal)) continue;
            if (line.Length > 0) yield return Parse(line, $"{path}: line {number}");
        }
    }

    /// <summary>The two tokens of a merge.</summary>
    /// <exception cref="GlmException">They are not two.</exception>
    public static (string Left, string Right, string Where) Parse(string merge, string where) =>
        merge.Split(' ') is [{ Length: > 0 } left, { Length: > 0 } right] ? (left, right, where) : throw new GlmException($"{where}: expected two tokens, found \"{merge}\"");
}
