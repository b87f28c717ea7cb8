using System.Diagnostics;
using Glm.Hub.Tests;

namespace Glm.Cli.Tests;

public sealed class PullTests : IDisposable
{
    private const string Token = "hf_secret";

    private readonly TestHub _hub = new();
    private readonly TemporaryFolder _folder = new();

    public PullTests()
    {
        _hub.Add("config.json", 300);
        _hub.Add("model.safetensors", 4 << 20);
        _hub.Add("model.bin", 20);
    }

    [Fact]
    public void A_model_is_downloaded_and_then_verified()
    {
        var run = Pull("--json");
        Assert.Equal("glm: left out model.bin (20 bytes): safetensors hold these weights; --include takes them\n", run.Error);
        var result = run.Json();
        Assert.Equal((2, (4 << 20) + 300), (result.GetProperty("files").GetInt32(), result.GetProperty("received_bytes").GetInt32()));
        Assert.Equal("model.bin", Assert.Single(result.GetProperty("left_out").EnumerateArray()).GetString());
        IsWhole();
        Assert.Contains("m: 2 files, 4.0 MiB, verified; 0 bytes downloaded in ", Pull().Success());
    }

    [Fact]
    public void What_the_hub_refuses_is_one_line()
    {
        Assert.Contains("HTTP 404", CommandRun.Of("pull", "o/other", "--endpoint", _hub.Endpoint.AbsoluteUri, "--output", _folder["m"], "--quiet").Reason());
        Assert.Contains("--endpoint: expected the address of a hub", CommandRun.Of("pull", "o/m", "--endpoint", "ftp://x").Reason());
        Assert.Contains("--connections", CommandRun.Of("pull", "o/m", "--connections", "0").Reason(CommandLine.WrongUsage));
    }

    [Fact]
    public void A_killed_download_goes_on_and_the_token_is_not_shown()
    {
        Trickle();
        using (var process = Start())
        {
            WaitForPart(process);
            process.Kill();
            process.WaitForExit();
        }
        Assert.False(Directory.Exists(_folder["m"]));
        _hub.Misbehave = null;
        _hub.Requests.Clear();
        using (var process = Start())
        {
            string shown = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, shown);
            Assert.DoesNotContain(Token, shown);
        }
        IsWhole();
        Assert.True(_hub.Requests.Single(request => request.IsFor("model.safetensors")).Range?.First > 0);
        Assert.All(_hub.Requests, request => Assert.Equal($"Bearer {Token}", request.Authorization));
    }

    [UnixFact]
    public void An_interrupted_download_is_130_and_keeps_what_is_there()
    {
        Trickle();
        using var process = Start();
        WaitForPart(process);
        Process.Start("kill", ["-TERM", process.Id.ToString()]).WaitForExit();
        Assert.True(process.WaitForExit(60_000));
        Assert.Equal(130, process.ExitCode);
        Assert.EndsWith("glm: interrupted\n", process.StandardError.ReadToEnd());
        Assert.False(Directory.Exists(_folder["m"]));
        Assert.Single(Directory.GetFiles(_folder["m"] + ".part", "*.part.json", SearchOption.AllDirectories));
        Assert.False(File.Exists(_folder["m"] + ".part.lock"));
    }

    private CommandRun Pull(params string[] options) => CommandRun.Of(["pull", "o/m", "--endpoint", _hub.Endpoint.AbsoluteUri, "--output", _folder["m"], "--quiet", .. options]);

    private Process Start()
    {
        string[] arguments = [typeof(CommandLine).Assembly.Location, "pull", "o/m", "--output", _folder["m"]];
        var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["HF_ENDPOINT"] = _hub.Endpoint.AbsoluteUri;
        start.Environment["HF_TOKEN"] = Token;
        return Process.Start(start)!;
    }

    /// <summary>Waits until some of the weights are there.</summary>
    private void WaitForPart(Process process)
    {
        string parts = Path.Combine(_folder["m"] + ".part", "parts");
        while (!process.HasExited && (!Directory.Exists(parts) || Directory.GetFiles(parts, "*.part.json").Length == 0)) Thread.Sleep(5);
    }

    /// <summary>Lets the weights come slowly, so that a signal meets them on the way.</summary>
    private void Trickle() => _hub.Misbehave = async (request, stream) =>
    {
        if (!request.IsFor("model.safetensors")) return false;
        byte[] content = _hub.Files["model.safetensors"];
        await TestHub.AnswerAsync(stream, "200 OK", $"Content-Length: {content.Length}\r\n", "");
        for (int at = 0; at < content.Length; at += 1 << 14)
        {
            await stream.WriteAsync(content.AsMemory(at, 1 << 14));
            await Task.Delay(30);
        }
        return true;
    };

    private void IsWhole()
    {
        Assert.Equal(["config.json", "model.safetensors"], Directory.GetFiles(_folder["m"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(_hub.Files["model.safetensors"], File.ReadAllBytes(Path.Combine(_folder["m"], "model.safetensors")));
        Assert.False(Directory.Exists(_folder["m"] + ".part"));
    }

    public void Dispose()
    {
        _hub.Dispose();
        _folder.Dispose();
    }
}
