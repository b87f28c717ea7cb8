using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Glm.Tests;

namespace Glm.Cli.Tests;

/// <summary>A server whose model several processes share.</summary>
public sealed class ParallelServeTests
{
    private static readonly JsonObject[] Questions = [.. Enumerable.Range(0, 6).Select(i => new JsonObject
    {
        ["prompt"] = string.Concat(Enumerable.Repeat("The old house at the end of the street was empty. ", 1 + i)) + "At night",
        ["max_tokens"] = 8 + (4 * i),
        ["temperature"] = i % 2,
        ["seed"] = i,
    })];

    [MpiFact]
    public async Task Ranks_answer_what_one_process_does_until_the_first_is_told_to_stop()
    {
        string[] expected;
        await using (var model = GlmModel.Load(load: new LoadOptions { Threads = 1 }))
            expected = await Task.WhenAll(Questions.Select(async question => (await model.Complete(
                (string)question["prompt"]!, new TextOptions { MaxTokens = (int)question["max_tokens"]!, Temperature = (int)question["temperature"]!, Seed = (ulong)(int)question["seed"]! }).Result).Text));
        var job = Start(out var http);
        using (http)
        {
            await ReadyAsync(job, http);
            Assert.Equal(expected, await Task.WhenAll(Questions.Select(question => AskAsync(http, question))));
            // What was kept of their beginnings is found by all ranks.
            Assert.Equal(expected, await Task.WhenAll(Questions.Select(question => AskAsync(http, question))));
            using var refused = await http.PostAsJsonAsync("/v1/embeddings", new { input = "text" });
            Assert.Equal(400, (int)refused.StatusCode);
        }
        Signal("-TERM", Rank(job, 0));
        var (code, _, error) = Mpirun.Finish(job);
        Assert.True(code == 0, error);
    }

    [MpiFact]
    public async Task A_rank_that_dies_ends_the_server()
    {
        var job = Start(out var http);
        using (http)
        {
            await ReadyAsync(job, http);
            Signal("-KILL", Rank(job, 1));
            var (code, _, error) = Mpirun.Finish(job);
            Assert.NotEqual(0, code);
            Assert.Contains("rank 1", error);
            await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync("/health"));
        }
    }

    private static Process Start(out HttpClient http)
    {
        int port = ServeTests.FreePort();
        http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        return Mpirun.Start(2, [typeof(CommandLine).Assembly.Location, "serve", "--port", $"{port}", "--threads", "1", "--quiet"]);
    }

    private static async Task ReadyAsync(Process job, HttpClient http)
    {
        for (var clock = Stopwatch.StartNew(); !await ServeTests.IsReadyAsync(http); await Task.Delay(100))
        {
            if (!job.HasExited && clock.Elapsed < TimeSpan.FromMinutes(2)) continue;
            if (!job.HasExited) job.Kill(entireProcessTree: true);
            Assert.Fail(Mpirun.Finish(job).Error);
        }
    }

    private static async Task<string> AskAsync(HttpClient http, JsonObject question)
    {
        using var answer = await http.PostAsJsonAsync("/v1/completions", question);
        return (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["choices"]![0]!["text"]!;
    }

    /// <summary>The process that is a rank of a job.</summary>
    private static int Rank(Process job, int rank) => Directory.GetDirectories("/proc").Select(folder => int.TryParse(Path.GetFileName(folder), out int id) ? id : 0).First(id =>
    {
        try
        {
            return id > 0 && File.ReadAllText($"/proc/{id}/stat").Split(") ")[^1].Split(' ')[1] == $"{job.Id}" && File.ReadAllText($"/proc/{id}/environ").Split('\0').Contains($"OMPI_COMM_WORLD_RANK={rank}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false; // it has ended meanwhile
        }
    });

    private static void Signal(string signal, int process) => Process.Start("kill", [signal, $"{process}"]).WaitForExit();
}
