using System.Security.Cryptography;
using System.Text;

namespace Glm.Models;

/// <summary>
/// The folder <c>TARGET.part</c> in which a directory is put together. Files appear in it when they are whole; an interrupted conversion leaves them there and goes on
/// if it is the same one. What another conversion left is thrown away.
/// </summary>
internal sealed class ConversionStage : IDisposable
{
    private const string StateFile = ".conversion";

    private readonly string _target, _folder;
    private readonly FileStream _state;
    private bool _placed;

    /// <summary>Opens the folder; no other conversion can have it until it is disposed.</summary>
    /// <param name="target">The directory that is made.</param>
    /// <param name="identity">Lines that tell this conversion from others.</param>
    /// <exception cref="GlmException">The folder is in use, is no such folder, or cannot be written.</exception>
    public ConversionStage(string target, IEnumerable<string> identity)
    {
        _target = Path.TrimEndingDirectorySeparator(target);
        _folder = _target + ".part";
        string key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', identity))));
        string state = Path.Combine(_folder, StateFile);
        if (Directory.Exists(_folder) && !File.Exists(state) && Directory.EnumerateFileSystemEntries(_folder).Any())
            throw new GlmException($"{_folder}: expected nothing or what an interrupted conversion left, found other files");
        try
        {
            Directory.CreateDirectory(_folder);
            _state = new FileStream(state, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            byte[] found = new byte[key.Length];
            if (_state.ReadAtLeast(found, found.Length, throwOnEndOfStream: false) == found.Length && Encoding.UTF8.GetString(found) == key)
            {
                // A process that was killed could not take its unfinished file away.
                foreach (string unfinished in Directory.GetFiles(_folder, ".*.tmp", SearchOption.AllDirectories)) File.Delete(unfinished);
                return;
            }
            Clear();
            _state.SetLength(0);
            _state.Write(Encoding.UTF8.GetBytes(key));
            _state.Flush(flushToDisk: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _state?.Dispose();
            throw new GlmException($"{_folder}: cannot be written: {error.Message}", error);
        }
    }

    /// <summary>The place of a file.</summary>
    public string this[string name] => Path.Combine(_folder, name);

    /// <summary>Whether a file is there, and so whole.</summary>
    public bool Has(string name) => File.Exists(this[name]);

    /// <summary>Lets the folder take its name.</summary>
    /// <exception cref="GlmException">It cannot be moved.</exception>
    public void Place()
    {
        _state.Dispose();
        File.Delete(this[StateFile]);
        AtomicDirectory.Place(_folder, _target);
        _placed = true;
    }

    /// <summary>Ends the work on the folder; one without a whole file in it goes.</summary>
    public void Dispose()
    {
        if (_placed) return;
        _state.Dispose();
        if (!Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories).Any(file => Path.GetFileName(file) != StateFile)) Directory.Delete(_folder, recursive: true);
    }

    private void Clear()
    {
        foreach (string file in Directory.GetFiles(_folder).Where(file => Path.GetFileName(file) != StateFile)) File.Delete(file);
        foreach (string folder in Directory.GetDirectories(_folder)) Directory.Delete(folder, recursive: true);
    }
}
