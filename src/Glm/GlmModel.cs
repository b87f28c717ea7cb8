using System.Diagnostics;
using System.Text.Json.Nodes;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Glm;

/// <summary>
/// A model for programs: continues and fills texts, chats and embeds, for any number of callers at once, whose requests are computed together.
/// Safe for use from several threads. A <see cref="TextStream"/> belongs to the one who asked for it.
/// </summary>
public sealed partial class GlmModel : IAsyncDisposable
{
    /// <summary>A model may generate the mask itself, which then is one more blank, but not for ever.</summary>
    private const int MaximumGeneratedBlanks = 16;

    /// <summary>New tokens of a text, and of a blank, where nobody says how many.</summary>
    private const int StandardTokens = 256, StandardBlankTokens = 64;

    /// <summary>Tokens that a draft model guesses at a time where nobody says how many.</summary>
    private const int StandardDraftTokens = 4;

    private readonly LoadedModel _loaded;
    private readonly ChatDefaults? _chat;
    private readonly ILogger _logger;
    private readonly TokenVocabulary _vocabulary;

    private GlmModel(LoadedModel loaded, GenerationEngine engine, string name, ILogger? logger)
    {
        _loaded = loaded;
        _logger = logger ?? NullLogger.Instance;
        _vocabulary = new TokenVocabulary(loaded.Tokenizer, loaded.Model.VocabSize);
        Engine = engine;
        Name = name;
        Created = DateTimeOffset.UtcNow;
        if (Tokenizer.Kind is VocabularyKind.ChatGlm or VocabularyKind.ChatGlm2 or VocabularyKind.ChatGlm3 or VocabularyKind.Glm4)
            (Template, _chat) = (ChatTemplate.Of(Tokenizer), ChatDefaults.Of(Tokenizer.Kind, GenerationConfig.Find(loaded.Path)));
        Telemetry = new ModelTelemetry(name, () => Engine.Statistics);
    }

    /// <summary>Its name, by which requests ask for it.</summary>
    public string Name { get; }

    /// <summary>When it was loaded.</summary>
    public DateTimeOffset Created { get; }

    /// <summary>The vocabulary.</summary>
    public Tokenizer Tokenizer => _loaded.Tokenizer;

    /// <summary>The model.</summary>
    public LanguageModel Model => _loaded.Model;

    /// <summary>How it reads a chat; null if it is not made for chats.</summary>
    public ChatTemplate? Template { get; }

    /// <summary>Whether it fills blanks and embeds: it sees its context in both directions.</summary>
    public bool FillsBlanks => !Model.IsCausal && Tokenizer.Special.Blanks is not null;

    /// <summary>What computes.</summary>
    public GenerationEngine Engine { get; }

    /// <summary>How long loading took.</summary>
    public TimeSpan LoadTime => _loaded.LoadTime;

    internal ModelTelemetry Telemetry { get; }

    /// <summary>Loads a model.</summary>
    /// <param name="path">Its directory or GGUF file; the shipped model if null.</param>
    /// <param name="load">How it is opened.</param>
    /// <param name="batching">How callers share it.</param>
    /// <param name="name">Its name; that of the directory or file if null.</param>
    /// <param name="logger">Hears of loading and of what goes wrong.</param>
    /// <param name="progress">Hears of the packing of weights, if there is any.</param>
    /// <param name="cancellation">Stops the loading.</param>
    /// <exception cref="GlmException">It cannot be read, or an option is impossible.</exception>
    public static GlmModel Load(
        string? path = null, LoadOptions? load = null, BatchingOptions? batching = null, string? name = null, ILogger? logger = null, IProgress<PackingProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        var loaded = LoadedModel.Open(path, load, progress, warning => LogWarning(logger ?? NullLogger.Instance, warning), cancellation);
        try
        {
            batching ??= new BatchingOptions();
            batching = batching with { KvPages = batching.KvPages ?? Pages(loaded, batching, load?.KvMemory) };
            if (loaded.Draft is not null && batching.DraftTokens == 0) batching = batching with { DraftTokens = StandardDraftTokens };
            var model = new GlmModel(loaded, new GenerationEngine(loaded.Model, loaded.Workers, batching, loaded.CacheType, loaded.Draft), name ?? Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator(loaded.Path)), logger);
            LogLoaded(model._logger, model.Name, model.LoadTime.TotalSeconds, batching.KvPages.Value);
            return model;
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    /// <summary>Pages of keys and values, as many as fit the memory.</summary>
    private static int Pages(LoadedModel loaded, BatchingOptions batching, long? memory)
    {
        long page = ModelSize.CacheBytesPerToken(loaded.Model.Config, loaded.CacheType) * CachedAttentionOperation.PageTokens;
        if (memory is { } given) return (int)Math.Clamp(given / page, 1, int.MaxValue);
        long most = (long)batching.MaxBatch * (loaded.Model.MaxSequenceLength / CachedAttentionOperation.PageTokens + 2);
        return (int)Math.Clamp(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8 / page, 8, Math.Max(8, most));
    }

    /// <summary>Computes a short text, which compiles the code and brings the weights into memory.</summary>
    public async Task WarmUpAsync(CancellationToken cancellation = default)
    {
        long start = Stopwatch.GetTimestamp();
        await using var text = Complete("1 2 3 4 5 6 7 8", new TextOptions { MaxTokens = 8, Temperature = 0 }, cancellation);
        await text.Result.ConfigureAwait(false);
        LogWarm(_logger, Name, Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    /// <summary>Continues a text. In a model that fills blanks, it is continued at [gMASK].</summary>
    /// <param name="text">The text; names of special tokens in it are ordinary text.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">The text is empty or too long, or an option is impossible.</exception>
    /// <exception cref="QueueFullException">Too many requests are waiting.</exception>
    public TextStream Complete(string text, TextOptions? options = null, CancellationToken cancellation = default)
    {
        if (text.Length == 0) throw new GlmException("prompt: expected some text, found none");
        return Complete(Tokenizer.Encode(text), options, cancellation);
    }

    /// <summary>Continues a text that is tokens already.</summary>
    /// <inheritdoc cref="Complete(string, TextOptions, CancellationToken)"/>
    /// <param name="ids">The tokens, without those that the model wants around a text.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Ends it.</param>
    public TextStream Complete(int[] ids, TextOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= new TextOptions();
        var special = Tokenizer.Special;
        int hidden = special.Before.Count;
        DecodingContext context;
        if (Model.IsCausal || special.Blanks is not { } blanks) context = new DecodingContext([.. special.Before, .. ids, .. special.After], new BlankPlace(0, 0, RunsOn: true));
        else if (options.PromptLogprobs)
        {
            // Probabilities of a text are those of the text in a blank, read from left to right.
            context = new DecodingContext([blanks.Continuation, blanks.Sop, .. ids], new BlankPlace(1, 0, RunsOn: true));
            hidden = 2;
        }
        else context = new DecodingContext([.. ids, blanks.Continuation, blanks.Sop], new BlankPlace(ids.Length + 1, ids.Length, RunsOn: true));
        var end = special.Blanks is { } tokens && !Model.IsCausal ? [tokens.Eop, tokens.Eos] : special.End;
        return Start("text_completion", context, end, new PlainText(new BlankText(Tokenizer, options.Stop, ids)), hidden, null, options with { MaxTokens = options.MaxTokens ?? StandardTokens }, cancellation);
    }

    /// <summary>Answers in a chat.</summary>
    /// <param name="messages">The messages so far; a system message may announce tools (<see cref="ChatMessage.Tools"/>).</param>
    /// <param name="options">How; what is null is as the model's makers have it.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">The model is not made for chats, or the messages do not follow one another as it knows it; or as <see cref="Complete(string, TextOptions, CancellationToken)"/>.</exception>
    public TextStream Chat(IReadOnlyList<ChatMessage> messages, TextOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= new TextOptions();
        if (Template is not { } template) throw new GlmException($"model: expected one that is made for chats (ChatGLM, ChatGLM2, ChatGLM3, GLM-4), found {Name}, which continues texts");
        int[] ids = template.Encode(messages);
        // Of a prefix-LM, the context is all but sop, which is the last, after [gMASK].
        var place = Model.IsCausal ? new BlankPlace(0, 0, RunsOn: true) : new BlankPlace(ids.Length - 1, ids.Length - 2, RunsOn: true);
        bool mayCall = messages.Any(message => message.Tools is not null);
        if (options.RequiredTools is { } required) options = options with { Constraint = CallOf(messages, required) };
        return Start("chat", new DecodingContext(ids, place), template.StopIds, new AnswerText(template, options.Stop, mayCall), 0, _chat, options, cancellation);
    }

    private TextConstraint CallOf(IReadOnlyList<ChatMessage> messages, IReadOnlyList<string> required)
    {
        if (Template?.Calls is not { } form) throw new GlmException($"tools: expected a model that calls them (ChatGLM3, GLM-4), found {Name}, which does not");
        var announced = messages.SelectMany(message => message.Tools as JsonArray ?? []).OfType<JsonObject>().Select(tool => tool["function"] as JsonObject ?? tool)
            .Where(tool => required.Count == 0 || required.Contains(tool["name"]?.ToString())).Select(tool => tool.DeepClone()).ToArray();
        if (announced.Length == 0) throw new GlmException($"tools: expected that of the call{(required.Count == 0 ? "" : $" ({string.Join(", ", required)})")}, found none of this name");
        return TextConstraint.ToolCall(form, [.. announced]);
    }

    /// <summary>Fills every [MASK] of a text; where there is none, every [sMASK]; where there is neither, [gMASK], which is put after a text without blanks.</summary>
    /// <param name="text">The text.</param>
    /// <param name="options">How; <see cref="TextOptions.MaxTokens"/> are for each blank.</param>
    /// <param name="alternatives">How many alternatives are told for each blank.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">The model is causal, so it cannot see what follows a blank; or the text is empty, too long, or has a mask of an unknown name.</exception>
    public async Task<FilledBlanks> FillAsync(string text, TextOptions? options = null, int alternatives = 0, CancellationToken cancellation = default)
    {
        if (!FillsBlanks) throw new GlmException($"model: expected one that sees its context in both directions to fill blanks, found {Name}, which is causal");
        options = (options ?? new TextOptions()) with { TopLogprobs = options?.TopLogprobs ?? 0, PromptLogprobs = false };
        options = options with { MaxTokens = options.MaxTokens ?? StandardBlankTokens };
        var special = Tokenizer.Blanks;
        int[] sequence = BlankFiller.SequenceOf(Tokenizer, text, Engine.LongestSequence - 1);
        var context = BlankFiller.ContextOf(sequence, null, special)!;
        int mask = sequence[context.Place.Mask], most = sequence.Count(id => id == mask) + MaximumGeneratedBlanks, read = 0, generated = 0;
        var blanks = new List<FilledBlank>();
        for (DecodingContext? next = context; next is not null && blanks.Count < most; next = BlankFiller.ContextOf(sequence, mask, special))
        {
            var other = alternatives > 0 ? AlternativesAsync(next, options, alternatives, cancellation) : Task.FromResult((Array.Empty<FilledBlank>(), 0));
            var (fill, ids) = await FillOneAsync(next, [], 0, options, cancellation).ConfigureAwait(false);
            (var others, int more) = await other.ConfigureAwait(false);
            blanks.Add(fill with { Alternatives = others });
            read += next.Ids.Length;
            generated += ids.Length + more;
            int at = next.Place.Mask;
            sequence = [.. sequence[..at], .. ids, .. sequence[(at + 1)..]];
        }
        if (sequence is [.. var rest, var last] && last == special.Eos) sequence = rest;
        return new FilledBlanks(BlankText.Decode(Tokenizer, sequence), blanks, read, generated);
    }

    /// <summary>Continues a context behind some first tokens, whose probability is known.</summary>
    private async Task<(FilledBlank Fill, int[] Ids)> FillOneAsync(DecodingContext context, TextToken[] first, double known, TextOptions options, CancellationToken cancellation)
    {
        var text = new BlankText(Tokenizer, options.Stop, []);
        foreach (var token in first) text.Add(token.Id);
        var ends = new[] { Tokenizer.Blanks.Eop, Tokenizer.Blanks.Eos };
        var longer = context with { Ids = [.. context.Ids, .. first.Select(token => token.Id)] };
        await using var stream = Start("fill", longer, ends, new PlainText(text), 0, null, options, cancellation);
        var result = await stream.Result.ConfigureAwait(false);
        double sum = known + result.Tokens.Sum(token => token.LogProbability) + result.Generation.EndLogProbability;
        return (new FilledBlank(text.Text, double.IsNaN(sum) ? null : Math.Exp(sum), [.. first, .. result.Tokens], result.Finish, []), text.Ids());
    }

    private async Task<(FilledBlank[] Alternatives, int Tokens)> AlternativesAsync(DecodingContext context, TextOptions options, int count, CancellationToken cancellation)
    {
        var special = Tokenizer.Blanks;
        // Without end tokens, the first token is told whatever it is.
        await using var stream = Start("fill", context, [], new PlainText(new BlankText(Tokenizer, [], [])), 0, null, options with { MaxTokens = 1, Temperature = 0, TopLogprobs = count, Constraint = null }, cancellation);
        var first = (await stream.Result.ConfigureAwait(false)).Tokens[0].Top;
        var greedy = options with { Temperature = 0, MaxTokens = Math.Max(1, options.MaxTokens!.Value - 1) };
        var found = await Task.WhenAll(first.Select(async token => token.Id == special.Eop || token.Id == special.Eos
            ? new FilledBlank("", Math.Exp(token.LogProbability), [], FinishReason.Stop, [])
            : (await FillOneAsync(context, [token], token.LogProbability, greedy, cancellation).ConfigureAwait(false)).Fill)).ConfigureAwait(false);
        return ([.. found.OrderByDescending(fill => fill.Probability ?? 0)], found.Sum(fill => fill.Tokens.Count));
    }

    /// <summary>Vectors of texts, each the mean of its hidden states with length 1.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="cancellation">Ends it between two texts.</param>
    /// <returns>The vectors, and how many tokens the texts have.</returns>
    /// <exception cref="GlmException">The model is causal; a text is empty or too long.</exception>
    public async Task<(float[][] Vectors, int Tokens)> EmbedAsync(IReadOnlyList<string> texts, CancellationToken cancellation = default)
    {
        using var activity = Telemetry.Begin("embeddings");
        if (Model.IsCausal) throw new GlmException($"model: expected one that sees its context in both directions to embed texts, found {Name}, which is causal");
        float[][] vectors = new float[texts.Count][];
        int tokens = 0;
        for (int i = 0; i < texts.Count; i++)
        {
            int[] ids = Tokenizer.Encode(texts[i]);
            tokens += ids.Length;
            vectors[i] = await Engine.InvokeAsync(session => TextEmbedding.Of(session.Model, _loaded.Workers, ids), cancellation).ConfigureAwait(false);
        }
        return (vectors, tokens);
    }

    private TextStream Start(
        string operation, DecodingContext context, IReadOnlyList<int> ends, StreamedText text, int hidden, ChatDefaults? defaults, TextOptions options, CancellationToken cancellation)
    {
        var constraint = options.Constraint?.Over(_vocabulary, ends);
        return new TextStream(text, Tokenizer, hidden, (onToken, gone) => ObserveAsync(operation, Engine.RunAsync(options.Request(context, ends, defaults, onToken, constraint), gone)), cancellation);
    }

    private async Task<GenerationResult> ObserveAsync(string operation, Task<GenerationResult> generation)
    {
        using var activity = Telemetry.Begin(operation);
        try
        {
            var result = await generation.ConfigureAwait(false);
            Telemetry.Finished(activity, operation, result);
            return result;
        }
        catch (Exception error)
        {
            Telemetry.Failed(activity, operation, error);
            if (error is not (OperationCanceledException or GlmException or ObjectDisposedException)) LogFailure(_logger, error, Name, operation);
            throw;
        }
    }

    /// <summary>Takes no more requests, waits for those that were taken, and gives everything back.</summary>
    /// <param name="patience">How long to wait before what is left is cancelled.</param>
    public async Task StopAsync(TimeSpan patience)
    {
        using var limit = new CancellationTokenSource(patience);
        await Engine.DrainAsync(limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Cancels what is under way and gives everything back.</summary>
    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync().ConfigureAwait(false);
        Telemetry.Dispose();
        _loaded.Dispose();
    }

    [LoggerMessage(1, LogLevel.Information, "{Model} is loaded, in {Seconds:F1} s, with {Pages} pages for keys and values")]
    private static partial void LogLoaded(ILogger logger, string model, double seconds, int pages);

    [LoggerMessage(2, LogLevel.Information, "{Model} is warm, after {Seconds:F1} s")]
    private static partial void LogWarm(ILogger logger, string model, double seconds);

    [LoggerMessage(3, LogLevel.Warning, "{Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);

    [LoggerMessage(4, LogLevel.Error, "{Model}: {Operation} failed")]
    private static partial void LogFailure(ILogger logger, Exception error, string model, string operation);
}
