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
        string temporary = Hidden(path) + ".tmp";
        try
        {
            if (File.Exists(path)) throw new GlmException($"{path}: expected a directory or nothing, found a file");
            TryDelete(temporary);
            Directory.CreateDirectory(temporary);
            write(temporary);
            Place(temporary, path);
        }
        catch (Exception error)
        {
            TryDelete(temporary);
            if (error is IOException or UnauthorizedAccessException)
                throw new GlmException($"{path}: cannot be written: {error.Message}", error);
            throw;
        }
    }

    /// <summary>Lets a whole directory take the place of <paramref name="path"/>; if it cannot, what stood there before does again.</summary>
    /// <exception cref="GlmException">The directory cannot be moved.</exception>
    public static void Place(string directory, string path)
    {
        string full = Full(path), old = Hidden(path) + ".old";
        try
        {
            if (Directory.Exists(full)) Directory.Move(full, old);
            Directory.Move(directory, full);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            if (Directory.Exists(old) && !Directory.Exists(full)) Directory.Move(old, full);
            throw new GlmException($"{path}: cannot be written: {error.Message}", error);
        }
        TryDelete(old);
    }

    private static string Full(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));

    private static string Hidden(string path) => Path.Combine(Path.GetDirectoryName(Full(path)) ?? Full(path), $".{Path.GetFileName(Full(path))}.{Environment.ProcessId}");

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
