using System.Diagnostics;
using System.Globalization;
using Glm.Tests;

namespace Glm.Cli.Tests;

/// <summary>
/// A server as a process of its own under <c>bench/serve.mjs soak</c>: 64 clients with random lengths, disconnects, malformed and oversized bodies, slow reading and stops. Every answer
/// is compared with the one it has to be; afterwards the server is killed, and another one serves the same.
/// </summary>
public sealed class SoakTests
{
    private const long GrowthAllowed = 150 << 20; // the heap of a busy server moves by some tens of MiB

    [SoakFact(isLong: false)]
    public Task Many_clients_for_some_seconds() => SoakAsync(seconds: 6);

    [SoakFact(isLong: true)]
    public Task Many_clients_for_ten_minutes() => SoakAsync(seconds: 600);

    private static async Task SoakAsync(int seconds)
    {
        int port = ServeTests.FreePort();
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        using var first = await StartAsync(http, port);
        try
        {
            await LoadAsync(port, Math.Min(60, seconds)); // after which memory is warm
            long warm = Resident(first);
            await LoadAsync(port, seconds);
            Assert.InRange(Resident(first), 0, warm + GrowthAllowed);
            Assert.False(first.HasExited);
        }
        finally
        {
            first.Kill();
            first.WaitForExit();
        }
        using var second = await StartAsync(http, port);
        second.Kill();
        second.WaitForExit();
    }

    /// <summary>Keys and values as float32, with which draws are the same whatever they are computed together with.</summary>
    private static async Task<Process> StartAsync(HttpClient http, int port)
    {
        string[] arguments = [typeof(CommandLine).Assembly.Location, "serve", "--model", TestFiles.ShippedModel, "--port", $"{port}", "--kv-cache", "fp32", "--quiet"];
        var server = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardError = true })!;
        var error = server.StandardError.ReadToEndAsync();
        for (var clock = Stopwatch.StartNew(); !await ServeTests.IsReadyAsync(http); await Task.Delay(50))
        {
            if (!server.HasExited && clock.Elapsed < TimeSpan.FromMinutes(2)) continue;
            server.Kill();
            Assert.Fail(await error);
        }
        return server;
    }

    private static async Task LoadAsync(int port, int seconds)
    {
        string[] arguments = [Path.Combine(TestFiles.Repository, "bench", "serve.mjs"), "soak", "--url", $"http://127.0.0.1:{port}", "--seconds", $"{seconds}"];
        using var load = Process.Start(new ProcessStartInfo("node", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = load.StandardError.ReadToEndAsync();
        string output = await load.StandardOutput.ReadToEndAsync();
        await load.WaitForExitAsync();
        Assert.True(load.ExitCode == 0 && output.Contains("\"asked\"", StringComparison.Ordinal), output + await error);
    }

    /// <summary>Bytes of a process that are in memory (Linux tells them).</summary>
    private static long Resident(Process process) =>
        1024 * long.Parse(File.ReadLines($"/proc/{process.Id}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    /// <summary>A test that needs Linux and Node.js.</summary>
    private sealed class SoakFactAttribute : FactAttribute
    {
        public SoakFactAttribute(bool isLong)
        {
            if (!OperatingSystem.IsLinux()) Skip = "needs Linux";
            else if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, "node")))) Skip = "Node.js is absent";
            else if (isLong) Skip = new LongFactAttribute().Skip;
        }
    }
}
