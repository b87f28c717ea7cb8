using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Glm.Evaluation.Tests;

/// <summary>A request as an endpoint sees it.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Headers">By name.</param>
/// <param name="Body">What is asked.</param>
/// <param name="Number">How many requests with the same path and body came before.</param>
internal sealed record EndpointRequest(string Path, Dictionary<string, string> Headers, JsonObject Body, int Number)
{
    /// <summary>Whether the endpoint is only looked at.</summary>
    public bool IsProbe => Prompt == "One two three" || Path.EndsWith("/models", StringComparison.Ordinal);

    /// <summary>The prompt of a completion, or the last message of a chat.</summary>
    public string Prompt => (string?)Body["prompt"] ?? (string?)Body["messages"]?[0]?["content"] ?? "";
}

/// <summary>An endpoint on the loopback, byte by byte on a socket, so that it can fail in every way. Its tokens are words with the space before them; a word w has the log-probability -w.Length / 10.</summary>
internal sealed partial class TestEndpoint : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, int> _counts = new();

    public TestEndpoint()
    {
        _listener.Start();
        _ = AcceptAsync();
    }

    public string Address => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/v1";

    public ConcurrentQueue<EndpointRequest> Requests { get; } = new();

    public bool HasCompletions { get; set; } = true;

    public bool HasProbabilities { get; set; } = true;

    public bool HasChat { get; set; } = true;

    /// <summary>What the model writes.</summary>
    public Func<string, string> Writes { get; set; } = _ => " nothing";

    /// <summary>Answers a request in its own way and says true, or leaves it to the endpoint.</summary>
    public Func<EndpointRequest, Stream, Task<bool>>? Misbehave { get; set; }

    public static string[] Words(string text) => [.. Word().Matches(text).Select(match => match.Value)];

    public static double Score(string word) => -word.Length / 10.0;

    public static async Task AnswerAsync(Stream stream, string status, string body, string headers = "", int? length = null)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        await stream.WriteAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length ?? bytes.Length}\r\n{headers}\r\n"));
        await stream.WriteAsync(bytes);
    }

    public async Task ServeAsync(EndpointRequest request, Stream stream)
    {
        bool chat = request.Path.EndsWith("/chat/completions", StringComparison.Ordinal);
        if (request.Path.EndsWith("/models", StringComparison.Ordinal)) await AnswerAsync(stream, "200 OK", """{"data":[{"id":"m"}]}""");
        else if (chat ? !HasChat : !HasCompletions) await AnswerAsync(stream, "404 Not Found", """{"error":{"message":"no such thing"}}""");
        else if (!chat && request.Body["echo"] is not null && !HasProbabilities) await AnswerAsync(stream, "400 Bad Request", """{"error":{"message":"echo is not supported"}}""");
        else await AnswerAsync(stream, "200 OK", Reply(request, chat).ToJsonString());
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Stop();
    }

    private JsonObject Reply(EndpointRequest request, bool chat)
    {
        var choices = new JsonArray();
        for (int i = 0; i < ((int?)request.Body["n"] ?? 1); i++)
        {
            string text = Writes(request.Prompt);
            var choice = new JsonObject { ["index"] = i };
            if (chat) choice["message"] = new JsonObject { ["role"] = "assistant", ["content"] = text };
            else if (request.Body["echo"] is null) choice["text"] = text;
            else
            {
                string[] words = [.. Words(request.Prompt), " more"];
                int at = 0;
                var offsets = new JsonArray();
                foreach (string word in words)
                {
                    offsets.Add(at);
                    at += word.EnumerateRunes().Count();
                }
                choice["text"] = request.Prompt + " more";
                choice["logprobs"] = new JsonObject
                {
                    ["tokens"] = new JsonArray([.. words.Select(word => (JsonNode)word)]),
                    ["token_logprobs"] = new JsonArray([.. words.Select((word, w) => w == 0 ? null : (JsonNode)Score(word))]),
                    ["text_offset"] = offsets,
                };
            }
            choices.Add(choice);
        }
        return new JsonObject { ["choices"] = choices, ["usage"] = new JsonObject { ["prompt_tokens"] = Words(request.Prompt).Length, ["completion_tokens"] = 1 } };
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token));
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        try
        {
            using (client)
            {
                var stream = client.GetStream();
                if (await ReadAsync(stream) is not { } request) return;
                Requests.Enqueue(request);
                if (Misbehave is null || !await Misbehave(request, stream)) await ServeAsync(request, stream);
            }
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException)
        {
            // The client went away.
        }
    }

    private async Task<EndpointRequest?> ReadAsync(Stream stream)
    {
        var bytes = new List<byte>();
        byte[] one = new byte[1];
        while (bytes.Count < 4 || !bytes[^4..].SequenceEqual("\r\n\r\n"u8.ToArray()))
        {
            if (await stream.ReadAsync(one) == 0) return null;
            bytes.Add(one[0]);
        }
        string[] lines = Encoding.ASCII.GetString([.. bytes]).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var headers = lines.Skip(1).Select(line => line.Split(':', 2)).ToDictionary(pair => pair[0], pair => pair[1].Trim(), StringComparer.OrdinalIgnoreCase);
        byte[] body = new byte[headers.TryGetValue("Content-Length", out string? length) ? int.Parse(length, System.Globalization.CultureInfo.InvariantCulture) : 0];
        await stream.ReadExactlyAsync(body);
        string path = lines[0].Split(' ')[1], text = Encoding.UTF8.GetString(body);
        return new EndpointRequest(path, headers, body.Length == 0 ? [] : (JsonObject)JsonNode.Parse(text)!, _counts.AddOrUpdate(path + text, 0, (_, count) => count + 1));
    }

    [GeneratedRegex(@"\n| ?\S+|\s")]
    private static partial Regex Word();
}
