using Glm.Inference;

namespace Glm.Cli;

/// <summary>Prints a text on a terminal while its blanks are filled, the fills in colour.</summary>
internal sealed class BlankPrinter
{
    private const string Fill = "\e[1;36m", Plain = "\e[0m";

    private readonly Terminal _terminal;
    private readonly IReadOnlyList<string> _segments;
    private int _printed;

    public BlankPrinter(Terminal terminal, IReadOnlyList<string> segments)
    {
        _terminal = terminal;
        _segments = segments;
    }

    /// <summary>Prints a piece of a blank, and before it the text that leads there.</summary>
    public void Add(BlankPiece piece)
    {
        while (_printed <= piece.Blank && _printed < _segments.Count) _terminal.Out.Write(_segments[_printed++]);
        _terminal.Out.Write(Fill + Terminal.Printable(piece.Text) + Plain);
    }

    /// <summary>Prints the text after the last blank.</summary>
    public void Finish()
    {
        while (_printed < _segments.Count) _terminal.Out.Write(_segments[_printed++]);
        _terminal.Out.WriteLine();
    }
}
