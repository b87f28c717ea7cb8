using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Glm.Inference;
using Glm.Tests;

namespace Glm.Server.Tests;

/// <summary>A server with two models, a random ChatGLM3 ("chat") and the shipped one ("blanks"), at any free port.</summary>
public class RunningServer : IAsyncLifetime
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"glm-server-{Guid.NewGuid():N}.gguf");
    private GlmServer? _server;

    public HttpClient Http { get; } = new();

    public Uri Address => _server!.Address;

    protected virtual ServerOptions Options => new() { Port = 0 };

    protected virtual BatchingOptions Batching => new() { KvPages = 256 };

    public async Task InitializeAsync()
    {
        File.WriteAllBytes(_file, new TinyGguf { WithVocabulary = true, Changed = ("chatglm.context_length", 4000u) }.ToArray());
        var load = new LoadOptions { Threads = 1 };
        _server = await GlmServer.StartAsync(Options, (_, _) => [GlmModel.Load(_file, load, Batching, "chat"), GlmModel.Load(null, load, Batching, "blanks")]);
        Http.BaseAddress = Address;
    }

    public async Task StopAsync() => await _server!.DisposeAsync();

    public async Task DisposeAsync()
    {
        await StopAsync();
        Http.Dispose();
        File.Delete(_file);
    }

    /// <summary>Sends JSON; the answer's status and JSON.</summary>
    public async Task<(int Status, JsonNode Json)> PostAsync(string path, string json)
    {
        using var content = new StringContent(json, System.Text.Encoding.UTF8, "application/json");
        using var response = await Http.PostAsync(path, content);
        return ((int)response.StatusCode, (await response.Content.ReadFromJsonAsync<JsonNode>())!);
    }

    /// <summary>The events of a streamed answer.</summary>
    public async Task<List<JsonNode>> EventsAsync(string path, string json)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(json, System.Text.Encoding.UTF8, "application/json") };
        using var response = await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        string[] lines = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.All(lines, line => Assert.StartsWith("data: ", line));
        Assert.Equal("data: [DONE]", lines[^1]);
        return [.. lines[..^1].Select(line => JsonNode.Parse(line[6..])!)];
    }
}
