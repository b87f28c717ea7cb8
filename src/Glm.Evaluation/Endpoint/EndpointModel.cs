using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Glm.Evaluation;

/// <summary>
/// A model behind an OpenAI-compatible endpoint. Where completions give the log-probabilities of the prompt (<c>echo</c> with <c>logprobs</c>, which is tried
/// once), choices and texts are scored as here; where they do not, a choice is what the model answers with, its letter, and texts cannot be read.
/// </summary>
public sealed class EndpointModel : EvaluatedModel
{
    /// <summary>So many requests that fail one after the other mean that the next will fail as well.</summary>
    private const int MostFailures = 8;

    /// <summary>Bytes of text that are taken for a token where a text must be cut to fit; most have more.</summary>
    private const int BytesPerToken = 3, ShortestCut = 512;
    private const int StandardLength = 2048, LetterTokens = 16, ThinkingTokens = 4096;

    private readonly EndpointOptions _options;
    private readonly EndpointConnection _connection;
    private readonly Abilities _abilities;
    private readonly string _model;
    private bool _thinks;
    private long _read, _written;
    private int _failures;

    private EndpointModel(EndpointOptions options, EndpointConnection connection, string model, Abilities abilities, int? length)
    {
        (_options, _connection, _model, _abilities) = (options, connection, model, abilities);
        Identity = new ModelIdentity { Name = model, Location = options.Address.AbsoluteUri, Architecture = $"endpoint: {abilities}", MaxSequenceLength = length };
    }

    /// <summary>What the endpoint can do, as it was found.</summary>
    internal sealed record Abilities(bool Echo, bool Chat)
    {
        public override string ToString() => Echo ? "completions with log-probabilities" : Chat ? "chat" : "completions";
    }

    /// <inheritdoc/>
    public override ModelIdentity Identity { get; }

    /// <inheritdoc/>
    public override long Tokens => Interlocked.Read(ref _read) + Interlocked.Read(ref _written);

    /// <summary>Whether choices and texts are scored by log-probabilities.</summary>
    public bool GivesProbabilities => _abilities.Echo;

    /// <summary>Finds out what an endpoint can do.</summary>
    /// <param name="options">The endpoint.</param>
    /// <param name="note">Hears why a request is repeated.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="GlmException">It does not answer, refuses the key, or has no such model.</exception>
    public static EndpointModel Open(EndpointOptions options, Action<string>? note = null, CancellationToken cancellation = default)
    {
        var connection = new EndpointConnection(options) { Note = note };
        try
        {
            string model = options.Model ?? TheOnlyModel(options, connection, cancellation);
            var abilities = Probe(options, connection, model, cancellation);
            return new EndpointModel(options, connection, model, abilities, abilities.Echo ? LengthOf(model, connection, cancellation) : null);
        }
        catch (Exception error)
        {
            connection.Dispose();
            if (error is EndpointException) throw new GlmException(error.Message, error);
            throw;
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<Answer<ChoiceScores>> Choose(
        IReadOnlyList<ChoiceItem> items, IReadOnlyList<int> wanted, ReadingOptions options, CancellationToken cancellation = default) =>
        InParallel(wanted, (item, token) => _abilities.Echo ? FittingAsync(SizeOf(items[item]), options, bytes => ScoredAsync(items[item], bytes, token)) : AnsweredAsync(items[item], token), cancellation);

    /// <inheritdoc/>
    public override IEnumerable<Answer<Generation>> Generate(
        IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions options, GenerationOptions generation, CancellationToken cancellation = default) =>
        InParallel(wanted, async (item, token) =>
        {
            string prompt = Text(items[item]);
            var texts = await WriteAsync(generation.Form == AnswerForm.Word && _abilities.Chat ? EndpointPrompt.NextWord(prompt) : prompt, generation, token).ConfigureAwait(false);
            return new Generation(generation.Form == AnswerForm.Word ? [.. texts.Select(EndpointPrompt.FirstWord)] : texts);
        }, cancellation);

    /// <inheritdoc/>
    public override IEnumerable<Answer<TextLikelihood>> Read(
        IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions options, int? stride, CancellationToken cancellation = default)
    {
        if (!_abilities.Echo)
            throw new GlmException($"{_options.Address}: expected completions with echo and logprobs, without which no text can be read, found {_abilities} alone");
        return InParallel(wanted, (item, token) => FittingAsync(Encoding.UTF8.GetByteCount(Text(items[item])), options, bytes => ReadAsync(Text(items[item]), bytes, token)), cancellation);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _connection.Dispose();
        base.Dispose();
    }

    /// <summary>
    /// Does something with texts of at most so many bytes. How many tokens they have is known to the endpoint alone: where it refuses a long one, half as much is tried.
    /// </summary>
    /// <param name="size">Bytes of the whole text.</param>
    /// <param name="options">How long texts may be.</param>
    /// <param name="attempt">Is given the bytes.</param>
    private async Task<T> FittingAsync<T>(int size, ReadingOptions options, Func<int, Task<T>> attempt)
    {
        int most = BytesPerToken * Math.Min(options.MaxSequenceLength ?? StandardLength, Identity.MaxSequenceLength ?? int.MaxValue / BytesPerToken);
        for (int bytes = Math.Min(most, Math.Max(size, ShortestCut)); ; bytes /= 2)
            try
            {
                return await attempt(bytes).ConfigureAwait(false);
            }
            catch (EndpointException error) when (bytes >= 2 * ShortestCut && error.Status is (HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge))
            {
                // Once more with less.
            }
    }

    /// <summary>A choice's score is the log-probability of what follows the prompt with it.</summary>
    private async Task<ChoiceScores> ScoredAsync(ChoiceItem item, int bytes, CancellationToken cancellation)
    {
        var (before, after) = EndpointPrompt.Around(Text(item.Prompt));
        double[] scores = new double[item.Choices.Count];
        int[] tokens = new int[item.Choices.Count];
        for (int i = 0; i < scores.Length; i++)
        {
            var (prompt, joint) = PromptJoint.Split(before, Text(item.Choices[i]));
            string answer = joint + Text(item.Choices[i]) + after;
            prompt = EndpointPrompt.Tail(prompt, bytes - Encoding.UTF8.GetByteCount(answer));
            if (prompt.Length == 0) prompt = "\n"; // The first token of all has no probability.
            int start = prompt.EnumerateRunes().Count();
            var echo = await EchoAsync(prompt + answer, cancellation).ConfigureAwait(false);
            (scores[i], tokens[i]) = echo.Between(start, start + answer.EnumerateRunes().Count());
        }
        return ChoiceScores.Of(scores, tokens);
    }

    /// <summary>The model is shown the choices and answers with a letter.</summary>
    private async Task<ChoiceScores> AnsweredAsync(ChoiceItem item, CancellationToken cancellation)
    {
        string prompt = EndpointPrompt.WithChoices(Text(item.Prompt), [.. item.Choices.Select(Text)]);
        var texts = await WriteAsync(_abilities.Chat ? prompt : prompt + "\nAnswer:", new GenerationOptions { MaxNewTokens = LetterTokens }, cancellation).ConfigureAwait(false);
        return new ChoiceScores(EndpointPrompt.Letter(texts[0], item.Choices.Count), null, null);
    }

    /// <summary>Windows of a length that surely fits, each with the half before it as context; every token counts once.</summary>
    private async Task<TextLikelihood> ReadAsync(string text, int bytes, CancellationToken cancellation)
    {
        double nats = 0;
        long tokens = 0;
        foreach (var (context, part) in EndpointPrompt.Windows(text, bytes))
        {
            string before = context.Length == 0 ? "\n" : context; // A text begins after a line break, since the first token of all has no probability.
            int start = before.EnumerateRunes().Count();
            var echo = await EchoAsync(before + part, cancellation).ConfigureAwait(false);
            var (sum, count) = echo.Between(start, start + part.EnumerateRunes().Count());
            nats -= sum;
            tokens += count;
        }
        return new TextLikelihood(nats, tokens);
    }

    private async Task<EchoedTokens> EchoAsync(string text, CancellationToken cancellation)
    {
        var reply = await AskAsync("completions", EchoRequest(_model, text), cancellation).ConfigureAwait(false);
        return EndpointReply.Echo(reply, text);
    }

    private async Task<IReadOnlyList<string>> WriteAsync(string prompt, GenerationOptions options, CancellationToken cancellation)
    {
        bool thinks = _thinks;
        try
        {
            var reply = await AskAsync(_abilities.Chat ? "chat/completions" : "completions", WriteRequest(prompt, options, thinks), cancellation).ConfigureAwait(false);
            var texts = EndpointReply.Texts(reply, _abilities.Chat);
            return texts.Count >= options.Samples ? [.. texts.Select(text => EndpointPrompt.Until(text, options.Stop))] : throw new EndpointException($"reply: expected {options.Samples} texts, found {texts.Count}");
        }
        catch (EndpointException error) when (!thinks && error.Status == HttpStatusCode.BadRequest && error.Message.Contains("max_completion_tokens", StringComparison.Ordinal))
        {
            // Models that think before they answer have a limit of another name, which the thoughts count against, and take no temperature.
            _thinks = true;
            return await WriteAsync(prompt, options, cancellation).ConfigureAwait(false);
        }
    }

    private JsonObject WriteRequest(string prompt, GenerationOptions options, bool thinks)
    {
        var request = new JsonObject { ["model"] = _model };
        if (_abilities.Chat) request["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = prompt });
        else request["prompt"] = EndpointPrompt.Around(prompt).Before.TrimEnd(' ');
        request[thinks ? "max_completion_tokens" : "max_tokens"] = thinks ? options.MaxNewTokens + ThinkingTokens : options.MaxNewTokens;
        if (!thinks) request["temperature"] = options.Temperature;
        if (!thinks && options.TopP > 0) request["top_p"] = options.TopP;
        if (options.Samples > 1) request["n"] = options.Samples;
        if (options.Temperature > 0) request["seed"] = (long)(options.Seed & long.MaxValue);
        // Endpoints take four at most; all of them are applied here as well.
        if (options.Stop.Count > 0 && !thinks) request["stop"] = new JsonArray([.. options.Stop.Take(4).Select(stop => (JsonNode)stop)]);
        return request;
    }

    private async Task<JsonElement> AskAsync(string path, JsonObject request, CancellationToken cancellation)
    {
        var reply = await _connection.AskAsync(path, request, cached: true, cancellation).ConfigureAwait(false);
        var (read, written) = EndpointReply.Usage(reply);
        Interlocked.Add(ref _read, read);
        Interlocked.Add(ref _written, written);
        return reply;
    }

    /// <summary>Asks about several items at a time. What fails for one item is its error; what will fail for all ends the run.</summary>
    private IEnumerable<Answer<T>> InParallel<T>(IReadOnlyList<int> wanted, Func<int, CancellationToken, Task<T>> ask, CancellationToken cancellation) where T : class
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var answers = new BlockingCollection<Answer<T>>();
        var asking = Parallel.ForEachAsync(wanted, new ParallelOptions { MaxDegreeOfParallelism = _options.Connections, CancellationToken = stop.Token }, async (item, token) =>
        {
            try
            {
                answers.Add(new Answer<T>(item, await ask(item, token).ConfigureAwait(false)), CancellationToken.None);
                Volatile.Write(ref _failures, 0);
            }
            catch (EndpointException error)
            {
                if (error.IsFinal) throw new GlmException(error.Message, error);
                int failures = Interlocked.Increment(ref _failures);
                if (failures >= MostFailures) throw new GlmException($"{failures} requests failed one after the other; the last: {error.Message}", error);
                answers.Add(new Answer<T>(item, null, error.Message), CancellationToken.None);
            }
        });
        var ending = asking.ContinueWith(_ => answers.CompleteAdding(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        try
        {
            // What is there when it ends early is handed out still, so that it is saved.
            foreach (var answer in answers.GetConsumingEnumerable(CancellationToken.None)) yield return answer;
            asking.GetAwaiter().GetResult();
        }
        finally
        {
            stop.Cancel();
            ending.Wait(CancellationToken.None);
        }
    }

    private static string TheOnlyModel(EndpointOptions options, EndpointConnection connection, CancellationToken cancellation)
    {
        var names = EndpointReply.Models(connection.AskAsync("models", null, cached: false, cancellation).GetAwaiter().GetResult());
        if (names.Count == 1) return names[0];
        string some = string.Join(", ", names.Take(5)) + (names.Count > 5 ? ", \u2026" : "");
        throw new GlmException($"{options.Address}: expected one model there, or its name in --endpoint-model, found {(names.Count == 0 ? "none" : $"{names.Count}: {some}")}");
    }

    /// <summary>Tokens that a model takes, where the endpoint says so; the list of models is nothing that every endpoint has.</summary>
    private static int? LengthOf(string model, EndpointConnection connection, CancellationToken cancellation)
    {
        try
        {
            return EndpointReply.LengthOf(model, connection.AskAsync("models", null, cached: false, cancellation).GetAwaiter().GetResult());
        }
        catch (EndpointException)
        {
            return null;
        }
    }

    private static Abilities Probe(EndpointOptions options, EndpointConnection connection, string model, CancellationToken cancellation)
    {
        const string text = "One two three";
        if (options.Interface != EndpointInterface.Chat)
            try
            {
                var echo = EndpointReply.Echo(Ask("completions", EchoRequest(model, text)), text);
                if (echo.Between(3, text.Length).Tokens > 0) return new Abilities(Echo: true, Chat: false);
            }
            catch (EndpointException error) when (error.Status is not (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.PaymentRequired) && (error.Status is not null || error.InnerException is null))
            {
                // There are no completions, or not with log-probabilities.
            }
        if (options.Interface != EndpointInterface.Completions)
            try
            {
                EndpointReply.Texts(Ask("chat/completions", new JsonObject { ["model"] = model, ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = text }) }), chat: true);
                return new Abilities(Echo: false, Chat: true);
            }
            catch (EndpointException error) when (options.Interface == EndpointInterface.Auto && error.Status is (HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotImplemented))
            {
                // There is no chat.
            }
        EndpointReply.Texts(Ask("completions", new JsonObject { ["model"] = model, ["prompt"] = text, ["max_tokens"] = 1 }), chat: false);
        return new Abilities(Echo: false, Chat: false);

        JsonElement Ask(string path, JsonObject request) => connection.AskAsync(path, request, cached: false, cancellation).GetAwaiter().GetResult();
    }

    /// <summary>One token is generated, since not every endpoint takes none; it lies behind the text and is not counted.</summary>
    private static JsonObject EchoRequest(string model, string text) =>
        new() { ["model"] = model, ["prompt"] = text, ["max_tokens"] = 1, ["temperature"] = 0, ["echo"] = true, ["logprobs"] = 1 };

    private static int SizeOf(ChoiceItem item) => Encoding.UTF8.GetByteCount(Text(item.Prompt)) + item.Choices.Max(choice => Encoding.UTF8.GetByteCount(Text(choice)));

    private static string Text(ItemText text) => text.Text ?? throw new GlmException("item: expected a text, which an endpoint takes alone, found ids of a vocabulary");
}
