using System.Text;
using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>
/// The text of one blank as its tokens arrive: whole characters only, and nothing of a stop string or of what comes after it. Text that may
/// be the beginning of a stop string waits until that is decided.
/// </summary>
/// <param name="tokenizer">The vocabulary.</param>
/// <param name="stop">The text ends before the first of these strings.</param>
/// <param name="before">Ids that stand before the first token in the same text: vocabularies drop the space of a first word.</param>
internal sealed class BlankText(Tokenizer tokenizer, IReadOnlyList<string> stop, IReadOnlyList<int> before)
{
    private readonly StreamingDecoder _decoder = After(tokenizer, before);
    private readonly StringBuilder _text = new();
    private readonly List<int> _ids = [];
    private string _pending = "";

    /// <summary>Whether a stop string was found.</summary>
    public bool Stopped { get; private set; }

    /// <summary>The text so far.</summary>
    public string Text => _text.ToString();

    /// <summary>Adds a token; returns the text that is now certain.</summary>
    public string Add(int id)
    {
        if (Stopped) return "";
        _ids.Add(id);
        return Emit(id < tokenizer.VocabularySize ? _decoder.Append(id) : "", final: false);
    }

    /// <summary>Ends the blank; returns what was waiting.</summary>
    public string Finish() => Stopped ? "" : Emit(_decoder.Finish(), final: true);

    /// <summary>The tokens of <see cref="Text"/>: those generated, the last encoded anew where the stop string begins inside it.</summary>
    public int[] Ids()
    {
        if (!Stopped) return [.. _ids];
        int start = Decode(tokenizer, before).Length;
        for (int count = _ids.Count; ; count--)
        {
            string whole = Decode(tokenizer, [.. before, .. _ids[..count]])[start..];
            if (Text.StartsWith(whole, StringComparison.Ordinal)) return [.. _ids[..count], .. tokenizer.Encode(Text[whole.Length..])];
        }
    }

    /// <summary>The text of tokens of a model. Rows of the embedding above the vocabulary are padding; they have no text.</summary>
    public static string Decode(Tokenizer tokenizer, IEnumerable<int> ids) => tokenizer.Decode([.. ids.Where(id => id < tokenizer.VocabularySize)]);

    private static StreamingDecoder After(Tokenizer tokenizer, IReadOnlyList<int> before)
    {
        var decoder = new StreamingDecoder(tokenizer);
        foreach (int id in before) decoder.Append(id);
        return decoder;
    }

    private string Emit(string piece, bool final)
    {
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
