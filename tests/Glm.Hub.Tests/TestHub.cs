using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Glm.Hub.Tests;

/// <summary>A request as a hub sees it.</summary>
/// <param name="Target">Path and query.</param>
/// <param name="Headers">By name.</param>
/// <param name="Number">How many requests for the same target came before.</param>
internal sealed record TestRequest(string Target, Dictionary<string, string> Headers, int Number)
{
    public string? Authorization => Headers.GetValueOrDefault("Authorization");

    public bool IsFor(string path) => Target.EndsWith($"/resolve/main/{path}", StringComparison.Ordinal);

    public bool IsList => Target.StartsWith("/api/", StringComparison.Ordinal);

    /// <summary>First and last byte that are asked for, or null.</summary>
    public (int First, int Last)? Range => Headers.GetValueOrDefault("Range") is { } text && text["bytes=".Length..].Split('-') is [var first, var last]
        ? (int.Parse(first, CultureInfo.InvariantCulture), int.Parse(last, CultureInfo.InvariantCulture)) : null;
}

/// <summary>A hub on the loopback with one repository, o/m, byte by byte on a socket, so that it can lie about anything.</summary>
internal sealed class TestHub : IDisposable
{
    public const string Repository = "o/m";
    private const int LargeFrom = 1000;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, int> _counts = new();

    public TestHub()
    {
        _listener.Start();
        _ = AcceptAsync();
    }

    public Uri Endpoint => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    public Dictionary<string, byte[]> Files { get; } = [];

    public ConcurrentQueue<TestRequest> Requests { get; } = new();

    public int PageSize { get; set; } = 1000;

    /// <summary>Where large files are; here if null.</summary>
    public TestHub? Storage { get; set; }

    /// <summary>Answers a request in its own way and says true, or leaves it to the hub.</summary>
    public Func<TestRequest, Stream, Task<bool>>? Misbehave { get; set; }

    /// <summary>Adds a file of bytes that its name determines.</summary>
    public byte[] Add(string path, int size)
    {
        var bytes = new byte[size];
        new Random(path.Length + size).NextBytes(bytes);
        return Files[path] = bytes;
    }

    public static async Task AnswerAsync(Stream stream, string status, string headers, byte[] body)
    {
        await stream.WriteAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n"));
        await stream.WriteAsync(body);
    }

    public static Task AnswerAsync(Stream stream, string status, string headers, string body) => AnswerAsync(stream, status, headers, Encoding.UTF8.GetBytes(body));

    /// <summary>The answer of an honest hub to a request for a file, or only some of its bytes.</summary>
    public static Task ServeAsync(Stream stream, TestRequest request, byte[] content, int? cutAt = null)
    {
        var (first, last) = request.Range ?? (0, content.Length - 1);
        byte[] body = content[first..(last + 1)];
        string headers = $"Content-Length: {body.Length}\r\nETag: \"x\"\r\n" + (request.Range is null ? "" : $"Content-Range: bytes {first}-{last}/{content.Length}\r\n");
        return AnswerAsync(stream, request.Range is null ? "200 OK" : "206 Partial Content", headers, body[..Math.Min(cutAt ?? body.Length, body.Length)]);
    }

    /// <summary>An entry of the list.</summary>
    public static Dictionary<string, object> Entry(string path, byte[] content)
    {
        string git = Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));
        var entry = new Dictionary<string, object> { ["type"] = "file", ["oid"] = git, ["size"] = content.Length, ["path"] = path };
        if (content.Length >= LargeFrom) entry["lfs"] = new { oid = Convert.ToHexStringLower(SHA256.HashData(content)), size = content.Length, pointerSize = 134 };
        return entry;
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                _ = HandleAsync(client);
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task HandleAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                var stream = client.GetStream();
                if (await ReadAsync(stream) is not { } request) return;
                Requests.Enqueue(request);
                if (Misbehave is not { } misbehave || !await misbehave(request, stream)) await AnswerAsync(request, stream);
                // What was sent arrives before the connection ends.
                client.Client.Shutdown(SocketShutdown.Send);
                await stream.CopyToAsync(Stream.Null, _stop.Token);
            }
            catch (Exception error) when (error is IOException or SocketException or OperationCanceledException or ObjectDisposedException) { }
        }
    }

    private async Task<TestRequest?> ReadAsync(Stream stream)
    {
        var head = new List<byte>();
        var one = new byte[1];
        while (!head.TakeLast(4).SequenceEqual("\r\n\r\n"u8.ToArray()))
        {
            if (await stream.ReadAsync(one, _stop.Token) == 0) return null;
            head.Add(one[0]);
        }
        string[] lines = Encoding.ASCII.GetString([.. head]).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        string target = lines[0].Split(' ')[1];
        var headers = lines[1..].Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.OrdinalIgnoreCase);
        return new TestRequest(target, headers, _counts.AddOrUpdate(target, 0, (_, count) => count + 1));
    }

    private Task AnswerAsync(TestRequest request, Stream stream)
    {
        string list = $"/api/models/{Repository}/tree/main?recursive=true", files = $"/{Repository}/resolve/main/";
        if (request.Target.StartsWith(list, StringComparison.Ordinal))
        {
            int page = request.Target.Split("cursor=") is [_, var cursor] ? int.Parse(cursor, CultureInfo.InvariantCulture) : 0;
            var entries = Files.Select(file => Entry(file.Key, file.Value)).Skip(page * PageSize).Take(PageSize).Prepend(new() { ["type"] = "directory", ["path"] = "folder", ["oid"] = "", ["size"] = 0 });
            string link = (page + 1) * PageSize < Files.Count ? $"Link: <{Endpoint}{list[1..]}&cursor={page + 1}>; rel=\"next\"\r\n" : "";
            return AnswerAsync(stream, "200 OK", $"Content-Type: application/json\r\n{link}", JsonSerializer.Serialize(entries));
        }
        if (!request.Target.StartsWith(files, StringComparison.Ordinal) || !Files.TryGetValue(Uri.UnescapeDataString(request.Target[files.Length..]), out var content))
            return AnswerAsync(stream, "404 Not Found", "", "<html>");
        if (content.Length >= LargeFrom && Storage is not null)
        {
            Storage.Files[Uri.UnescapeDataString(request.Target[files.Length..])] = content;
            return AnswerAsync(stream, "302 Found", $"Location: {Storage.Endpoint}{request.Target[1..]}\r\n", "");
        }
        return ServeAsync(stream, request, content);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Stop();
    }
}
