using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>
/// The text of one blank as its tokens arrive: whole characters only, and nothing of a stop string or of what comes after it.
/// </summary>
/// <param name="tokenizer">The vocabulary.</param>
/// <param name="stop">The text ends before the first of these strings.</param>
/// <param name="before">Ids that stand before the first token in the same text: vocabularies drop the space of a first word.</param>
public sealed class BlankText(Tokenizer tokenizer, IReadOnlyList<string> stop, IReadOnlyList<int> before)
{
    private readonly StreamingDecoder _decoder = After(tokenizer, before);
    private readonly StopText _text = new(stop);
    private readonly List<int> _ids = [];

    /// <summary>Whether a stop string was found.</summary>
    public bool Stopped => _text.Stopped;

    /// <summary>The text so far.</summary>
    public string Text => _text.Text;

    /// <summary>Adds a token; returns the text that is now certain.</summary>
    public string Add(int id)
    {
        if (Stopped) return "";
        _ids.Add(id);
        return _text.Add(id < tokenizer.VocabularySize ? _decoder.Append(id) : "");
    }

    /// <summary>Ends the blank; returns what was waiting.</summary>
    public string Finish() => Stopped ? "" : _text.Finish(_decoder.Finish());

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
}
