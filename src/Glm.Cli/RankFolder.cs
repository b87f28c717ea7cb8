namespace Glm.Cli;

/// <summary>
/// A folder that a command reads and writes, under mpirun: the first rank has the folder itself, the others a copy that is thrown away, so that all decide alike by what
/// was in it.
/// </summary>
internal sealed class RankFolder : IDisposable
{
    private readonly string? _copy;

    /// <exception cref="GlmException">The folder cannot be copied.</exception>
    public RankFolder(Terminal terminal, string? path)
    {
        Path = path;
        if (path is null || terminal.World.Size == 1) return;
        if (!terminal.IsFirst) Path = _copy = Copied(path);
        terminal.World.Barrier();
    }

    /// <summary>Where this rank reads and writes; null for nowhere.</summary>
    public string? Path { get; }

    public void Dispose()
    {
        if (_copy is not null) Directory.Delete(_copy, recursive: true);
    }

    private static string Copied(string path)
    {
        try
        {
            string copy = Directory.CreateTempSubdirectory("glm-rank-").FullName;
            if (!Directory.Exists(path)) return copy;
            foreach (string folder in Directory.EnumerateDirectories(path, "*", SearchOption.AllDirectories)) Directory.CreateDirectory(InCopy(folder));
            foreach (string file in Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories)) File.Copy(file, InCopy(file));
            return copy;

            string InCopy(string entry) => System.IO.Path.Combine(copy, System.IO.Path.GetRelativePath(path, entry));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be copied for a rank: {error.Message}", error);
        }
    }
}
