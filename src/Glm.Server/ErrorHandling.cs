using System.Globalization;
using System.Text.Json;
using Glm.Inference;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Glm.Server;

/// <summary>Turns what goes wrong into answers in OpenAI's form. Of what a client cannot mend, it learns nothing but that it happened.</summary>
internal sealed partial class ErrorHandling(RequestDelegate next, ILogger<ErrorHandling> logger)
{
    public async Task InvokeAsync(HttpContext http)
    {
        try
        {
            await next(http).ConfigureAwait(false);
            if (!http.Response.HasStarted && http.Response.StatusCode is 404 or 405 && http.Response.ContentLength is null && http.Response.ContentType is null)
                await WriteAsync(http, http.Response.StatusCode == 405
                    ? new ApiException(405, "invalid_request_error", $"{http.Request.Method} is not a method of this address")
                    : new ApiException(404, "invalid_request_error", "no such address", null, "unknown_url")).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client went away; nobody reads an answer.
        }
        catch (Exception error)
        {
            if (error is BadHttpRequestException or IOException && http.RequestAborted.IsCancellationRequested) return;
            if (StatusOf(error) >= 500 && error is not ApiException) LogUnexpected(logger, error, http.Request.Method, http.Request.Path, http.TraceIdentifier);
            if (!http.Response.HasStarted) await WriteAsync(http, error).ConfigureAwait(false);
            else http.Abort();
        }
    }

    /// <summary>What a client is told of an error.</summary>
    public static ErrorAnswer BodyOf(Exception error) => new(error switch
    {
        ApiException api => new ErrorBody(api.Message, api.Type, api.Parameter, api.Code),
        GlmException glm => new ErrorBody(glm.Message, "invalid_request_error", Parameter(glm.Message), null),
        QueueFullException => new ErrorBody("the server is busy: too many requests are waiting", "rate_limit_error", null, "queue_full"),
        ObjectDisposedException => new ErrorBody("the server is stopping", "server_error", null, "stopping"),
        BadHttpRequestException { StatusCode: 413 } => BodyOf(ApiException.TooLong()).Error,
        BadHttpRequestException => new ErrorBody("the request is malformed", "invalid_request_error", null, null),
        _ => new ErrorBody("something went wrong inside the server", "server_error", null, null),
    });

    /// <summary>The field that a message begins with.</summary>
    private static string? Parameter(string message)
    {
        int colon = message.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && message.AsSpan(0, colon).IndexOfAnyExcept("abcdefghijklmnopqrstuvwxyz_.[]0123456789") < 0 ? message[..colon] : null;
    }

    private static int StatusOf(Exception error) => error switch
    {
        ApiException api => api.Status,
        GlmException => 400,
        QueueFullException => 429,
        ObjectDisposedException => 503,
        BadHttpRequestException bad => bad.StatusCode,
        _ => 500,
    };

    private static Task WriteAsync(HttpContext http, Exception error)
    {
        http.Response.Clear();
        SecurityHeaders.Add(http.Response);
        http.Response.StatusCode = StatusOf(error);
        var retry = error is QueueFullException full ? full.RetryAfter : (error as ApiException)?.RetryAfter;
        if (retry is { } wait) http.Response.Headers.RetryAfter = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        if (http.Response.StatusCode == 401) http.Response.Headers.WWWAuthenticate = "Bearer";
        http.Response.ContentType = "application/json";
        return JsonSerializer.SerializeAsync(http.Response.Body, BodyOf(error), ApiJson.Default.ErrorAnswer, http.RequestAborted);
    }

    [LoggerMessage(21, LogLevel.Error, "{Method} {Path} failed ({Request})")]
    private static partial void LogUnexpected(ILogger logger, Exception error, string method, string path, string request);
}
