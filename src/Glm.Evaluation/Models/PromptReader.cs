using Glm.Inference;
using Glm.Models;
using Glm.Tokenizers;

namespace Glm.Evaluation;

/// <summary>Turns prompts into what a local model reads: ids, the blank, and the choices after it.</summary>
internal abstract class PromptReader(LanguageModel model, Tokenizer? tokenizer)
{
    protected Tokenizer Tokenizer => tokenizer ?? throw new InvalidOperationException("text takes a tokenizer");

    /// <summary>The reader that suits a model.</summary>
    public static PromptReader For(LanguageModel model, SpecialTokens special, Tokenizer? tokenizer) =>
        model.IsCausal ? new CausalPromptReader(model, special, tokenizer)
        : new BlankPromptReader(model, special.Blanks ?? throw new GlmException("tokenizer: expected one with tokens of blanks, since the model fills blanks, found none"), tokenizer);

    /// <summary>Ids after which there is nothing more to say.</summary>
    public abstract IReadOnlyList<int> EndTokens { get; }

    /// <summary>Tokens that prompt and answer may have together.</summary>
    public int Longest(ReadingOptions options) => Math.Min(options.MaxSequenceLength ?? model.MaxSequenceLength, model.MaxSequenceLength);

    /// <summary>Prompt and choices of an item, in ids.</summary>
    public abstract EncodedItem Encode(ChoiceItem item, ReadingOptions options);

    /// <summary>What the model reads of an item.</summary>
    /// <param name="item">The item.</param>
    /// <param name="single">Whether every choice of every item of the file is one token (spec 8.4).</param>
    /// <param name="options">How the prompt is read.</param>
    /// <exception cref="GlmException">The choices leave no room for the prompt.</exception>
    public abstract ContextChoices Choices(EncodedItem item, bool single, ReadingOptions options);

    /// <summary>What the model continues.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="options">How it is read.</param>
    /// <param name="maxNewTokens">Room for the answer.</param>
    /// <exception cref="GlmException">There is no room for the prompt.</exception>
    public abstract DecodingContext Context(ItemText prompt, ReadingOptions options, int maxNewTokens);

    /// <summary>A prompt as the message of a user, of a model that chats; null for others. Nothing of it is cut off: what is asked may stand anywhere.</summary>
    protected int[]? Message(ItemText prompt, ReadingOptions options, int maxNewTokens)
    {
        bool chats = tokenizer?.Kind is VocabularyKind.ChatGlm or VocabularyKind.ChatGlm2 or VocabularyKind.ChatGlm3 or VocabularyKind.Glm4;
        if (!options.AsChat || !chats || prompt.Text is null) return null;
        int[] ids = ChatTemplate.Of(Tokenizer).Encode([new ChatMessage(ChatRole.User, prompt.Text)]);
        int room = Longest(options) - maxNewTokens;
        return ids.Length <= room ? ids : throw new GlmException($"prompt: expected at most {room} tokens, found {ids.Length}");
    }

    /// <summary>The end of a prompt that is too long (spec 8.3).</summary>
    protected static int[] Tail(int[] ids, int room, int longest)
    {
        if (room < 1) throw new GlmException($"choices or answer: expected fewer than {longest} tokens, to leave room for the prompt, found {longest - room}");
        return ids.Length > room ? ids[^room..] : ids;
    }
}

/// <summary>An item in ids.</summary>
internal sealed record EncodedItem(int[] Prompt, IReadOnlyList<int[]> Choices)
{
    public bool IsSingle => Choices.All(choice => choice.Length == 1);
}

/// <summary>Prompts of a model that fills blanks, as the original's data sets build them (spec 8.4, 8.5).</summary>
internal sealed class BlankPromptReader(LanguageModel model, BlankTokens blanks, Tokenizer? tokenizer) : PromptReader(model, tokenizer)
{
    public override IReadOnlyList<int> EndTokens { get; } = [blanks.Eop, blanks.Eos];

    public override EncodedItem Encode(ChoiceItem item, ReadingOptions options)
    {
        string? text = item.Prompt.Text;
        int blank = text?.IndexOf(MaskName(options), StringComparison.Ordinal) ?? -1;
        string before = text is null ? "" : blank < 0 ? text : text[..blank];
        return new EncodedItem(Ids(item.Prompt), [.. item.Choices.Select(choice =>
            choice.Ids ?? NonEmpty(Tokenizer.Encode(PromptJoint.Split(before, choice.Text!).Joint + choice.Text)))]);
    }

    public override ContextChoices Choices(EncodedItem item, bool single, ReadingOptions options)
    {
        int longest = Longest(options);
        int[] ids = Tail(item.Prompt, longest - (single ? 1 : item.Choices.Sum(choice => choice.Length)) - 2, longest);
        int mask = Mask(options), at = Array.IndexOf(ids, mask);
        bool appended = at < 0;
        if (appended) (ids, at) = ([.. ids, mask], ids.Length);
        return new ContextChoices(ids, new BlankPlace(ids.Length, at, RunsOn: options.UseTaskMask), blanks.Sop, item.Choices, FromMask: options.UseMultitaskEncoding && appended);
    }

    public override DecodingContext Context(ItemText prompt, ReadingOptions options, int maxNewTokens)
    {
        // ChatGLM-6B's template ends with the blank and the start of the answer.
        if (Message(prompt, options, maxNewTokens) is { } message) return new DecodingContext(message, new BlankPlace(message.Length - 1, message.Length - 2, RunsOn: true));
        int longest = Longest(options), mask = Mask(options);
        int[] ids = Tail(Ids(prompt), longest - maxNewTokens - 2, longest);
        if (options.Unidirectional) return new DecodingContext([mask, blanks.Sop, .. ids], new BlankPlace(1, 0, RunsOn: true));
        int at = Array.IndexOf(ids, mask);
        if (at < 0) (ids, at) = ([.. ids, mask], ids.Length);
        return new DecodingContext([.. ids, blanks.Sop], new BlankPlace(ids.Length, at, RunsOn: options.UseTaskMask));
    }

    private int[] Ids(ItemText prompt) => prompt.Ids ?? BlankFiller.Encode(Tokenizer, prompt.Text!.TrimEnd(' '));

    // The dev branch scores the end of the piece where a choice is empty; main fails.
    private int[] NonEmpty(int[] ids) => ids.Length > 0 ? ids : [blanks.Eop];

    private int Mask(ReadingOptions options) => options.UseTaskMask ? blanks.Continuation : blanks.Mask;

    private static string MaskName(ReadingOptions options) => options.UseTaskMask ? "[gMASK]" : "[MASK]";
}

/// <summary>
/// Prompts of a causal model, which choices continue. A blank inside a prompt is filled with each choice, and what follows it counts with the choice.
/// </summary>
internal sealed class CausalPromptReader(LanguageModel model, SpecialTokens special, Tokenizer? tokenizer) : PromptReader(model, tokenizer)
{
    public override IReadOnlyList<int> EndTokens => special.End;

    public override EncodedItem Encode(ChoiceItem item, ReadingOptions options)
    {
        if (item.Prompt.Ids is { } ids) return new EncodedItem(ids, [.. item.Choices.Select(choice => choice.Ids!)]);
        var (before, after) = Around(item.Prompt.Text!);
        int[][] whole = [.. item.Choices.Select(choice =>
        {
            var (prompt, joint) = PromptJoint.Split(before, choice.Text!);
            return NonEmpty(Tokenizer.Encode(prompt + joint + choice.Text + after));
        })];
        // Where pieces reach over the joint, the choice begins with them; every choice has a token of its own.
        int shared = Math.Min(whole.Aggregate(Tokenizer.Encode(before.TrimEnd(' ')).AsEnumerable(), Common).Count(), whole.Min(choice => choice.Length) - 1);
        return new EncodedItem(whole[0][..shared], [.. whole.Select(choice => choice[shared..])]);
    }

    public override ContextChoices Choices(EncodedItem item, bool single, ReadingOptions options)
    {
        int longest = Longest(options);
        int[] ids = [.. special.Before, .. Tail(item.Prompt, longest - special.Before.Count - item.Choices.Max(choice => choice.Length), longest)];
        return ids.Length == 0 ? new ContextChoices([], default, null, item.Choices) : new ContextChoices(ids[..^1], default, ids[^1], item.Choices);
    }

    public override DecodingContext Context(ItemText prompt, ReadingOptions options, int maxNewTokens)
    {
        if (Message(prompt, options, maxNewTokens) is { } message) return new DecodingContext(message, new BlankPlace(0, 0, RunsOn: true));
        int longest = Longest(options);
        int[] ids = prompt.Ids ?? Tokenizer.Encode(Around(prompt.Text!).Before.TrimEnd(' '));
        ids = [.. special.Before, .. Tail(ids, longest - special.Before.Count - maxNewTokens, longest)];
        return ids.Length > 0 ? new DecodingContext(ids, new BlankPlace(0, 0, RunsOn: true)) : throw new GlmException("prompt: expected some text, found none");
    }

    private int[] NonEmpty(int[] ids) => ids.Length > 0 ? ids : [special.End[0]];

    private static (string Before, string After) Around(string prompt)
    {
        foreach (string mask in new[] { "[MASK]", "[gMASK]" })
            if (prompt.IndexOf(mask, StringComparison.Ordinal) is >= 0 and int at) return (prompt[..at], prompt[(at + mask.Length)..]);
        return (prompt, "");
    }

    private static IEnumerable<int> Common(IEnumerable<int> a, IEnumerable<int> b) => a.Zip(b).TakeWhile(pair => pair.First == pair.Second).Select(pair => pair.First);
}
