namespace Glm;

/// <summary>
/// Writes directories so that a directory under its name is whole: everything goes to a temporary sibling, which takes the final name in one rename.
/// </summary>
public static class AtomicDirectory
{
    /// <summary>
    /// Fills a new directory through <paramref name="write"/>, which is given the temporary path, and lets it take the place of <paramref name="path"/>.
    /// If that throws, the temporary directory is removed and what stood at <paramref name="path"/> before is untouched.
    /// </summary>
    /// <exception cref="GlmException">The directory cannot be written; the message names it and the reason.</exception>
    public static void Write(string path, Action<string> write)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        string hidden = Path.Combine(Path.GetDirectoryName(full) ?? full, $".{Path.GetFileName(full)}.{Environment.ProcessId}");
        string temporary = hidden + ".tmp", old = hidden + ".old";
        try
        {
            if (File.Exists(full)) throw new GlmException($"{path}: expected a directory or nothing, found a file");
            TryDelete(temporary);
            Directory.CreateDirectory(temporary);
            write(temporary);
            if (Directory.Exists(full)) Directory.Move(full, old);
            Directory.Move(temporary, full);
        }
        catch (Exception error)
        {
            TryDelete(temporary);
            if (Directory.Exists(old) && !Directory.Exists(full)) Directory.Move(old, full);
            if (error is IOException or UnauthorizedAccessException)
                throw new GlmException($"{path}: cannot be written: {error.Message}", error);
            throw;
        }
        TryDelete(old);
    }

    private static void TryDelete(string path)
    {
        try
        {
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
        }
        catch (IOException) { }
        catch (UnauthorizedAccessException) { }
    }
}
