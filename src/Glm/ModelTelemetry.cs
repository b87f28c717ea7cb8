using System.Diagnostics;
using System.Diagnostics.Metrics;
using Glm.Inference;

namespace Glm;

/// <summary>
/// What can be observed of a model: activities and measurements under the name <see cref="Source"/>, as OpenTelemetry's conventions for generative models name
/// them. Safe for use from several threads.
/// </summary>
internal sealed class ModelTelemetry : IDisposable
{
    /// <summary>The name of the activity source and of the meter.</summary>
    public const string Source = "Glm";

    private static readonly ActivitySource Activities = new(Source);

    private readonly KeyValuePair<string, object?> _model;
    private readonly Meter _meter;
    private readonly Counter<long> _tokens;
    private readonly Histogram<double> _duration, _firstToken, _waited, _perToken;

    public ModelTelemetry(string model, Func<EngineStatistics> statistics)
    {
        _model = new("gen_ai.request.model", model);
        _meter = new Meter(new MeterOptions(Source) { Tags = [_model] });
        _tokens = _meter.CreateCounter<long>("gen_ai.client.token.usage", "{token}", "Tokens of prompts and of answers");
        _duration = _meter.CreateHistogram<double>("gen_ai.server.request.duration", "s", "Time of a request");
        _firstToken = _meter.CreateHistogram<double>("gen_ai.server.time_to_first_token", "s", "Time until the first token");
        _perToken = _meter.CreateHistogram<double>("gen_ai.server.time_per_output_token", "s", "Time of a token after the first");
        _waited = _meter.CreateHistogram<double>("glm.queue.duration", "s", "Time in the queue");
        Gauge("glm.requests.waiting", "Requests in the queue", s => s.Waiting);
        Gauge("glm.requests.running", "Requests in the batch", s => s.Running);
        Gauge("glm.kv.pages.used", "Pages of keys and values in use", s => s.UsedPages);
        Gauge("glm.kv.pages.total", "Pages of keys and values there may be", s => s.TotalPages);
        Total("glm.steps", "Passes through the model", s => s.Steps);
        Total("glm.tokens.context", "Tokens of prompts that were computed", s => s.ContextTokens);
        Total("glm.tokens.shared", "Tokens of prompts that were known", s => s.SharedTokens);
        Total("glm.tokens.new", "Tokens that were generated", s => s.NewTokens);
        Total("glm.tokens.drafted", "Tokens that were guessed", s => s.DraftedTokens);
        Total("glm.tokens.accepted", "Guessed tokens that came true", s => s.AcceptedTokens);
        Total("glm.requests.finished", "Requests that ended with a result", s => s.Finished);
        Total("glm.requests.cancelled", "Requests whose callers went away", s => s.Cancelled);
        Total("glm.requests.failed", "Requests that ended with an error", s => s.Failed);
        Total("glm.requests.refused", "Requests for which there was no room", s => s.Refused);
        Total("glm.requests.preempted", "Times that a request gave its memory to others", s => s.Preempted);

        void Gauge(string name, string description, Func<EngineStatistics, long> value) => _meter.CreateObservableGauge(name, () => value(statistics()), null, description);
        void Total(string name, string description, Func<EngineStatistics, long> value) => _meter.CreateObservableCounter(name, () => value(statistics()), null, description);
    }

    /// <summary>Begins an operation; null where nobody listens.</summary>
    public Activity? Begin(string operation)
    {
        var activity = Activities.StartActivity($"{operation} {_model.Value}", ActivityKind.Internal);
        activity?.SetTag("gen_ai.operation.name", operation).SetTag(_model.Key, _model.Value);
        return activity;
    }

    public void Finished(Activity? activity, string operation, GenerationResult result)
    {
        var kind = new KeyValuePair<string, object?>("gen_ai.operation.name", operation);
        _tokens.Add(result.ContextTokens, kind, new("gen_ai.token.type", "input"));
        _tokens.Add(result.Ids.Length, kind, new("gen_ai.token.type", "output"));
        _duration.Record(result.Elapsed.TotalSeconds, kind);
        _waited.Record(result.Waited.TotalSeconds, kind);
        if (result.Ids.Length > 0) _firstToken.Record(result.FirstToken.TotalSeconds, kind);
        if (result.Ids.Length > 1) _perToken.Record((result.Elapsed - result.FirstToken).TotalSeconds / (result.Ids.Length - 1), kind);
        activity?.SetTag("gen_ai.usage.input_tokens", result.ContextTokens).SetTag("gen_ai.usage.output_tokens", result.Ids.Length)
            .SetTag("gen_ai.response.finish_reasons", result.Finish.ToString().ToLowerInvariant());
    }

    public void Failed(Activity? activity, string operation, Exception error)
    {
        if (error is OperationCanceledException) return;
        activity?.SetStatus(ActivityStatusCode.Error, error.GetType().Name);
    }

    public void Dispose() => _meter.Dispose();
}
