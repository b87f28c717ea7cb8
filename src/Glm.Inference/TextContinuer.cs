using Glm.Models;
using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>
/// Continues texts with a causal model, which cannot see what follows a blank. The model reads what the original's tokenizer hands it
/// (<see cref="Tokenizer.EncodeInput"/>): <c>[gMASK] sop</c> and the text in ChatGLM2, ChatGLM3 and GLM-4, <c>&lt;/s&gt;</c> and the text in OPT, the text alone in BLOOM.
/// </summary>
/// <param name="session">Where to compute.</param>
/// <param name="tokenizer">The vocabulary.</param>
public sealed class TextContinuer(Session session, Tokenizer tokenizer)
{
    /// <summary>Continues a text; the continuation is the one blank of the result.</summary>
    /// <param name="text">The text. Names of special tokens in it are ordinary text.</param>
    /// <param name="options">How.</param>
    /// <param name="onPiece">Sees the continuation as it is generated; of beam search, all of it at last.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">The text is empty, too long, or has a blank in it; an option is impossible.</exception>
    public FilledText Continue(string text, FillOptions options, Action<BlankPiece>? onPiece = null, CancellationToken cancellation = default)
    {
        if (string.IsNullOrWhiteSpace(text)) throw new GlmException("text: expected some text, found none");
        if (BlankFiller.MaskName().Match(text) is { Success: true } mask)
            throw new GlmException($"text: expected no blank, since the model is causal and cannot see what follows one, found {mask.Value}");
        int[] written = tokenizer.Encode(text);
        var context = new DecodingContext([.. tokenizer.Special.Before, .. written, .. tokenizer.Special.After], new BlankPlace(0, 0, RunsOn: true));
        if (context.Ids.Length == 0) throw new GlmException("text: expected some text, found none that the vocabulary knows");
        var decoder = new BlankDecoder(session, tokenizer, tokenizer.Special.End, options, written);
        int room = decoder.RoomAfter(context);
        var fill = new BlankFill(context, context.Ids.Length, room, decoder.Run(context, room, 0, onPiece, cancellation));
        string read = tokenizer.Decode(written);
        FilledBeam[] beams = [.. fill.Decoding.Candidates.Select(candidate =>
        {
            var blank = decoder.TextOf(candidate.Ids[context.Ids.Length..]);
            return new FilledBeam([.. written, .. blank.Ids], [blank.Ids], read + blank.Text, [blank.Text!], candidate.Score);
        })];
        if (options.Strategy == StrategyKind.Beam) onPiece?.Invoke(new BlankPiece(0, beams[0].BlankTexts![0]));
        return new FilledText(beams, [fill]);
    }
}
