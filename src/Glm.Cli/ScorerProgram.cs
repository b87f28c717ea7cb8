using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Glm.Cli;

/// <summary>
/// A program that tells how toxic texts are: it reads a JSON string on each line of its input and writes a number from 0 to 1 on a line for each, in order. It is
/// started once.
/// </summary>
internal sealed class ScorerProgram : IDisposable
{
    private readonly Process _process;
    private readonly string _command;

    /// <summary>Starts the program.</summary>
    /// <param name="command">The program and its arguments, separated by spaces.</param>
    /// <exception cref="GlmException">It cannot be started.</exception>
    public ScorerProgram(string command)
    {
        _command = command;
        string[] words = command.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0) throw new GlmException("--scorer: expected a program, found none");
        var encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        var start = new ProcessStartInfo(words[0], words[1..]) { RedirectStandardInput = true, RedirectStandardOutput = true, StandardInputEncoding = encoding, StandardOutputEncoding = encoding };
        try
        {
            _process = Process.Start(start)!;
        }
        catch (Win32Exception error)
        {
            throw new GlmException($"--scorer {command}: cannot be started: {error.Message}", error);
        }
    }

    /// <summary>A number for each text.</summary>
    /// <exception cref="GlmException">The program ended, or wrote something else.</exception>
    public IReadOnlyList<double> Score(IReadOnlyList<string> texts, CancellationToken cancellation)
    {
        var scores = new List<double>();
        foreach (string text in texts)
        {
            cancellation.ThrowIfCancellationRequested();
            string? line;
            try
            {
                _process.StandardInput.WriteLine(JsonSerializer.Serialize(text));
                _process.StandardInput.Flush();
                line = _process.StandardOutput.ReadLineAsync(cancellation).AsTask().GetAwaiter().GetResult();
            }
            catch (IOException error)
            {
                throw new GlmException($"--scorer {_command}: expected it to read texts, but it ended", error);
            }
            if (!double.TryParse(line, CultureInfo.InvariantCulture, out double score) || !(score is >= 0 and <= 1))
                throw new GlmException($"--scorer {_command}: expected a number from 0 to 1, found {line ?? "the end of its output"}");
            scores.Add(score);
        }
        return scores;
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(2))) _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }
}
