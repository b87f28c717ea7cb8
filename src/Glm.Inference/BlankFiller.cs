using System.Text.RegularExpressions;
using Glm.Models;
using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>
/// Fills the blanks of a text, the original's fill_blanks (spec 5.2): every [MASK]; where there is none, every [sMASK]; where there is neither, [gMASK],
/// which is appended to a text without blanks.
/// </summary>
/// <remarks>
/// Blanks are filled from left to right, each seeing the fills before it; of several beams the best is carried on. A text that does not end in a
/// blank gets eos appended. Only one kind of blank is filled per run.
/// </remarks>
public sealed partial class BlankFiller
{
    // A model may generate the mask itself, which then is one more blank (as in the original), but not for ever.
    private const int MaximumGeneratedBlanks = 16;

    private readonly Session _session;
    private readonly BlankTokens _special;
    private readonly Tokenizer? _tokenizer;

    /// <summary>Fills blanks in texts.</summary>
    /// <exception cref="GlmException">The model is causal, so it cannot see what follows a blank.</exception>
    public BlankFiller(Session session, Tokenizer tokenizer) : this(session, tokenizer.Blanks) => _tokenizer = tokenizer;

    /// <summary>Fills blanks in token ids.</summary>
    /// <exception cref="GlmException">The model is causal, so it cannot see what follows a blank.</exception>
    public BlankFiller(Session session, BlankTokens special)
    {
        if (session.Model.IsCausal) throw new GlmException("model: expected one that sees its context in both directions to fill blanks, found a causal one");
        _session = session;
        _special = special;
    }

    /// <summary>Fills the blanks of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="options">How.</param>
    /// <param name="onPiece">Sees the text of the blanks as it is generated; of beam search, blank by blank.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">The text is empty, too long, or has a mask of an unknown name; an option is impossible.</exception>
    public FilledText Fill(string text, FillOptions options, Action<BlankPiece>? onPiece = null, CancellationToken cancellation = default)
    {
        if (_tokenizer is null) throw new InvalidOperationException("filling blanks in a text takes a tokenizer");
        return FillSequence(SequenceOf(_tokenizer, text, _session.Model.MaxSequenceLength), options, onPiece, cancellation);
    }

    /// <summary>What a model reads of a text: its ids with those of the blanks among them, and <c>[gMASK]</c> or <c>eos</c> after them.</summary>
    /// <param name="tokenizer">The vocabulary.</param>
    /// <param name="text">The text.</param>
    /// <param name="longest">Most tokens that the model reads.</param>
    /// <exception cref="GlmException">The text is empty, too long, or has a mask of an unknown name.</exception>
    public static int[] SequenceOf(Tokenizer tokenizer, string text, int longest)
    {
        if (string.IsNullOrWhiteSpace(text)) throw new GlmException("text: expected some text, found none");
        foreach (Match mask in MaskName().Matches(text))
            if (mask.Value is not ("[MASK]" or "[sMASK]" or "[gMASK]")) throw new GlmException($"text: expected [MASK], [sMASK] or [gMASK], found {mask.Value}");
        // As in the original, spaces after the last blank make it one inside the text.
        bool open = text.EndsWith("MASK]", StringComparison.Ordinal) || !MaskName().IsMatch(text);
        return Sequence(Encode(tokenizer, text), open, tokenizer.Blanks, longest);
    }

    /// <summary>What a model continues to fill the first blank of a sequence (<see cref="SequenceOf"/>), and where that stands; null where none is left.</summary>
    /// <param name="sequence">The ids.</param>
    /// <param name="mask">The kind of blank; that which is filled in this sequence if null.</param>
    /// <param name="special">The tokens of blanks.</param>
    public static DecodingContext? ContextOf(int[] sequence, int? mask, BlankTokens special)
    {
        int kind = mask ?? FilledMask(sequence, special), at = Array.IndexOf(sequence, kind);
        return at < 0 ? null : new DecodingContext([.. sequence, special.Sop], new BlankPlace(sequence.Length, at, RunsOn: kind == special.GMask));
    }

    /// <summary>The parts of a text around the blanks that would be filled: one more than there are blanks, the last one empty where the text is continued.</summary>
    public static IReadOnlyList<string> Around(Tokenizer tokenizer, string text)
    {
        int[] ids = Encode(tokenizer, text);
        int mask = FilledMask(ids, tokenizer.Blanks);
        if (!ids.Contains(mask)) return [tokenizer.Decode(ids), ""];
        var parts = new List<string>();
        ReadOnlySpan<int> rest = ids;
        for (int at; (at = rest.IndexOf(mask)) >= 0; rest = rest[(at + 1)..]) parts.Add(tokenizer.Decode(rest[..at]));
        return [.. parts, tokenizer.Decode(rest)];
    }

    /// <summary>Fills the blanks of a text that is already tokens.</summary>
    /// <inheritdoc cref="Fill(string, FillOptions, Action{BlankPiece}, CancellationToken)"/>
    /// <param name="prompt">Token ids with those of blanks among them.</param>
    /// <param name="options">How.</param>
    /// <param name="onPiece">As there; needs a tokenizer.</param>
    /// <param name="cancellation">Ends it.</param>
    public FilledText Fill(ReadOnlySpan<int> prompt, FillOptions options, Action<BlankPiece>? onPiece = null, CancellationToken cancellation = default)
    {
        if (prompt.IsEmpty) throw new GlmException("prompt: expected some ids, found none");
        bool open = IsMask(prompt[^1], _special) || !prompt.ToArray().Any(id => IsMask(id, _special));
        return FillSequence(Sequence(prompt.ToArray(), open, _special, _session.Model.MaxSequenceLength), options, onPiece, cancellation);
    }

    private static int[] Sequence(int[] ids, bool open, BlankTokens special, int longest)
    {
        int[] sequence = [.. ids, .. ids.Any(id => IsMask(id, special)) ? Array.Empty<int>() : [special.Continuation], .. open ? Array.Empty<int>() : [special.Eos]];
        return sequence.Length <= longest ? sequence : throw new GlmException($"text: expected at most {longest} tokens, which is what the model reads, found {sequence.Length}");
    }

    private FilledText FillSequence(int[] sequence, FillOptions options, Action<BlankPiece>? onPiece, CancellationToken cancellation)
    {
        if (_tokenizer is null && options.Stop.Count > 0) throw new InvalidOperationException("stop strings take a tokenizer");
        int mask = FilledMask(sequence, _special);
        int most = sequence.Count(id => id == mask) + MaximumGeneratedBlanks;
        // Nothing stands before what fills a blank: its spaces are its own.
        var decoder = new BlankDecoder(_session, _tokenizer, [_special.Eop, _special.Eos], options, before: []);

        var fills = new List<BlankFill>();
        var blanks = new List<List<Blank>>();
        var beams = new List<int[]>();
        for (; fills.Count < most && ContextOf(sequence, mask, _special) is { } context; sequence = beams[0])
        {
            int at = context.Place.Mask;
            int room = decoder.RoomAfter(context);
            var fill = new BlankFill(context, at, room, decoder.Run(context, room, fills.Count, onPiece, cancellation));
            fills.Add(fill);
            beams.Clear();
            foreach (var (candidate, i) in fill.Decoding.Candidates.Select((candidate, i) => (candidate, i)))
            {
                // The original looks for the first sop, and so do we: it is the one that was appended, unless an earlier fill holds one.
                int sop = Array.IndexOf(candidate.Ids, _special.Sop);
                var blank = decoder.TextOf(candidate.Ids[(sop + 1)..]);
                if (i == blanks.Count) blanks.Add([]);
                blanks[i].Add(blank);
                beams.Add([.. candidate.Ids[..at], .. blank.Ids, .. candidate.Ids[Math.Min(at + 1, sop)..sop]]);
            }
            if (options.Strategy == StrategyKind.Beam) onPiece?.Invoke(new BlankPiece(fills.Count - 1, blanks[0][^1].Text ?? ""));
        }
        return new FilledText([.. beams.Select((beam, i) => Beam(beam, blanks[i], fills[^1].Decoding.Candidates[i].Score))], fills);
    }

    private FilledBeam Beam(int[] ids, List<Blank> blanks, double score)
    {
        int[] final = ids.Length > 0 && ids[^1] == _special.Eos ? ids[..^1] : ids;
        return new FilledBeam(
            final, [.. blanks.Select(blank => blank.Ids)],
            _tokenizer is null ? null : BlankText.Decode(_tokenizer, final),
            _tokenizer is null ? null : [.. blanks.Select(blank => blank.Text!)], score);
    }

    /// <summary>
    /// Ids of a text with blanks. Pieces of our own vocabularies begin with the space before a word, so there the space before a blank belongs to what fills it, as
    /// in training.
    /// </summary>
    public static int[] Encode(Tokenizer tokenizer, string text) =>
        tokenizer.EncodeWithMasks(tokenizer is GlmTokenizer ? SpaceBeforeMask().Replace(text, "") : text);

    private static int FilledMask(ReadOnlySpan<int> ids, BlankTokens special) =>
        ids.Contains(special.Mask) ? special.Mask : special.SMask is { } sentence && ids.Contains(sentence) ? sentence : special.Continuation;

    private static bool IsMask(int id, BlankTokens special) => id == special.Mask || id == special.SMask || id == special.GMask;

    [GeneratedRegex(@"\[\w*MASK\]")]
    internal static partial Regex MaskName();

    [GeneratedRegex(@" (?=\[\w*MASK\])")]
    private static partial Regex SpaceBeforeMask();
}
