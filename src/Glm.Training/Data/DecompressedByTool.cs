using System.ComponentModel;
using System.Diagnostics;

namespace Glm.Training;

/// <summary>The output of <c>TOOL -dc FILE</c>. The read that finds its end also checks that the program succeeded.</summary>
internal sealed class DecompressedByTool : ReadOnlyStream
{
    private readonly string _path;
    private readonly Process _process;
    private readonly Task<string> _messages;

    /// <summary>Starts the program.</summary>
    /// <exception cref="GlmException">It is missing.</exception>
    public DecompressedByTool(string path, string tool)
    {
        _path = path;
        var start = new ProcessStartInfo(tool) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (string argument in (string[])["-dc", "--", path]) start.ArgumentList.Add(argument);
        try
        {
            _process = Process.Start(start)!;
        }
        catch (Win32Exception error)
        {
            throw new GlmException($"{path}: needs the program '{tool}' to be decompressed, which cannot be started: {error.Message}", error);
        }
        _process.StandardInput.Close();
        _messages = _process.StandardError.ReadToEndAsync();
    }

    public override int Read(Span<byte> buffer)
    {
        int read = _process.StandardOutput.BaseStream.Read(buffer);
        if (read > 0 || buffer.IsEmpty) return read;
        _process.WaitForExit();
        if (_process.ExitCode == 0) return 0;
        string message = _messages.Result.Split('\n')[0].Trim();
        throw new GlmException($"{_path}: cannot be decompressed: {_process.StartInfo.FileName} ended with {_process.ExitCode}: {message}");
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            if (!_process.HasExited) _process.Kill();
            _process.Dispose();
        }
        base.Dispose(disposing);
    }
}
