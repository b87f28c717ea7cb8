using Glm.Inference;
using Glm.Tokenizers;

namespace Glm;

/// <summary>What generated tokens become as they arrive.</summary>
internal abstract class StreamedText
{
    /// <summary>Whether a stop string was found, so that nothing more is wanted.</summary>
    public abstract bool Stopped { get; }

    /// <summary>The text so far.</summary>
    public abstract string Text { get; }

    /// <summary>Adds a token; returns the text that is now certain.</summary>
    public abstract string Add(int id);

    /// <summary>Ends the text; returns what was waiting.</summary>
    public abstract string Finish();

    /// <summary>The messages that the tokens are; none of a text that is no answer.</summary>
    public virtual IReadOnlyList<ChatMessage> Messages(int[] ids) => [];
}

/// <summary>A continuation, or what fills a blank.</summary>
internal sealed class PlainText(BlankText text) : StreamedText
{
    public override bool Stopped => text.Stopped;

    public override string Text => text.Text;

    public override string Add(int id) => text.Add(id);

    public override string Finish() => text.Finish();
}

/// <summary>An answer in a chat. Where it may be a call of a tool, nothing is certain before its end.</summary>
internal sealed class AnswerText(ChatTemplate template, IReadOnlyList<string> stop, bool mayCall) : StreamedText
{
    private readonly ChatAnswerText _answer = new(template);
    private readonly StopText _text = new(stop);
    private readonly List<int> _ids = [];

    public override bool Stopped => _text.Stopped;

    public override string Text => _text.Text;

    public override string Add(int id)
    {
        _ids.Add(id);
        return mayCall ? "" : _text.Add(_answer.Append(id));
    }

    public override string Finish() =>
        mayCall ? _text.Finish(string.Join('\n', template.Parse([.. _ids]).Where(message => message.Metadata.Length == 0).Select(message => message.Content))) : _text.Finish(_answer.Finish());

    public override IReadOnlyList<ChatMessage> Messages(int[] ids) => mayCall ? template.Parse(ids) : [new ChatMessage(ChatRole.Assistant, Text)];
}
