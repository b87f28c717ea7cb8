using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Glm.Inference;
using Microsoft.AspNetCore.Http;

namespace Glm.Server;

/// <summary>A request to generate something: its fields, the model that it is for, who sends it.</summary>
internal sealed class ApiCall(HttpContext http, RequestBody body, GlmModel model, Caller caller, ServerOptions options)
{
    private const int MaximumTop = 20, MaximumStops = 16, MaximumBiases = 1024;

    public HttpContext Http { get; } = http;

    public RequestBody Body { get; } = body;

    public GlmModel Model { get; } = model;

    public ServerOptions Options { get; } = options;

    public CancellationToken Aborted => Http.RequestAborted;

    public string Id { get; } = Guid.NewGuid().ToString("N");

    public long Created { get; } = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Number of texts for one prompt.</summary>
    public int Count(int prompts)
    {
        int count = Body.Integer("n", 1, Options.MaxChoices) ?? 1;
        if ((Body.Integer("best_of", 1, int.MaxValue) ?? count) != count) throw ApiException.Invalid("best_of: expected the same as n", "best_of");
        return (long)count * prompts <= Options.MaxChoices ? count : throw ApiException.Invalid($"n: expected at most {Options.MaxChoices} choices of all prompts together, found {(long)count * prompts}", "n");
    }

    /// <summary>Whether the answer is a stream, and whether its usage is told at the end.</summary>
    public (bool Stream, bool Usage) Streaming() => (Body.Flag("stream"), Body.Object("stream_options")?.Flag("include_usage") ?? false);

    /// <summary>How texts are generated, as far as requests of all kinds say it in the same way.</summary>
    /// <param name="maxTokens">Names of the field that limits new tokens.</param>
    public TextOptions Text(params ReadOnlySpan<string> maxTokens)
    {
        int? most = null;
        foreach (string name in maxTokens) most ??= Body.Integer(name, 0, int.MaxValue);
        if (most > Options.MaxNewTokens) throw ApiException.Invalid($"{maxTokens[0]}: expected at most {Options.MaxNewTokens}, found {most}", maxTokens[0]);
        return new TextOptions
        {
            MaxTokens = most,
            Temperature = Body.Number("temperature", 0, 100),
            TopP = Body.Number("top_p", 0, 1),
            TopK = Body.Integer("top_k", 0, int.MaxValue),
            Seed = (ulong?)Body.Long("seed"),
            Stop = Stops(),
            LogitBias = Biases(),
            PresencePenalty = (float)(Body.Number("presence_penalty", -2, 2) ?? 0),
            FrequencyPenalty = (float)(Body.Number("frequency_penalty", -2, 2) ?? 0),
            Constraint = Constraint(),
            Priority = caller.Priority,
            Client = caller.Name,
            Timeout = TimeSpan.FromSeconds(Math.Min(Options.TimeoutSeconds, Body.Number("timeout", 0.001, 86400) ?? Options.TimeoutSeconds)),
        };
    }

    /// <summary>How many of the most probable tokens are wanted with each.</summary>
    public int? Top(string name) => Body.Integer(name, 0, MaximumTop);

    /// <summary>The options of one of several texts: draws with a seed differ from text to text.</summary>
    public static TextOptions Of(TextOptions options, int index) => options.Seed is { } seed ? options with { Seed = unchecked(seed + (ulong)index) } : options;

    public Usage UsageOf(IReadOnlyCollection<TextResult> results, int prompts)
    {
        // Each prompt counts once, as at OpenAI, however many choices it has.
        int each = Math.Max(1, results.Count / Math.Max(1, prompts)), read = results.Where((_, i) => i % each == 0).Sum(result => result.Generation.ContextTokens), made = results.Sum(result => result.Ids.Length);
        return new Usage(read, made, read + made, new PromptDetails(results.Where((_, i) => i % each == 0).Sum(result => result.Generation.SharedTokens)));
    }

    public static string Reason(FinishReason reason) => reason == FinishReason.Stop ? "stop" : "length";

    public Task AnswerAsync<T>(T value, JsonTypeInfo<T> type)
    {
        Http.Response.ContentType = "application/json";
        return JsonSerializer.SerializeAsync(Http.Response.Body, value, type, Aborted);
    }

    /// <summary>Streams an answer. What goes wrong on the way becomes an event of its own, since the status is sent already.</summary>
    public async Task StreamAsync(Func<EventStream, Task> write)
    {
        var events = new EventStream(Http.Response);
        try
        {
            await write(events).ConfigureAwait(false);
            await events.EndAsync(Aborted).ConfigureAwait(false);
        }
        catch (Exception error) when (error is ApiException or GlmException or ObjectDisposedException)
        {
            await events.SendAsync(ErrorHandling.BodyOf(error), ApiJson.Default.ErrorAnswer, Aborted).ConfigureAwait(false);
        }
    }

    private IReadOnlyList<string> Stops()
    {
        var stops = Body.Texts("stop", MaximumStops);
        return stops.Contains("") ? throw ApiException.Invalid("stop: expected some text, found none", "stop") : stops;
    }

    private Dictionary<int, float> Biases()
    {
        var biases = new Dictionary<int, float>();
        if (Body.Object("logit_bias") is not { } map) return biases;
        foreach (var field in map.Json.EnumerateObject())
        {
            if (biases.Count == MaximumBiases) throw ApiException.Invalid($"logit_bias: expected at most {MaximumBiases} tokens, found more", "logit_bias");
            if (!int.TryParse(field.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= Model.Model.VocabSize)
                throw ApiException.Invalid($"logit_bias: expected ids below {Model.Model.VocabSize}, found another name", "logit_bias");
            biases[id] = (float)(map.Number(field.Name, -100, 100) ?? 0);
        }
        return biases;
    }

    private TextConstraint? Constraint()
    {
        if (Body.Object("response_format") is not { } format) return null;
        switch (format.Text("type"))
        {
            case "text":
                return null;
            case "json_object":
                return TextConstraint.JsonObject;
            case "json_schema":
                var schema = (format.Object("json_schema") ?? throw ApiException.Invalid("response_format.json_schema: expected an object, found none", "response_format")).Find("schema");
                return TextConstraint.JsonSchema((schema ?? throw ApiException.Invalid("response_format.json_schema.schema: expected a schema, found none", "response_format")).GetRawText());
            case "regex":
                return TextConstraint.Regex(format.Text("pattern") ?? throw ApiException.Invalid("response_format.pattern: expected text, found none", "response_format"));
            default:
                throw ApiException.Invalid("response_format.type: expected text, json_object, json_schema or regex", "response_format");
        }
    }
}
