using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Authentication;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Glm.Evaluation;

/// <summary>
/// Requests to an endpoint: paced, repeated with growing delays and jitter (or after the delay that the endpoint asks for) where another attempt may help,
/// answered from the cache where they were asked before. The key goes to the endpoint's own address, redirects are not followed. Safe for several threads.
/// </summary>
internal sealed class EndpointConnection : IDisposable
{
    /// <summary>Attempts after the first where nothing was ever answered: the address may be wrong.</summary>
    private const int FirstRetries = 2;

    private readonly EndpointOptions _options;
    private readonly HttpClient _client;
    private readonly RequestPace _pace;
    private readonly ResponseCache? _cache;
    private readonly ConcurrentDictionary<string, Lazy<Task<JsonElement>>> _underWay = new();
    private volatile bool _hasAnswered;

    public EndpointConnection(EndpointOptions options)
    {
        _options = options;
        _pace = new RequestPace(options.RequestsPerMinute);
        _cache = options.Cache is { } folder ? new ResponseCache(folder) : null;
        _client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = TimeSpan.FromSeconds(30),
            MaxConnectionsPerServer = options.Connections,
            AutomaticDecompression = DecompressionMethods.All,
            UseProxy = !options.Address.IsLoopback,
        })
        { Timeout = Timeout.InfiniteTimeSpan };
        _client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("glm.net", typeof(EndpointConnection).Assembly.GetName().Version?.ToString(3)));
        if (options.Key is { } key) _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    /// <summary>Hears why a request is repeated.</summary>
    public Action<string>? Note { get; set; }

    /// <summary>The answer to a request, as JSON.</summary>
    /// <param name="path">Path below the endpoint's address.</param>
    /// <param name="body">What is asked; null to get.</param>
    /// <param name="cached">Whether an earlier answer will do.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="EndpointException">There is no answer, or a refusal.</exception>
    public async Task<JsonElement> AskAsync(string path, JsonObject? body, bool cached, CancellationToken cancellation)
    {
        var address = new Uri($"{_options.Address.AbsoluteUri}/{path}");
        byte[] content = body is null ? [] : JsonSerializer.SerializeToUtf8Bytes(body);
        if (!cached || _cache is null) return TryParse(await RepeatedAsync(address, body is null ? null : content, cancellation).ConfigureAwait(false))!.Value;
        string name = ResponseCache.Name(address, content);
        // Who asks what another asks already waits for that answer.
        var answer = _underWay.GetOrAdd(name, _ => new Lazy<Task<JsonElement>>(async () =>
        {
            if (_cache.Find(name) is { } known && TryParse(known) is { } earlier) return earlier;
            byte[] response = await RepeatedAsync(address, body is null ? null : content, cancellation).ConfigureAwait(false);
            _cache.Keep(name, response);
            return TryParse(response)!.Value;
        }));
        try
        {
            return await answer.Value.ConfigureAwait(false);
        }
        finally
        {
            _underWay.TryRemove(KeyValuePair.Create(name, answer));
        }
    }

    private async Task<byte[]> RepeatedAsync(Uri address, byte[]? content, CancellationToken cancellation)
    {
        for (int attempt = 0; ; attempt++)
        {
            await _pace.TakeTurnAsync(cancellation).ConfigureAwait(false);
            try
            {
                return await SendAsync(address, content, cancellation).ConfigureAwait(false);
            }
            catch (TransientEndpointException error)
            {
                if (error.RetryAfter > _options.LongestDelay)
                    throw new EndpointException($"{error.Message}, and is asked to wait for {error.RetryAfter.Value.TotalSeconds:F0} s", error.Status, error);
                if (attempt == (_hasAnswered ? _options.Retries : Math.Min(_options.Retries, FirstRetries))) throw new EndpointException($"{error.Message} ({attempt + 1} attempts)", error.Status, error);
                // Whoever limits requests means all of them, whatever is asked.
                if (error.RetryAfter is { } pause) _pace.Pause(pause);
                double backoff = Math.Min(_options.FirstDelay.TotalSeconds * Math.Pow(2, attempt), _options.LongestBackoff.TotalSeconds) * (0.5 + Random.Shared.NextDouble());
                var delay = error.RetryAfter ?? TimeSpan.FromSeconds(backoff);
                Note?.Invoke($"{error.Message}; again in {delay.TotalSeconds:F0} s");
                await Task.Delay(delay, cancellation).ConfigureAwait(false);
            }
        }
    }

    private async Task<byte[]> SendAsync(Uri address, byte[]? content, CancellationToken cancellation)
    {
        string what = $"{address.Authority}{address.AbsolutePath}";
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(_options.Timeout);
        try
        {
            using var request = new HttpRequestMessage(content is null ? HttpMethod.Get : HttpMethod.Post, address);
            if (content is not null) request.Content = new ByteArrayContent(content) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
            using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token).ConfigureAwait(false);
            byte[] bytes = await ReadAsync(response, what, limit.Token).ConfigureAwait(false);
            _hasAnswered |= response.StatusCode is HttpStatusCode.OK or HttpStatusCode.TooManyRequests;
            if (response.StatusCode != HttpStatusCode.OK) throw Refusal(response, what, bytes);
            return TryParse(bytes) is not null ? bytes : throw new TransientEndpointException($"{what}: expected JSON, found {Shown(bytes)}");
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new TransientEndpointException($"{what}: expected an answer, found none in {_options.Timeout.TotalSeconds:F0} s", inner: error);
        }
        catch (HttpRequestException error) when (error.InnerException is AuthenticationException distrust)
        {
            throw new EndpointException($"{what}: expected a trusted connection, found: {OneLine(distrust.Message)}", inner: error);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw new TransientEndpointException($"{what}: expected an answer, found: {OneLine(error.Message)}", inner: error);
        }
    }

    private async Task<byte[]> ReadAsync(HttpResponseMessage response, string what, CancellationToken cancellation)
    {
        using var bytes = new MemoryStream();
        var stream = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        byte[] buffer = new byte[1 << 16];
        for (int count; (count = await stream.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0;)
        {
            if (bytes.Length + count > _options.LargestResponse) throw new EndpointException($"{what}: expected an answer of at most {_options.LargestResponse:N0} bytes, found more");
            bytes.Write(buffer, 0, count);
        }
        return bytes.ToArray();
    }

    private EndpointException Refusal(HttpResponseMessage response, string what, byte[] bytes)
    {
        var status = response.StatusCode;
        string reason = Reason(bytes), found = $"{what}: expected an answer, found HTTP {(int)status}{(reason.Length > 0 ? ": " + reason : "")}";
        if (status is HttpStatusCode.RequestTimeout or (HttpStatusCode)425 or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError and not HttpStatusCode.NotImplemented)
            return new TransientEndpointException(found, status, Delay(response.Headers.RetryAfter));
        if (status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
            found += $" (the key is that of the environment variable {_options.KeyVariable}{(_options.Key is null ? ", which is not set" : "")})";
        return new EndpointException(found, status);
    }

    /// <summary>What an endpoint says is wrong: <c>error.message</c>, or the beginning of whatever it says.</summary>
    private static string Reason(byte[] bytes)
    {
        if (TryParse(bytes) is { ValueKind: JsonValueKind.Object } answer && answer.TryGetProperty("error", out var error))
        {
            if (error.ValueKind == JsonValueKind.String) return OneLine(error.GetString()!);
            if (error.ValueKind == JsonValueKind.Object && error.TryGetProperty("message", out var message) && message.ValueKind == JsonValueKind.String) return OneLine(message.GetString()!);
        }
        return bytes.Length == 0 ? "" : Shown(bytes);
    }

    private static JsonElement? TryParse(byte[] bytes)
    {
        try
        {
            using var json = JsonDocument.Parse(bytes);
            return json.RootElement.Clone();
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static TimeSpan? Delay(RetryConditionHeaderValue? value)
    {
        var delay = value?.Delta ?? (value?.Date is { } date ? date - DateTimeOffset.UtcNow : null);
        return delay < TimeSpan.Zero ? TimeSpan.Zero : delay;
    }

    private static string Shown(byte[] bytes) => bytes.Length == 0 ? "nothing" : $"\"{OneLine(Encoding.UTF8.GetString(bytes, 0, Math.Min(bytes.Length, 400)))}\"";

    /// <summary>A text of somebody else as part of a message: one short line without control characters.</summary>
    private static string OneLine(string text)
    {
        string line = string.Join(' ', string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c)).Split(' ', StringSplitOptions.RemoveEmptyEntries));
        return line.Length > 200 ? line[..200] + "\u2026" : line;
    }

    public void Dispose() => _client.Dispose();
}
