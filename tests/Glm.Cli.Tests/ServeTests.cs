using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace Glm.Cli.Tests;

/// <summary><c>glm serve</c>, as far as the command goes: what is served is tested beside the server.</summary>
public sealed class ServeTests(TinyModel model) : IClassFixture<TinyModel>
{
    [Fact]
    public async Task It_serves_models_by_name_until_it_is_stopped()
    {
        int port = FreePort();
        using var stop = new CancellationTokenSource();
        var serving = Task.Run(() => CommandRun.With("", false, stop.Token, "serve", "--model", $"first={model.Path}", "--model", $"second={model.Path}", "--port", $"{port}", "--threads", "1", "--kv-memory", "1MB", "--quiet"));
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        while (!serving.IsCompleted && !await IsReadyAsync(http)) await Task.Delay(50);
        if (serving.IsCompleted) Assert.Fail((await serving).Error);
        var models = JsonNode.Parse(await http.GetStringAsync("/v1/models"))!["data"]!.AsArray();
        Assert.Equal(["first", "second"], models.Select(entry => (string)entry!["id"]!));

        // Nobody else listens there, and one line says so.
        Assert.Contains($"127.0.0.1:{port}", CommandRun.Of("serve", "--model", model.Path, "--port", $"{port}", "--quiet").Reason());
        await stop.CancelAsync();
        Assert.Equal($"http://127.0.0.1:{port}/\n", (await serving).Success());
    }

    [Fact]
    public void A_new_key_is_printed_and_its_hash_beside_it()
    {
        var run = CommandRun.Of("serve", "--new-key", "alice");
        string key = run.Success().Trim();
        string hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(key)));
        Assert.Contains($"\"sha256\": \"{hash}\"", run.Error);
        Assert.DoesNotContain(key, run.Error);
    }

    [Theory]
    [InlineData("port", "--port", "70000")]
    [InlineData("nothing-there", "--config", "nothing-there.json")]
    [InlineData("host", "--host", "example.org")]
    public void What_is_impossible_is_refused(string reason, params string[] options) => Assert.Contains(reason, CommandRun.Of(["serve", "--model", model.Path, .. options]).Reason());

    internal static async Task<bool> IsReadyAsync(HttpClient http)
    {
        try
        {
            return (await http.GetAsync("/ready")).IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false; // not listening yet
        }
    }

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
