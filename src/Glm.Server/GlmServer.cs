using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Reflection;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Glm.Server;

/// <summary>Models behind HTTP: the OpenAI API, our own addresses for blanks and tokens, measurements, and a page for people.</summary>
public sealed partial class GlmServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ServerOptions _options;
    private readonly ModelHost _models = new();
    private readonly ApiKeys _keys;
    private readonly PrometheusMetrics _metrics = new("Glm", MeterName);
    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _requests;
    private readonly ILogger _logger;

    private const string MeterName = "Glm.Server";

    private GlmServer(ServerOptions options, Action<ILoggingBuilder>? logging)
    {
        _options = options;
        _keys = new ApiKeys(options.Keys);
        _requests = _meter.CreateCounter<long>("glm.http.requests", null, "Requests by address and status");
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = 16L * options.MaxBodyBytes; // beyond it a connection is cut; a body between the two is read and refused
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
            if (options.Host is "localhost" && options.Port != 0) kestrel.ListenLocalhost(options.Port);
            else kestrel.Listen(SecurityHeaders.Address(options.Host), options.Port);
        });
        builder.Services.AddRoutingCore();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(options.DrainSeconds));
        logging?.Invoke(builder.Logging);
        _app = builder.Build();
        _logger = _app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Glm.Server");
        _app.Lifetime.ApplicationStopping.Register(_models.Close);
        Map();
    }

    /// <summary>Where it listens.</summary>
    public Uri Address { get; private set; } = null!;

    /// <summary>Begins to listen, then loads the models; until that is done, requests are told to come again.</summary>
    /// <param name="options">How it runs.</param>
    /// <param name="load">Loads the models, which belong to the server.</param>
    /// <param name="logging">Where logs go; nowhere if null.</param>
    /// <param name="cancellation">Stops the loading.</param>
    /// <exception cref="GlmException">A model cannot be loaded, or the address is taken.</exception>
    public static async Task<GlmServer> StartAsync(
        ServerOptions options, Func<ILoggerFactory, CancellationToken, IReadOnlyList<GlmModel>> load, Action<ILoggingBuilder>? logging = null, CancellationToken cancellation = default)
    {
        var server = new GlmServer(options, logging);
        try
        {
            try
            {
                await server._app.StartAsync(cancellation).ConfigureAwait(false);
            }
            catch (IOException error)
            {
                throw new GlmException($"{options.Host}:{options.Port}: cannot listen there: {error.Message}", error);
            }
            string address = server._app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First();
            server.Address = new Uri(address.Replace("[::]", "localhost", StringComparison.Ordinal).Replace("0.0.0.0", "localhost", StringComparison.Ordinal));
            var models = await Task.Run(() => load(server._app.Services.GetRequiredService<ILoggerFactory>(), cancellation), cancellation).ConfigureAwait(false);
            if (models.Select(model => model.Name).Distinct().Count() != models.Count) throw new GlmException("models: expected names that differ, found the same twice; NAME=PATH gives one");
            if (options.WarmUp)
                foreach (var model in models) await model.WarmUpAsync(cancellation).ConfigureAwait(false);
            server._models.Open(models);
            LogReady(server._logger, server.Address, string.Join(", ", models.Select(model => model.Name)));
            return server;
        }
        catch
        {
            await server.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Takes no more connections, lets requests finish as long as there is time, and gives the models back.</summary>
    public async ValueTask DisposeAsync()
    {
        _models.Close();
        using (var patience = new CancellationTokenSource(TimeSpan.FromSeconds(_options.DrainSeconds)))
            await _app.StopAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var model in _models.All) await model.DisposeAsync().ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
        _metrics.Dispose();
        _meter.Dispose();
    }

    private void Map()
    {
        _app.Use((http, next) => ObserveAsync(http, next));
        _app.UseMiddleware<ErrorHandling>();
        _app.Use((http, next) =>
        {
            SecurityHeaders.Add(http.Response);
            SecurityHeaders.RequireHost(http.Request, _options);
            return SecurityHeaders.AnswerOrigin(http, _options) ? Task.CompletedTask : next(http);
        });
        _app.UseRouting();
        Post("/v1/completions", CompletionEndpoint.RunAsync);
        Post("/v1/chat/completions", ChatEndpoint.RunAsync);
        Post("/v1/embeddings", EmbeddingEndpoint.RunAsync);
        Post("/v1/fill", FillEndpoint.RunAsync);
        Post("/tokenize", TokenEndpoints.TokenizeAsync);
        Post("/detokenize", TokenEndpoints.DetokenizeAsync);
        _app.MapGet("/v1/models", http => WithKeyAsync(http, () => WriteAsync(http, new ModelList("list", [.. _models.All.Select(Describe)]), ApiJson.Default.ModelList)));
        _app.MapGet("/v1/models/{name}", http => WithKeyAsync(http, () => WriteAsync(http, Describe(_models.Find((string)http.Request.RouteValues["name"]!)), ApiJson.Default.ModelEntry)));
        _app.MapGet("/metrics", http => WithKeyAsync(http, () => TextAsync(http, "text/plain; version=0.0.4; charset=utf-8", _metrics.Write())));
        _app.MapGet("/health", http => WriteAsync(http, new StatusAnswer("ok"), ApiJson.Default.StatusAnswer));
        _app.MapGet("/ready", http =>
        {
            if (!_models.IsReady) http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return WriteAsync(http, new StatusAnswer(_models.IsReady ? "ready" : _models.All.Count == 0 ? "loading" : "stopping"), ApiJson.Default.StatusAnswer);
        });
        _app.MapGet("/openapi.json", http => ResourceAsync(http, "openapi.json", "application/json"));
        if (_options.Page)
        {
            _app.MapGet("/", http => ResourceAsync(http, "page/index.html", "text/html; charset=utf-8"));
            _app.MapGet("/style.css", http => ResourceAsync(http, "page/style.css", "text/css; charset=utf-8"));
            _app.MapGet("/app.js", http => ResourceAsync(http, "page/app.js", "text/javascript; charset=utf-8"));
            _app.MapGet("/words.js", http => ResourceAsync(http, "page/words.js", "text/javascript; charset=utf-8"));
            _app.MapGet("/icon.svg", http => ResourceAsync(http, "page/icon.svg", "image/svg+xml"));
        }

        void Post(string path, Func<ApiCall, Task> run) => _app.MapPost(path, http => CallAsync(http, run));
    }

    private async Task CallAsync(HttpContext http, Func<ApiCall, Task> run)
    {
        var caller = _keys.Of(http);
        using var running = caller.Begin();
        var body = await RequestBody.ReadAsync(http.Request, _options.MaxBodyBytes).ConfigureAwait(false);
        http.Items["caller"] = caller.Name;
        await run(new ApiCall(http, body, _models.Find(body.Text("model")), caller, _options)).ConfigureAwait(false);
    }

    private Task WithKeyAsync(HttpContext http, Func<Task> run)
    {
        _keys.Of(http);
        return run();
    }

    private async Task ObserveAsync(HttpContext http, RequestDelegate next)
    {
        long start = Stopwatch.GetTimestamp();
        http.Response.Headers["X-Request-Id"] = http.TraceIdentifier;
        try
        {
            await next(http).ConfigureAwait(false);
        }
        finally
        {
            string path = (http.GetEndpoint() as Microsoft.AspNetCore.Routing.RouteEndpoint)?.RoutePattern.RawText ?? "other";
            int status = http.RequestAborted.IsCancellationRequested ? 499 : http.Response.StatusCode; // 499: the client went away
            _requests.Add(1, new("path", path), new("status", status));
            LogRequest(_logger, http.Request.Method, path, status, Stopwatch.GetElapsedTime(start).TotalMilliseconds, http.Items["caller"] as string ?? "", http.TraceIdentifier);
        }
    }

    private static ModelEntry Describe(GlmModel model)
    {
        var config = model.Model.Config;
        var statistics = model.Engine.Statistics;
        return new ModelEntry(model.Name, "model", model.Created.ToUnixTimeSeconds(), "glm.net", new ModelDetails(
            config.GetType().Name.Replace("Config", "", StringComparison.Ordinal), model.Model.Parameters.Sum(parameter => parameter.Tensor.Count), model.Engine.LongestSequence, model.Model.VocabSize,
            model.Tokenizer.Kind.ToString(), model.Template is not null, model.FillsBlanks, !model.Model.IsCausal, Math.Round(model.LoadTime.TotalSeconds, 2),
            $"{model.Model.Parameters.Sum(parameter => parameter.Tensor.Bytes) / 1048576.0:F0} MiB", statistics.Waiting, statistics.Running, statistics.UsedPages, statistics.TotalPages,
            statistics.NewTokens, Math.Round(statistics.Busy.TotalSeconds, 2)));
    }

    private static Task WriteAsync<T>(HttpContext http, T value, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        http.Response.ContentType = "application/json";
        return JsonSerializer.SerializeAsync(http.Response.Body, value, type, http.RequestAborted);
    }

    private static Task TextAsync(HttpContext http, string type, string text)
    {
        http.Response.ContentType = type;
        return http.Response.WriteAsync(text, http.RequestAborted);
    }

    private static async Task ResourceAsync(HttpContext http, string name, string type)
    {
        http.Response.ContentType = type;
        http.Response.Headers.CacheControl = "no-cache";
        await using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        await stream.CopyToAsync(http.Response.Body, http.RequestAborted).ConfigureAwait(false);
    }

    [LoggerMessage(11, LogLevel.Information, "Ready at {Address}: {Models}")]
    private static partial void LogReady(ILogger logger, Uri address, string models);

    [LoggerMessage(12, LogLevel.Information, "{Method} {Path} {Status} {Milliseconds:F0} ms {Caller} {Request}")]
    private static partial void LogRequest(ILogger logger, string method, string path, int status, double milliseconds, string caller, string request);
}
