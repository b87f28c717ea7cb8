using System.Globalization;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>A template of numbered rounds of question and answer, all of it one text.</summary>
public abstract class RoundTemplate : ChatTemplate
{
    private protected RoundTemplate(Tokenizer tokenizer) : base(tokenizer) { }

    /// <inheritdoc/>
    public override int[] Encode(IReadOnlyList<ChatMessage> messages) => Tokenizer.EncodeInput(Text(messages));

    /// <inheritdoc/>
    public override IReadOnlyList<ChatMessage> Parse(ReadOnlySpan<int> ids) => [new(ChatRole.Assistant, Clean(Tokenizer.Decode(Answer(ids))))];

    /// <summary>The text of a chat.</summary>
    /// <exception cref="GlmException">Messages are not of user and assistant in turn, the user's first and last.</exception>
    internal string Text(IReadOnlyList<ChatMessage> messages)
    {
        RequireMessages(messages);
        for (int i = 0; i < messages.Count; i++)
            if (messages[i].Role != (i % 2 == 0 ? ChatRole.User : ChatRole.Assistant))
                throw new GlmException($"messages[{i}]: expected one of {(i % 2 == 0 ? "the user" : "the assistant")}, since {Tokenizer.Kind} knows these two in turn, found {messages[i].Role}");
        if (messages.Count % 2 == 0) throw new GlmException("messages: expected the last one to be of the user, found one of the assistant");
        var text = new StringBuilder();
        for (int i = 0; i + 2 < messages.Count; i += 2) AppendRound(text, i / 2, messages[i].Content, messages[i + 1].Content);
        AppendQuestion(text, messages.Count / 2, messages[^1].Content);
        return text.ToString();
    }

    /// <summary>A past round, counted from 0.</summary>
    private protected abstract void AppendRound(StringBuilder text, int round, string question, string answer);

    /// <summary>The question to be answered.</summary>
    private protected abstract void AppendQuestion(StringBuilder text, int round, string question);
}

/// <summary>ChatGLM-6B (ChatGLM spec 12.2): rounds count from 0, and a first question stands alone.</summary>
public sealed class ChatGlmTemplate : RoundTemplate
{
    private const string Ascii = ",!:;?", FullWidth = "，！：；？";

    internal ChatGlmTemplate(Tokenizer tokenizer) : base(tokenizer) { }

    /// <summary>As for every model; and punctuation beside a Chinese character becomes Chinese.</summary>
    public override string Clean(string answer)
    {
        char[] text = base.Clean(answer).ToCharArray();
        for (int i = 0; i < text.Length; i++)
            if (Ascii.IndexOf(text[i]) is >= 0 and var mark && ((i > 0 && IsChinese(text[i - 1])) || (i + 1 < text.Length && IsChinese(text[i + 1]))))
                text[i] = FullWidth[mark];
        return new string(text);
    }

    private protected override bool IsOpen(char last) => base.IsOpen(last) || Ascii.Contains(last);

    private protected override void AppendRound(StringBuilder text, int round, string question, string answer) =>
        text.Append(CultureInfo.InvariantCulture, $"[Round {round}]\n问：{question}\n答：{answer}\n");

    private protected override void AppendQuestion(StringBuilder text, int round, string question)
    {
        if (round == 0) text.Append(question);
        else text.Append(CultureInfo.InvariantCulture, $"[Round {round}]\n问：{question}\n答：");
    }

    private static bool IsChinese(char c) => c is >= '\u4E00' and <= '\u9FFF';
}

/// <summary>ChatGLM2-6B (ChatGLM spec 12.3): rounds count from 1.</summary>
public sealed class ChatGlm2Template : RoundTemplate
{
    internal ChatGlm2Template(Tokenizer tokenizer) : base(tokenizer) { }

    private protected override void AppendRound(StringBuilder text, int round, string question, string answer) =>
        text.Append(CultureInfo.InvariantCulture, $"[Round {round + 1}]\n\n问：{question}\n\n答：{answer}\n\n");

    private protected override void AppendQuestion(StringBuilder text, int round, string question) =>
        text.Append(CultureInfo.InvariantCulture, $"[Round {round + 1}]\n\n问：{question}\n\n答：");
}
