using System.Diagnostics;
using Glm.Models;
using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>What the model answered.</summary>
/// <param name="Messages">Its messages, one unless it says something before it calls a tool; they are part of the conversation now.</param>
/// <param name="PromptTokens">Tokens of the conversation that had to be read.</param>
/// <param name="NewTokens">Tokens that were generated.</param>
/// <param name="Elapsed">How long it took.</param>
/// <param name="Interrupted">Whether the answer was cut short by cancellation.</param>
public sealed record ChatReply(IReadOnlyList<ChatMessage> Messages, int PromptTokens, int NewTokens, TimeSpan Elapsed, bool Interrupted);

/// <summary>
/// A chat with its history. A causal model keeps the keys and values of what it has read, so that a turn costs what is new in it; a prefix-LM reads the
/// whole conversation anew, since its context sees what comes later. Serves one caller at a time.
/// </summary>
public sealed class ChatConversation
{
    private readonly Session _session;
    private readonly ChatTemplate _template;
    private readonly ChatDefaults _defaults;
    private readonly List<ChatMessage> _messages = [];

    /// <summary>What the cache holds: the last conversation up to its answer, and with it.</summary>
    private readonly List<(int[] Ids, KvCache.Sequence Sequence)> _past = [];

    /// <summary>An empty conversation.</summary>
    /// <param name="session">The model.</param>
    /// <param name="template">How it reads a chat.</param>
    /// <param name="defaults">Its own configuration; what was published for it if null.</param>
    public ChatConversation(Session session, ChatTemplate template, ChatDefaults? defaults = null)
    {
        _session = session;
        _template = template;
        _defaults = defaults ?? ChatDefaults.Of(template.Tokenizer.Kind);
    }

    /// <summary>The messages so far, those of the system included.</summary>
    public IReadOnlyList<ChatMessage> Messages => _messages;

    /// <summary>Begins anew, with instructions where there are some.</summary>
    /// <exception cref="GlmException">The model knows no instructions; the conversation is empty then.</exception>
    public void Reset(string? system = null)
    {
        _messages.Clear();
        Forget();
        if (system is null) return;
        var message = new ChatMessage(ChatRole.System, system);
        _template.Encode([message, new ChatMessage(ChatRole.User, "")]);
        _messages.Add(message);
    }

    /// <summary>Says something and lets the model answer. What is generated until cancellation counts as its answer.</summary>
    /// <param name="message">What is said.</param>
    /// <param name="options">How tokens are chosen: greedily or by a draw.</param>
    /// <param name="onText">Sees the answer as it is generated.</param>
    /// <param name="cancellation">Ends the answer.</param>
    /// <exception cref="GlmException">The conversation is too long, or the message does not follow; it is as it was before then.</exception>
    public ChatReply Answer(ChatMessage message, FillOptions options, Action<string>? onText = null, CancellationToken cancellation = default)
    {
        if (options.Validated().Strategy == StrategyKind.Beam) throw new GlmException("strategy: expected greedy or sample in a chat, found beam");
        int[] ids = _template.Encode([.. _messages, message]);
        int longest = Math.Min(_session.Model.MaxSequenceLength, _defaults.MaxLength);
        if (ids.Length >= longest) throw new GlmException($"conversation: expected fewer than {longest} tokens, found {ids.Length}");
        var clock = Stopwatch.StartNew();
        var answer = new ChatAnswerText(_template);
        var generated = new List<int>();
        int read = ids.Length;
        bool interrupted = false;
        try
        {
            read = Generate(ids, Math.Min(options.MaxNewTokens, longest - ids.Length), options.CreateStrategy(_template.StopIds), token =>
            {
                generated.Add(token);
                Report(answer.Append(token));
            }, cancellation);
        }
        catch (Exception error)
        {
            // What the cache holds is not known now.
            Forget();
            interrupted = error is OperationCanceledException && cancellation.IsCancellationRequested;
            if (!interrupted) throw;
        }
        Report(answer.Finish());
        var messages = _template.Parse([.. generated]);
        _messages.AddRange([message, .. messages]);
        return new ChatReply(messages, read, generated.Count, clock.Elapsed, interrupted);

        void Report(string text)
        {
            if (text.Length > 0) onText?.Invoke(text);
        }
    }

    /// <summary>Generates an answer; returns how many ids of the conversation had to be read.</summary>
    private int Generate(int[] ids, int room, DecodingStrategy strategy, Action<int> onToken, CancellationToken cancellation)
    {
        if (_session.Model.IsCausal) return GenerateCausally(ids, room, strategy, onToken, cancellation);
        // The context is all but sop, which is the last, after [gMASK].
        Decoding.Run(_session, strategy, new DecodingContext(ids, new BlankPlace(ids.Length - 1, ids.Length - 2, RunsOn: true)), room, token =>
        {
            onToken(token);
            return true;
        }, cancellation);
        return ids.Length;
    }

    private int GenerateCausally(int[] ids, int room, DecodingStrategy strategy, Action<int> onToken, CancellationToken cancellation)
    {
        var sequence = Recall(ids);
        int known = sequence.Length;
        // From here on the sequence belongs to the past, so that it is given back whatever happens.
        _past.Add((ids, sequence));
        strategy.Begin(ids);
        var logits = _session.Run(Input(sequence, ids.AsMemory(known), known), cancellation: cancellation);
        var answered = sequence.Fork();
        List<int> all = [.. ids];
        _past.Add(([], answered));
        for (int step = 1; ; step++)
        {
            int token = strategy.Step(logits, _session.Model.VocabSize)[0].Token;
            onToken(token);
            if (strategy.Done || step == room) break;
            cancellation.ThrowIfCancellationRequested();
            logits = _session.Run(Input(answered, new[] { token }, all.Count), cancellation: cancellation);
            all.Add(token);
        }
        _past[^1] = ([.. all], answered);
        return ids.Length - known;
    }

    /// <summary>A sequence that holds the longest known beginning of the ids, at least the last one left out; the others are given back.</summary>
    private KvCache.Sequence Recall(int[] ids)
    {
        KvCache.Sequence? known = null;
        foreach (var (beginning, sequence) in _past)
            if (beginning.Length < ids.Length && beginning.Length >= (known?.Length ?? 0) && ids.AsSpan().StartsWith(beginning)) known = sequence;
        foreach (var (_, sequence) in _past)
            if (sequence != known) sequence.Release();
        _past.Clear();
        return known ?? _session.Cache.Add();
    }

    private void Forget()
    {
        foreach (var (_, sequence) in _past) sequence.Release();
        _past.Clear();
    }

    private static SessionInput[] Input(KvCache.Sequence sequence, ReadOnlyMemory<int> ids, int start) =>
        [new(sequence, ids, Enumerable.Range(start, ids.Length).ToArray(), Division: 0)];
}
