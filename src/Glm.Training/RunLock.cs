namespace Glm.Training;

/// <summary>Keeps a second process out of the folder of a run while one trains in it. However a process ends, the system gives the lock back.</summary>
internal static class RunLock
{
    /// <summary>Holds the folder until what is returned is disposed of.</summary>
    /// <exception cref="GlmException">Another process holds it, or it cannot be written.</exception>
    public static IDisposable Take(string folder)
    {
        string path = Path.Combine(folder, ".lock");
        try
        {
            Directory.CreateDirectory(folder);
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{folder}: expected to be the only one who trains in this folder, found that its lock cannot be taken ({error.Message}): wait for the other run, or choose another output", error);
        }
    }
}
