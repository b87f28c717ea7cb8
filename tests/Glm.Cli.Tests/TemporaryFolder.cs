namespace Glm.Cli.Tests;

/// <summary>A folder that goes with the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly string _path = Directory.CreateTempSubdirectory("glm-cli-").FullName;

    /// <summary>A path in the folder.</summary>
    public string this[string name] => Path.Combine(_path, name);

    /// <summary>Writes a file and gives its path.</summary>
    public string Write(string name, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(this[name])!);
        File.WriteAllText(this[name], content);
        return this[name];
    }

    public void Dispose() => Directory.Delete(_path, recursive: true);
}
