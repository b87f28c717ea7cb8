using System.Text;

namespace Glm.Tokenizers;

/// <summary>How a model wants to be spoken to: turns the messages of a chat into ids and the model's ids into a message, as its original does.</summary>
public abstract class ChatTemplate
{
    /// <summary>What the models of the time say where they mean the date of their training data.</summary>
    private const string TrainingTime = "[[训练时间]]", Year = "2023年";

    private protected ChatTemplate(Tokenizer tokenizer) => Tokenizer = tokenizer;

    /// <summary>The vocabulary.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Ids that end an answer.</summary>
    public IReadOnlyList<int> StopIds => Tokenizer.Special.End;

    /// <summary>How the model calls tools; null of one that does not.</summary>
    public virtual ToolCallForm? Calls => null;

    /// <summary>The template of the model whose vocabulary it is.</summary>
    /// <exception cref="GlmException">It is not that of a chat model.</exception>
    public static ChatTemplate Of(Tokenizer tokenizer) => tokenizer.Kind switch
    {
        VocabularyKind.ChatGlm => new ChatGlmTemplate(tokenizer),
        VocabularyKind.ChatGlm2 => new ChatGlm2Template(tokenizer),
        VocabularyKind.ChatGlm3 => new ChatGlm3Template(tokenizer),
        VocabularyKind.Glm4 => new Glm4Template(tokenizer),
        _ => throw new GlmException($"tokenizer: expected that of a chat model (ChatGLM, ChatGLM2, ChatGLM3, GLM-4), found that of {tokenizer.Kind}"),
    };

    /// <summary>The ids after which the model's answer begins.</summary>
    /// <exception cref="GlmException">There is no message, or messages follow one another as the model does not know it.</exception>
    public abstract int[] Encode(IReadOnlyList<ChatMessage> messages);

    /// <summary>
    /// The messages that generated ids are: usually one of the assistant, with <see cref="ChatMessage.Metadata"/> where it calls a tool; a ChatGLM3 may say something first.
    /// </summary>
    /// <param name="ids">What was generated; the id that ended it may be the last.</param>
    public abstract IReadOnlyList<ChatMessage> Parse(ReadOnlySpan<int> ids);

    /// <summary>An answer as the original shows it, of the decoded text.</summary>
    public virtual string Clean(string answer) => answer.Trim().Replace(TrainingTime, Year, StringComparison.Ordinal);

    /// <summary>
    /// How much of an unfinished text is certain: what <see cref="Clean"/> makes of it, whatever follows, is the beginning of what it makes of the whole.
    /// </summary>
    internal int CertainLength(ReadOnlySpan<char> text)
    {
        int end = text.Length;
        while (end > 0 && IsOpen(text[end - 1])) end--;
        int bracket = text[..end].LastIndexOf("[[", StringComparison.Ordinal);
        if (bracket >= 0 && TrainingTime.AsSpan().StartsWith(text[bracket..end], StringComparison.Ordinal) && end - bracket < TrainingTime.Length) end = bracket;
        else if (end > 0 && text[end - 1] == '[') end--;
        while (end > 0 && IsOpen(text[end - 1])) end--;
        return end;
    }

    /// <summary>Whether what a character becomes may depend on the next one; whitespace at the end vanishes.</summary>
    private protected virtual bool IsOpen(char last) => char.IsWhiteSpace(last);

    /// <summary>The ids of an answer up to the one that ended it; rows of the embedding above the vocabulary are padding, which has no text.</summary>
    private protected int[] Answer(ReadOnlySpan<int> ids)
    {
        int end = ids.IndexOfAny([.. StopIds]);
        return [.. (end < 0 ? ids : ids[..end]).ToArray().Where(id => id < Tokenizer.VocabularySize)];
    }

    private protected static void RequireMessages(IReadOnlyList<ChatMessage> messages)
    {
        if (messages.Count == 0) throw new GlmException("messages: expected one or more, found none");
    }
}

/// <summary>The text of an answer while it is generated: each piece is certain, and all together are what <see cref="ChatTemplate.Clean"/> makes of the whole.</summary>
public sealed class ChatAnswerText(ChatTemplate template)
{
    private readonly StreamingDecoder _decoder = new(template.Tokenizer);
    private readonly StringBuilder _text = new();
    private int _shown;

    /// <summary>Adds an id; returns the text that is now certain.</summary>
    public string Append(int id)
    {
        if (template.StopIds.Contains(id) || id >= template.Tokenizer.VocabularySize) return "";
        string piece = _decoder.Append(id);
        if (piece.Length == 0) return "";
        _text.Append(piece);
        string text = _text.ToString();
        return Show(template.Clean(text[..template.CertainLength(text)]));
    }

    /// <summary>Ends the answer; returns what was waiting.</summary>
    public string Finish()
    {
        _text.Append(_decoder.Finish());
        return Show(template.Clean(_text.ToString()));
    }

    private string Show(string clean)
    {
        string piece = clean[_shown..];
        _shown = clean.Length;
        return piece;
    }
}
