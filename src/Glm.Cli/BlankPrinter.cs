using Glm.Inference;

namespace Glm.Cli;

/// <summary>Prints a text on a terminal while its blanks are filled, the fills in colour.</summary>
internal sealed class BlankPrinter
{
    private const string Fill = "\e[1;36m", Plain = "\e[0m";

    private readonly Terminal _terminal;
    private readonly string[] _segments;
    private int _printed;

    public BlankPrinter(Terminal terminal, string prompt)
    {
        _terminal = terminal;
        // The kind of blank that is filled (spec 5.2, step 1).
        string? mask = new[] { "[MASK]", "[sMASK]", "[gMASK]" }.FirstOrDefault(prompt.Contains);
        _segments = mask is null ? [prompt, ""] : prompt.Split(mask);
    }

    /// <summary>Prints a piece of a blank, and before it the text that leads there.</summary>
    public void Add(BlankPiece piece)
    {
        while (_printed <= piece.Blank && _printed < _segments.Length) _terminal.Out.Write(_segments[_printed++]);
        _terminal.Out.Write(Fill + Printable(piece.Text) + Plain);
    }

    /// <summary>Prints the text after the last blank.</summary>
    public void Finish()
    {
        while (_printed < _segments.Length) _terminal.Out.Write(_segments[_printed++]);
        _terminal.Out.WriteLine();
    }

    /// <summary>What a model writes must not steer the terminal.</summary>
    private static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) && c is not ('\n' or '\t') ? '\uFFFD' : c));
}
