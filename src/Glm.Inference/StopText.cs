using System.Text;

namespace Glm.Inference;

/// <summary>A text that arrives in pieces and ends before the first of some strings. What may be the beginning of one waits until that is decided.</summary>
/// <param name="stop">The strings, none of them empty.</param>
public sealed class StopText(IReadOnlyList<string> stop)
{
    private readonly StringBuilder _text = new();
    private string _pending = "";

    /// <summary>Whether one of the strings was found.</summary>
    public bool Stopped { get; private set; }

    /// <summary>The text that is certain.</summary>
    public string Text => _text.ToString();

    /// <summary>Adds a piece; returns the text that is now certain.</summary>
    public string Add(string piece) => Emit(piece, final: false);

    /// <summary>Ends the text; returns what was waiting.</summary>
    public string Finish(string piece = "") => Emit(piece, final: true);

    private string Emit(string piece, bool final)
    {
        if (Stopped) return "";
        _pending += piece;
        int end = _pending.Length;
        foreach (string s in stop)
            if (_pending.IndexOf(s, StringComparison.Ordinal) is >= 0 and int at && at < end) (end, Stopped) = (at, true);
        if (!Stopped && !final) end = stop.Count == 0 ? end : Enumerable.Range(0, _pending.Length + 1).First(start => MayBegin(_pending.AsSpan(start)));
        string certain = _pending[..end];
        _pending = _pending[end..];
        _text.Append(certain);
        return certain;
    }

    private bool MayBegin(ReadOnlySpan<char> text)
    {
        foreach (string s in stop)
            if (s.AsSpan().StartsWith(text, StringComparison.Ordinal)) return true;
        return false;
    }
}
