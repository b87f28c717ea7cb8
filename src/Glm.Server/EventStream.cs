using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Glm.Server;

/// <summary>Server-sent events on a response. One writer at a time.</summary>
internal sealed class EventStream
{
    private readonly HttpResponse _response;

    public EventStream(HttpResponse response)
    {
        _response = response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no"; // a proxy before us passes each event on at once
        response.HttpContext.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
    }

    /// <summary>Sends an event.</summary>
    public async Task SendAsync<T>(T value, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(value, type);
        byte[] message = [.. "data: "u8, .. json, .. "\n\n"u8];
        await _response.Body.WriteAsync(message, cancellation).ConfigureAwait(false);
        await _response.Body.FlushAsync(cancellation).ConfigureAwait(false);
    }

    /// <summary>Sends what ends a stream.</summary>
    public async Task EndAsync(CancellationToken cancellation)
    {
        await _response.Body.WriteAsync("data: [DONE]\n\n"u8.ToArray(), cancellation).ConfigureAwait(false);
        await _response.Body.FlushAsync(cancellation).ConfigureAwait(false);
    }
}
