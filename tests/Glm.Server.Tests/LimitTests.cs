using System.Net;
using System.Text;
using Glm.Inference;

namespace Glm.Server.Tests;

/// <summary>Keys, queues, deadlines and stopping.</summary>
public sealed class LimitTests
{
    [Fact]
    public async Task Keys_are_needed_and_limited()
    {
        var (key, hash) = ServerOptions.NewKey();
        var (limitedKey, limitedHash) = ServerOptions.NewKey();
        var (singleKey, singleHash) = ServerOptions.NewKey();
        var server = new LimitedServer(new ServerOptions
        {
            Port = 0,
            Keys = [new KeyOptions { Name = "free", Sha256 = hash }, new KeyOptions { Name = "limited", Sha256 = limitedHash, RequestsPerMinute = 2 },
                new KeyOptions { Name = "single", Sha256 = singleHash, Concurrency = 1 }],
            AllowedOrigins = ["https://friend.example"],
        });
        await server.InitializeAsync();
        async Task<HttpResponseMessage> SendAsync(string? with, string path = "/tokenize", string name = "Authorization")
        {
            var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent("""{"text":"a","prompt":"a","max_tokens":3000,"response_format":{"type":"regex","pattern":"(a{1000}){3}"}}""", Encoding.UTF8, "application/json") };
            if (with is not null) request.Headers.TryAddWithoutValidation(name, name == "Authorization" ? $"Bearer {with}" : with);
            return await server.Http.SendAsync(request);
        }
        var refused = await SendAsync(null);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.Contains("invalid_api_key", await refused.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(key + "x")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(hash)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Http.GetAsync("/v1/models")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/health")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(key)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(key, name: "X-Api-Key")).StatusCode);

        async Task<HttpResponseMessage> SecondAsync()
        {
            var first = SendAsync(singleKey, "/v1/completions");
            await RunsAsync(server, first, key);
            var second = await SendAsync(singleKey);
            await first;
            return second;
        }
        // On a crowded machine the first may be answered before the second is sent, but not every time.
        var second = await SecondAsync();
        for (int again = 0; again < 5 && second.StatusCode == HttpStatusCode.OK; again++) second = await SecondAsync();
        Assert.Equal(HttpStatusCode.TooManyRequests, second.StatusCode);
        Assert.Contains("concurrency_exceeded", await second.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(limitedKey)).StatusCode);
        // On a slow machine what was spent may have come back in the meantime, but not as fast as it is asked for now.
        var third = await SendAsync(limitedKey);
        for (int again = 0; again < 20 && third.StatusCode == HttpStatusCode.OK; again++) third = await SendAsync(limitedKey);
        Assert.Contains("rate_limit_exceeded", await third.Content.ReadAsStringAsync());
        Assert.InRange(third.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);

        using var question = new HttpRequestMessage(HttpMethod.Options, "/v1/completions") { Headers = { { "Origin", "https://friend.example" } } };
        var allowed = await server.Http.SendAsync(question);
        Assert.Equal(HttpStatusCode.NoContent, allowed.StatusCode);
        Assert.Equal("https://friend.example", string.Concat(allowed.Headers.GetValues("Access-Control-Allow-Origin")));
        await server.DisposeAsync();
    }

    [Fact]
    public async Task A_full_queue_asks_to_come_again_and_time_runs_out()
    {
        var server = new LimitedServer(new ServerOptions { Port = 0, DrainSeconds = 0.2 }, new BatchingOptions { MaxBatch = 1, MaxQueue = 2, KvPages = 256 });
        await server.InitializeAsync();
        // Of random weights any token may be the last one: forms that have to be written out are not over by themselves.
        var busy = Enumerable.Range(0, 12).Select(_ => server.PostAsync("/v1/completions", """{"prompt":"a","max_tokens":200,"response_format":{"type":"regex","pattern":"a{300}"}}""")).ToArray();
        var answers = await Task.WhenAll(busy);
        Assert.Contains(answers, answer => answer.Status == 429 && (string)answer.Json["error"]!["code"]! == "queue_full");
        Assert.Contains(answers, answer => answer.Status == 200);
        Assert.All(answers, answer => Assert.True(answer.Status is 200 or 429));
        var late = await server.PostAsync("/v1/completions", """{"prompt":"a","max_tokens":3000,"timeout":0.001,"response_format":{"type":"regex","pattern":"([a-z ]{1000}){3}"}}""");
        Assert.Equal((504, "timeout"), (late.Status, (string)late.Json["error"]!["code"]!));
        await server.DisposeAsync();
    }

    [Fact]
    public async Task Stopping_lets_requests_finish()
    {
        var server = new LimitedServer(new ServerOptions { Port = 0, DrainSeconds = 60 });
        await server.InitializeAsync();
        var (_, warm) = await server.PostAsync("/v1/completions", """{"prompt":"a","max_tokens":300,"temperature":0}""");
        var running = server.PostAsync("/v1/completions", """{"prompt":"a","max_tokens":1500,"temperature":0}""");
        await RunsAsync(server, running);
        var stopping = server.StopAsync();
        var (status, answer) = await running;
        Assert.Equal(200, status);
        Assert.StartsWith((string)warm["choices"]![0]!["text"]!, (string)answer["choices"]![0]!["text"]!);
        await stopping;
        await Assert.ThrowsAsync<HttpRequestException>(() => server.Http.GetAsync("/health"));
    }

    /// <summary>Waits until the server computes a request, or has answered it.</summary>
    private static async Task RunsAsync(LimitedServer server, Task request, string key = "")
    {
        while (!request.IsCompleted)
        {
            var metrics = await server.Http.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/metrics") { Headers = { { "X-Api-Key", key } } });
            if ((await metrics.Content.ReadAsStringAsync()).Contains("glm_requests_running{gen_ai_request_model=\"chat\"} 1")) return;
            await Task.Delay(1);
        }
    }

    [Fact]
    public void Options_come_from_a_file_the_environment_and_flags()
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(file, """{"port": 1000, "max_choices": 3, "keys": [{"name": "a", "sha256": "HASH", "priority": 2}]}""".Replace("HASH", new string('a', 64)));
        var options = ServerOptions.Read(file, [new("GLM_SERVE_PORT", "2000"), new("GLM_SERVE_MAX_CHOICES", "5"), new("OTHER", "x")], new() { ["port"] = 3000 });
        Assert.Equal((3000, 5, 2), (options.Port, options.MaxChoices, options.Keys[0].Priority));
        Assert.Equal("127.0.0.1", options.Host);
        Assert.Contains("max_choices", Assert.Throws<GlmException>(() => ServerOptions.Read(file, [new("GLM_SERVE_MAX_CHOICES", "0")], [])).Message);
        Assert.Contains("nothing", Assert.Throws<GlmException>(() => ServerOptions.Read(file, [], new() { ["nothing"] = 1 })).Message);
        File.WriteAllText(file, "[1");
        Assert.Throws<GlmException>(() => ServerOptions.Read(file, [], []));
        File.Delete(file);
        Assert.Throws<GlmException>(() => ServerOptions.Read(file, [], []));
        Assert.Throws<GlmException>(() => ServerOptions.Read(null, [], new() { ["keys"] = new System.Text.Json.Nodes.JsonArray(new System.Text.Json.Nodes.JsonObject { ["name"] = "a", ["sha256"] = "12" }) }));
    }

    private sealed class LimitedServer(ServerOptions options, BatchingOptions? batching = null) : RunningServer
    {
        protected override ServerOptions Options => options;

        protected override BatchingOptions Batching => batching ?? base.Batching;
    }
}
