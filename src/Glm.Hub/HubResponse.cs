using System.Net;

namespace Glm.Hub;

/// <summary>An answer whose content has yet to come. A connection that brings too little for too long counts as broken.</summary>
internal sealed class HubResponse(HttpResponseMessage message, Uri address, string what, CancellationTokenSource stall, HubOptions options, CancellationToken cancellation) : IDisposable
{
    private Stream? _content;
    private long _received;
    private int _sinceRenewal;

    /// <summary>200, 206 or 416.</summary>
    public HttpStatusCode Status => message.StatusCode;

    /// <summary>What was asked in the end, after redirects.</summary>
    public Uri Address => address;

    /// <summary>The form of the content, for messages.</summary>
    public string ContentType => message.Content.Headers.ContentType?.MediaType?.Shown() ?? "nothing that says its form";

    /// <summary>A header, or the empty text.</summary>
    public string Header(string name) => message.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : "";

    /// <summary>Holds the headers against what was asked for, before any content is taken.</summary>
    /// <param name="range">First and last byte that were asked for; null for a whole file.</param>
    /// <param name="size">Bytes of the whole file.</param>
    public void Expect((long First, long Last)? range, long size)
    {
        var headers = message.Content.Headers;
        long expected = range is { } r ? r.Last - r.First + 1 : size;
        var status = range is null ? HttpStatusCode.OK : HttpStatusCode.PartialContent;
        if (Status != status) throw new TransientException($"{what}: expected HTTP {(int)status}, found {(int)Status}");
        if (headers.ContentEncoding.Count > 0 && headers.ContentEncoding.Any(encoding => encoding != "identity"))
            throw new TransientException($"{what}: expected bytes as they are, found them encoded as {string.Join(", ", headers.ContentEncoding).Shown()}");
        if (range is { } asked && (headers.ContentRange is not { Unit: "bytes" } found || found.From != asked.First || found.To != asked.Last || (found.Length ?? size) != size))
            throw new TransientException($"{what}: expected bytes {asked.First}-{asked.Last}/{size}, found {headers.ContentRange?.ToString().Shown() ?? "no range"}");
        if ((headers.ContentLength ?? expected) != expected) throw new TransientException($"{what}: expected {expected} bytes, found {headers.ContentLength}");
    }

    /// <summary>The next bytes; none at the end.</summary>
    /// <exception cref="TransientException">The connection is broken or stalled.</exception>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer)
    {
        try
        {
            _content ??= await message.Content.ReadAsStreamAsync(stall.Token).ConfigureAwait(false);
            int read = await _content.ReadAsync(buffer, stall.Token).ConfigureAwait(false);
            _received += read;
            _sinceRenewal += read;
            if (_sinceRenewal >= options.LeastBytes)
            {
                _sinceRenewal = 0;
                stall.CancelAfter(options.StallTimeout);
            }
            return read;
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new TransientException($"{what}: expected more after {_received} bytes, found that {address.Authority} sent less than {options.LeastBytes} bytes in {options.StallTimeout.TotalSeconds:F0} s", inner: error);
        }
        catch (Exception error) when (error is IOException or HttpRequestException)
        {
            throw new TransientException($"{what}: expected more after {_received} bytes, found the connection to {address.Authority} broken", inner: error);
        }
    }

    /// <summary>The whole content.</summary>
    /// <param name="most">Bytes above which it is refused.</param>
    /// <exception cref="GlmException">There is more.</exception>
    public async Task<byte[]> ReadAllAsync(int most)
    {
        using var content = new MemoryStream();
        var buffer = new byte[16 << 10];
        for (int read; (read = await ReadAsync(buffer).ConfigureAwait(false)) > 0; content.Write(buffer, 0, read))
            if (content.Length + read > most) throw new GlmException($"{what}: expected at most {most} bytes, found more");
        return content.ToArray();
    }

    public void Dispose()
    {
        _content?.Dispose();
        message.Dispose();
        stall.Dispose();
    }
}
