using Glm.Models;
using Glm.Tokenizers;

namespace Glm.Training;

/// <summary>A prompt and its answer as a model reads them.</summary>
/// <param name="Ids">Context, answer and the id that ends it; the model reads all but the last.</param>
/// <param name="Context">Length of the context; what follows it is learned.</param>
/// <param name="Place">What the positions follow from.</param>
public sealed record TunedPrompt(int[] Ids, int Context, BlankPlace Place)
{
    /// <summary>Number of ids that are learned.</summary>
    public int Targets => Ids.Length - Context;
}

/// <summary>
/// Where a prompt and its answer stand in the form that a model knows: its chat template, a blank at the end (<c>text [gMASK] sop answer eop</c>, positions as when it
/// continues a text), or one after the other. What is learned so is what <c>glm chat</c> and <c>glm generate</c> ask for.
/// </summary>
public sealed class PromptLayout
{
    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate? _chat;
    private readonly bool _causal;

    /// <summary>The form of a model.</summary>
    public PromptLayout(Tokenizer tokenizer, LanguageModel model)
    {
        _tokenizer = tokenizer;
        _causal = model.IsCausal;
        bool isChat = tokenizer.Kind is VocabularyKind.ChatGlm or VocabularyKind.ChatGlm2 or VocabularyKind.ChatGlm3 or VocabularyKind.Glm4;
        _chat = isChat ? ChatTemplate.Of(tokenizer) : null;
    }

    /// <summary>A prompt and its answer as ids.</summary>
    public TunedPrompt Build(string input, string target)
    {
        var special = _tokenizer.Special;
        int[] context, answer = _tokenizer.Encode(target);
        int end = special.End[0];
        if (_chat is not null)
        {
            context = _chat.Encode([new ChatMessage(ChatRole.User, input)]);
            // A message of a model with roles begins with a line for the name of a tool.
            if (special.Roles is not null) answer = [.. _tokenizer.Encode("\n"), .. answer];
        }
        else if (_causal) context = [.. special.Before, .. _tokenizer.Encode(input), .. special.After];
        else
        {
            var blanks = _tokenizer.Blanks;
            context = [.. special.Before, .. _tokenizer.Encode(input), blanks.Continuation, blanks.Sop];
            end = blanks.Eop;
        }
        if (context.Length == 0) context = [end];
        return new TunedPrompt([.. context, .. answer, end], context.Length, _causal ? default : new BlankPlace(context.Length - 1, context.Length - 2, RunsOn: true));
    }
}
