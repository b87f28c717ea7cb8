using System.Net;
using System.Net.Http.Headers;
using System.Security.Authentication;

namespace Glm.Hub;

/// <summary>
/// Requests to a hub. Redirects are followed here rather than by the handler, since the token goes to the endpoint's own origin alone, whatever a redirect or a
/// page says; encrypted requests are not redirected to plain ones.
/// </summary>
internal sealed class HubConnection : IDisposable
{
    private const int MostRedirects = 10;

    private readonly HubOptions _options;
    private readonly HttpClient _client;

    public HubConnection(HubOptions options)
    {
        _options = options;
        _client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = options.StallTimeout,
            MaxConnectionsPerServer = options.Connections,
            MaxResponseDrainSize = 0,
            UseProxy = !options.Endpoint.IsLoopback,
        })
        { Timeout = Timeout.InfiniteTimeSpan };
        _client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("glm.net", typeof(HubConnection).Assembly.GetName().Version?.ToString(3)));
        // Hashes and ranges are of the file's own bytes, so nothing may be compressed on the way.
        _client.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
    }

    /// <summary>The answer to a request: 200, 206 or 416; of others an exception says what they mean.</summary>
    /// <param name="address">What is asked for.</param>
    /// <param name="what">What it is, for messages.</param>
    /// <param name="range">First and last byte, or null for all.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="TransientException">There is no answer, or one that may change.</exception>
    /// <exception cref="GlmException">The hub refuses.</exception>
    public async Task<HubResponse> GetAsync(Uri address, string what, (long First, long Last)? range, CancellationToken cancellation)
    {
        var stall = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            for (int redirects = 0; redirects <= MostRedirects; redirects++)
            {
                stall.CancelAfter(_options.StallTimeout);
                var message = await SendAsync(address, what, range, stall.Token, cancellation).ConfigureAwait(false);
                var status = message.StatusCode;
                if (status is HttpStatusCode.OK or HttpStatusCode.PartialContent or HttpStatusCode.RequestedRangeNotSatisfiable)
                    return new HubResponse(message, address, what, stall, _options, cancellation);
                using (message)
                {
                    if (status is not (HttpStatusCode.Moved or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect))
                        throw Refusal(message, what, address);
                    address = Follow(address, message.Headers.Location, what);
                }
            }
            throw new GlmException($"{what}: expected at most {MostRedirects} redirects, found more");
        }
        catch
        {
            stall.Dispose();
            throw;
        }
    }

    /// <summary>The address that another one leads to.</summary>
    /// <exception cref="GlmException">It is no address of the web, or leaves encryption behind.</exception>
    public static Uri Follow(Uri from, Uri? location, string what)
    {
        if (location is null) throw new GlmException($"{what}: expected a redirect to say where, found no address");
        if (!Uri.TryCreate(from, location, out var address) || address.Scheme is not ("http" or "https"))
            throw new GlmException($"{what}: expected a redirect to an address of the web, found {location.OriginalString.Split('?')[0].Shown()}");
        if (from.Scheme == "https" && address.Scheme == "http") throw new GlmException($"{what}: expected a redirect to stay encrypted, found one to http://{address.Authority}");
        return address;
    }

    private async Task<HttpResponseMessage> SendAsync(Uri address, string what, (long First, long Last)? range, CancellationToken stall, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        if (range is { } bytes) request.Headers.Range = new RangeHeaderValue(bytes.First, bytes.Last);
        if (_options.Token is { } token && IsOwnOrigin(address)) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        try
        {
            return await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stall).ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new TransientException($"{what}: expected an answer of {address.Authority}, found none in {_options.StallTimeout.TotalSeconds:F0} s", inner: error);
        }
        catch (HttpRequestException error) when (error.InnerException is AuthenticationException distrust)
        {
            throw new GlmException($"{what}: expected a trusted connection to {address.Authority}, found: {distrust.Message.Shown()}", error);
        }
        catch (HttpRequestException error)
        {
            throw new TransientException($"{what}: expected an answer of {address.Authority}, found: {error.Message.Shown()}", inner: error);
        }
    }

    private bool IsOwnOrigin(Uri address) =>
        Uri.Compare(address, _options.Endpoint, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) == 0;

    private Exception Refusal(HttpResponseMessage message, string what, Uri address)
    {
        int status = (int)message.StatusCode;
        string found = $"{what}: expected the content, found HTTP {status} from {address.Authority}";
        // The address that a storage host is given lasts for a while only; the next attempt asks for a new one.
        bool expired = status == 403 && !IsOwnOrigin(address);
        if (status is 408 or 425 or 429 or >= 500 || expired) return new TransientException(found, Delay(message.Headers.RetryAfter));
        return new GlmException(status switch
        {
            401 or 403 => $"{found}: there is no such model, or it needs {(_options.Token is null ? $"a token in {HubOptions.TokenVariable}" : $"another token than that of {HubOptions.TokenVariable}")} and its terms accepted",
            404 or 410 => $"{found}: there is no such model, revision or file",
            _ => found,
        });
    }

    private static TimeSpan? Delay(RetryConditionHeaderValue? value)
    {
        var delay = value?.Delta ?? (value?.Date is { } date ? date - DateTimeOffset.UtcNow : null);
        return delay < TimeSpan.Zero ? TimeSpan.Zero : delay;
    }

    public void Dispose() => _client.Dispose();
}
