using System.Diagnostics;

namespace Glm.Cli;

/// <summary>
/// One line on standard error that says how far a command is: rewritten in place on a terminal, otherwise a new line now and then.
/// </summary>
internal sealed class ProgressLine(Terminal terminal, bool quiet) : IDisposable
{
    private readonly bool _inPlace = terminal.Log.Profile.Capabilities.Ansi;
    private long _shown;
    private bool _open;

    /// <summary>Shows a state of things, unless one was shown a moment ago.</summary>
    public void Show(string text)
    {
        if (quiet || (_shown != 0 && Stopwatch.GetElapsedTime(_shown) < TimeSpan.FromSeconds(_inPlace ? 0.1 : 10))) return;
        _shown = Stopwatch.GetTimestamp();
        Write(text);
    }

    /// <summary>Takes the line away, so that the result stands alone.</summary>
    public void Dispose()
    {
        if (_open) terminal.Error.Write("\r\e[2K");
        _open = false;
    }

    private void Write(string text)
    {
        int width = terminal.Log.Profile.Width - 1;
        if (_inPlace) terminal.Error.Write($"\r\e[2K{(text.Length > width ? text[..width] : text)}");
        else terminal.Error.WriteLine(text);
        _open = _inPlace;
    }
}

/// <summary>Progress that is handled where it is reported, in order.</summary>
internal sealed class DirectProgress<T>(Action<T> report) : IProgress<T>
{
    public void Report(T value) => report(value);
}
