namespace Glm.Tokenizers;

/// <summary>
/// Decodes ids one at a time, as they are generated. Text comes out as soon as its UTF-8 is complete, so that the pieces
/// returned, put together, are what <see cref="Tokenizer.Decode(ReadOnlySpan{int})"/> gives for all ids at once. Not for use from several threads.
/// </summary>
/// <param name="tokenizer">The vocabulary of the ids.</param>
public sealed class StreamingDecoder(Tokenizer tokenizer)
{
    private readonly DecodedText _output = new();

    /// <summary>Decodes one more id; returns the text that is now certain, often one word, sometimes nothing.</summary>
    /// <exception cref="GlmException">The id is not in the vocabulary.</exception>
    public string Append(int id)
    {
        tokenizer.Decode(id, _output);
        return _output.Take();
    }

    /// <summary>Returns what is left: bytes that never became a character, as U+FFFD. The decoder then starts anew.</summary>
    public string Finish()
    {
        _output.EndBytes();
        _output.AtStart = true;
        return _output.Take();
    }
}
