namespace Glm;

/// <summary>
/// Writes files so that a reader sees the old content or the whole new content, never a part: the bytes go to a temporary
/// file in the same folder, are flushed to the disk, and take the final name in one rename.
/// </summary>
public static class AtomicFile
{
    /// <summary>
    /// Writes <paramref name="path"/> through <paramref name="write"/>. If that throws, or the disk is full, the temporary file
    /// is removed and what stood at <paramref name="path"/> before is untouched.
    /// </summary>
    /// <exception cref="GlmException">The file cannot be written; the message names it and the reason.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        string temporary = Path.Combine(folder, $".{Path.GetFileName(path)}.{Environment.ProcessId}.tmp");
        try
        {
            Directory.CreateDirectory(folder);
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error)
        {
            TryDelete(temporary);
            if (error is IOException or UnauthorizedAccessException)
                throw new GlmException($"{path}: cannot be written: {error.Message}", error);
            throw;
        }
    }

    private static void TryDelete(string path)
    {
        try { File.Delete(path); }
        catch (IOException) { }
        catch (UnauthorizedAccessException) { }
    }
}
