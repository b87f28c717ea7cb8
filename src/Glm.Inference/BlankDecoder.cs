using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>What is generated at one place.</summary>
/// <param name="Ids">Token ids without an end token, and without a stop string and what comes after it.</param>
/// <param name="Text">Their text; null without a tokenizer.</param>
internal sealed record Blank(int[] Ids, string? Text);

/// <summary>Generates what fills a blank, or continues a text: how much fits, the text as it arrives, where it ends.</summary>
/// <param name="session">Where to compute.</param>
/// <param name="tokenizer">The vocabulary; null for ids alone.</param>
/// <param name="ends">Ids after which there is nothing more to say.</param>
/// <param name="options">How tokens are chosen.</param>
/// <param name="before">Ids that the generated ones follow in the same piece of text, whose spaces depend on them.</param>
internal sealed class BlankDecoder(Session session, Tokenizer? tokenizer, IReadOnlyList<int> ends, FillOptions options, IReadOnlyList<int> before)
{
    private readonly DecodingStrategy _strategy = options.Validated().CreateStrategy(ends);

    /// <summary>Room for new tokens after a context, at least 1.</summary>
    /// <exception cref="GlmException">There is none.</exception>
    public int RoomAfter(DecodingContext context)
    {
        int longest = session.Model.MaxSequenceLength;
        int room = Math.Min(options.MaxNewTokens, Math.Min(options.OutSeqLength ?? longest, longest) - context.Ids.Length);
        if (room < 1) throw new GlmException($"text: expected fewer than {context.Ids.Length + room} tokens, to leave room for new ones, found {context.Ids.Length}");
        return room;
    }

    /// <summary>Continues a context; pieces of text are reported under the number of the blank, unless there are several beams.</summary>
    public DecodingResult Run(DecodingContext context, int room, int number, Action<BlankPiece>? onPiece, CancellationToken cancellation)
    {
        if (tokenizer is null || options.Strategy == StrategyKind.Beam) return Decoding.Run(session, _strategy, context, room, null, cancellation);
        var text = new BlankText(tokenizer, options.Stop, before);
        var result = Decoding.Run(session, _strategy, context, room, token =>
        {
            if (!ends.Contains(token)) Report(text.Add(token));
            return !text.Stopped;
        }, cancellation);
        Report(text.Finish());
        return result;

        void Report(string piece)
        {
            if (piece.Length > 0) onPiece?.Invoke(new BlankPiece(number, piece));
        }
    }

    /// <summary>What generated ids, of which the last may be an end token, say.</summary>
    public Blank TextOf(int[] generated)
    {
        int[] ids = generated.Length > 0 && ends.Contains(generated[^1]) ? generated[..^1] : generated;
        if (tokenizer is null) return new Blank(ids, null);
        var text = new BlankText(tokenizer, options.Stop, before);
        foreach (int id in ids) text.Add(id);
        text.Finish();
        return new Blank(text.Ids(), text.Text);
    }
}
