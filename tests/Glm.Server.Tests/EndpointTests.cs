using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace Glm.Server.Tests;

public sealed class EndpointTests(RunningServer server) : IClassFixture<RunningServer>
{
    [Fact]
    public async Task Completions_are_the_same_streamed_or_not()
    {
        const string body = """{"model":"blanks","prompt":["The old house","春天"],"n":2,"max_tokens":12,"temperature":0.8,"seed":5,"echo":true,"logprobs":2""";
        var (status, whole) = await server.PostAsync("/v1/completions", body + "}");
        Assert.Equal(200, status);
        Assert.Equal(4, whole["choices"]!.AsArray().Count);
        var events = await server.EventsAsync("/v1/completions", body + ""","stream":true,"stream_options":{"include_usage":true}}""");
        for (int i = 0; i < 4; i++)
        {
            var choice = whole["choices"]![i]!;
            var parts = events.SelectMany(e => e["choices"]!.AsArray()).Where(part => (int)part!["index"]! == i).ToArray();
            Assert.Equal((string)choice["text"]!, string.Concat(parts.Select(part => (string)part!["text"]!)));
            Assert.Equal((string)choice["finish_reason"]!, parts.Select(part => (string?)part!["finish_reason"]).Single(reason => reason is not null));
            var logprobs = choice["logprobs"]!;
            int count = logprobs["tokens"]!.AsArray().Count;
            Assert.Equal(count, logprobs["text_offset"]!.AsArray().Count);
            Assert.Equal(count, parts.Sum(part => part!["logprobs"]?["tokens"]?.AsArray().Count ?? 0));
            Assert.StartsWith(i < 2 ? "The old house" : "春天", (string)choice["text"]!);
        }
        Assert.NotEqual((string)whole["choices"]![0]!["text"]!, (string)whole["choices"]![1]!["text"]!);
        Assert.Equal((int)whole["usage"]!["completion_tokens"]!, (int)events[^1]["usage"]!["completion_tokens"]!);
    }

    /// <summary>What evaluation harnesses ask: the probability of a text, and nothing new.</summary>
    [Theory]
    [InlineData("chat")]
    [InlineData("blanks")]
    public async Task A_text_can_be_scored(string model)
    {
        var (_, tokens) = await server.PostAsync("/tokenize", $$"""{"model":"{{model}}","text":"The old house"}""");
        var (status, answer) = await server.PostAsync("/v1/completions", $$"""{"model":"{{model}}","prompt":"The old house","max_tokens":0,"echo":true,"logprobs":1}""");
        Assert.Equal(200, status);
        Assert.Equal("The old house", (string)answer["choices"]![0]!["text"]!);
        var scores = answer["choices"]![0]!["logprobs"]!["token_logprobs"]!.AsArray();
        Assert.Equal((int)tokens["count"]!, scores.Count);
        Assert.All(scores, score => Assert.True((double)score! < 0)); // what the model puts before a text predicts even its first token
    }

    [Fact]
    public async Task Ids_are_a_prompt_as_well()
    {
        var (_, tokens) = await server.PostAsync("/tokenize", """{"model":"chat","text":"Hello"}""");
        string ids = tokens["ids"]!.ToJsonString();
        var (_, ofText) = await server.PostAsync("/v1/completions", """{"prompt":"Hello","temperature":0}""");
        var (_, ofIds) = await server.PostAsync("/v1/completions", $$"""{"prompt":{{ids}},"temperature":0}""");
        var (_, ofLists) = await server.PostAsync("/v1/completions", $$"""{"prompt":[{{ids}}],"temperature":0}""");
        Assert.Equal((string)ofText["choices"]![0]!["text"]!, (string)ofIds["choices"]![0]!["text"]!);
        Assert.Equal((string)ofText["choices"]![0]!["text"]!, (string)ofLists["choices"]![0]!["text"]!);
        Assert.Equal(16, (int)ofText["usage"]!["completion_tokens"]!);
        var (_, text) = await server.PostAsync("/detokenize", $$"""{"ids":{{ids}}}""");
        Assert.Equal("Hello", (string)text["text"]!);
    }

    [Fact]
    public async Task Stops_biases_and_penalties_steer()
    {
        async Task<string> TextAsync(string more) => (string)(await server.PostAsync("/v1/completions", $$"""{"model":"blanks","prompt":"The old house","max_tokens":30,"temperature":0{{more}}}""")).Json["choices"]![0]!["text"]!;
        string free = await TextAsync("");
        Assert.Equal(free[..free.IndexOf(free[4..7], StringComparison.Ordinal)], await TextAsync($$""","stop":{{JsonValue.Create(free[4..7])!.ToJsonString()}}"""));
        Assert.NotEqual(free, await TextAsync(""","frequency_penalty":2,"presence_penalty":2"""));
        var (_, tokens) = await server.PostAsync("/tokenize", """{"model":"blanks","text":"cat"}""");
        Assert.Contains(((string)tokens["tokens"]![0]!["text"]!).Trim(), await TextAsync($$""","logit_bias":{"{{tokens["ids"]![0]}}":100}"""));
    }

    [Fact]
    public async Task Blanks_are_filled_with_alternatives()
    {
        var (status, answer) = await server.PostAsync("/v1/fill", """{"model":"blanks","text":"The [MASK] of France is [MASK].","alternatives":3,"max_tokens":8}""");
        Assert.Equal(200, status);
        Assert.Equal(2, answer["blanks"]!.AsArray().Count);
        Assert.All(answer["blanks"]!.AsArray(), blank =>
        {
            double[] probabilities = [.. blank!["alternatives"]!.AsArray().Select(other => (double?)other!["probability"] ?? 0)];
            Assert.Equal(3, probabilities.Length);
            Assert.Equal(probabilities.OrderDescending(), probabilities);
        });
        Assert.StartsWith("The", (string)answer["text"]!);
        Assert.Equal(400, (await server.PostAsync("/v1/fill", """{"model":"chat","text":"A [MASK]."}""")).Status);
    }

    [Fact]
    public async Task A_pattern_is_kept()
    {
        var (_, answer) = await server.PostAsync("/v1/completions", """{"prompt":"Hello","max_tokens":60,"response_format":{"type":"regex","pattern":"(yes|no), [a-z]{3} 猫"}}""");
        Assert.Matches("^(yes|no), [a-z]{3} 猫$", (string)answer["choices"]![0]!["text"]!);
        var (_, any) = await server.PostAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"x"}],"max_tokens":3000,"seed":1,"temperature":1.5,"response_format":{"type":"json_object"}}""");
        if ((string)any["choices"]![0]!["finish_reason"]! == "stop") JsonNode.Parse((string)any["choices"]![0]!["message"]!["content"]!)!.AsObject();
    }

    [Theory]
    [InlineData("/v1/completions", "{", "body")]
    [InlineData("/v1/completions", "[]", "body")]
    [InlineData("/v1/completions", "{}", "prompt")]
    [InlineData("/v1/completions", """{"prompt":5}""", "prompt")]
    [InlineData("/v1/completions", """{"prompt":[[1,-1]]}""", "prompt")]
    [InlineData("/v1/completions", """{"prompt":"\ud800"}""", "surrogate")]
    [InlineData("/v1/completions", """{"prompt":""}""", "prompt")]
    [InlineData("/v1/completions", """{"prompt":"a","max_tokens":-1}""", "max_tokens")]
    [InlineData("/v1/completions", """{"prompt":"a","max_tokens":0}""", "max_tokens")]
    [InlineData("/v1/completions", """{"prompt":"a","max_tokens":99999999}""", "max_tokens")]
    [InlineData("/v1/completions", """{"prompt":"a","temperature":"hot"}""", "temperature")]
    [InlineData("/v1/completions", """{"prompt":"a","temperature":1e999}""", "temperature")]
    [InlineData("/v1/completions", """{"prompt":"a","n":1000}""", "n")]
    [InlineData("/v1/completions", """{"prompt":"a","stop":[""]}""", "stop")]
    [InlineData("/v1/completions", """{"prompt":"a","logit_bias":{"x":1}}""", "logit_bias")]
    [InlineData("/v1/completions", """{"prompt":"a","prompt":"b"}""", "body")]
    [InlineData("/v1/chat/completions", """{"messages":[]}""", "messages")]
    [InlineData("/v1/chat/completions", """{"messages":[{"role":"king","content":"x"}]}""", "role")]
    [InlineData("/v1/chat/completions", """{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}""", "content")]
    [InlineData("/v1/chat/completions", """{"model":"blanks","messages":[{"role":"user","content":"x"}]}""", "chats")]
    [InlineData("/v1/chat/completions", """{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"schema":{"oneOf":[]}}}}""", "oneOf")]
    [InlineData("/v1/chat/completions", """{"messages":[{"role":"user","content":"x"}],"top_logprobs":2}""", "logprobs")]
    [InlineData("/v1/embeddings", """{"model":"chat","input":"x"}""", "causal")]
    [InlineData("/v1/embeddings", """{"model":"blanks","input":[]}""", "input")]
    [InlineData("/v1/fill", """{"model":"blanks","text":"[xMASK]"}""", "text")]
    [InlineData("/tokenize", """{"text":null}""", "text")]
    [InlineData("/detokenize", """{"ids":[1e9]}""", "ids")]
    public async Task A_wrong_request_is_told_what_is_wrong(string path, string body, string reason)
    {
        var (status, answer) = await server.PostAsync(path, body);
        Assert.Equal(400, status);
        Assert.Contains(reason, (string)answer["error"]!["message"]!);
        Assert.Equal("invalid_request_error", (string)answer["error"]!["type"]!);
    }

    [Fact]
    public async Task Addresses_methods_types_and_sizes_are_checked()
    {
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.GetAsync("/v2/none")).StatusCode);
        Assert.Contains("unknown_url", await (await server.Http.GetAsync("/v2/none")).Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await server.Http.GetAsync("/v1/completions")).StatusCode);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await server.Http.PostAsync("/v1/completions", new StringContent("""{"prompt":"a"}""", Encoding.UTF8, "text/plain"))).StatusCode);
        foreach (int bytes in new[] { (1 << 20) - 10, 2 << 20, 8 << 20 }) // the envelope has eleven bytes
        {
            var (status, answer) = await server.PostAsync("/tokenize", $$"""{"text":"{{new string('a', bytes)}}"}""");
            Assert.Equal((413, "body_too_large"), (status, (string)answer["error"]!["code"]!));
        }
        using var misdirected = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { Host = "evil.example" } };
        Assert.Equal(HttpStatusCode.MisdirectedRequest, (await server.Http.SendAsync(misdirected)).StatusCode);
        using var elsewhere = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { { "Origin", "https://evil.example" } } };
        Assert.False((await server.Http.SendAsync(elsewhere)).Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task Health_metrics_description_and_page_are_there()
    {
        Assert.Equal("""{"status":"ok"}""", await server.Http.GetStringAsync("/health"));
        Assert.Equal("""{"status":"ready"}""", await server.Http.GetStringAsync("/ready"));
        await server.PostAsync("/v1/completions", """{"prompt":"Hello"}""");
        string metrics = await server.Http.GetStringAsync("/metrics");
        foreach (string name in new[] { "glm_kv_pages_used{gen_ai_request_model=\"chat\"}", "gen_ai_server_time_to_first_token_seconds_bucket", "glm_requests_waiting", "glm_tokens_new_total", "glm_http_requests_total{path=\"/v1/completions\",status=\"200\"}" })
            Assert.Contains(name, metrics);
        var description = JsonNode.Parse(await server.Http.GetStringAsync("/openapi.json"))!;
        foreach (string path in new[] { "/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/fill", "/v1/models", "/tokenize", "/detokenize", "/health", "/ready", "/metrics" })
            Assert.NotNull(description["paths"]![path]);
        var page = await server.Http.GetAsync("/");
        Assert.Contains("default-src 'none'", string.Concat(page.Headers.GetValues("Content-Security-Policy")));
        foreach (string file in new[] { "/app.js", "/words.js", "/style.css", "/icon.svg" }) Assert.True((await server.Http.GetAsync(file)).IsSuccessStatusCode);
    }

    /// <summary>Many callers at once, each of whom gets what it gets alone; some leave.</summary>
    [Fact]
    public async Task Answers_are_not_mixed_and_callers_who_leave_do_no_harm()
    {
        string Body(int i) => $$"""{"prompt":"Question {{i}}","max_tokens":{{5 + i % 20}},"temperature":0.9,"seed":{{i}}}""";
        string[] expected = new string[12];
        for (int i = 0; i < expected.Length; i++) expected[i] = (string)(await server.PostAsync("/v1/completions", Body(i))).Json["choices"]![0]!["text"]!;
        var leaving = Enumerable.Range(0, 10).Select(async i =>
        {
            using var patience = new CancellationTokenSource(20 + 10 * i);
            try
            {
                using var content = new StringContent("""{"prompt":"Long","max_tokens":3000,"stream":true}""", Encoding.UTF8, "application/json");
                await server.Http.PostAsync("/v1/completions", content, patience.Token);
            }
            catch (OperationCanceledException)
            {
                // as it should be
            }
        });
        var answers = Task.WhenAll(Enumerable.Range(0, 48).Select(async i => (i, Text: (string)(await server.PostAsync("/v1/completions", Body(i % expected.Length))).Json["choices"]![0]!["text"]!)));
        await Task.WhenAll(leaving);
        foreach (var (i, text) in await answers) Assert.Equal(expected[i % expected.Length], text);
    }
}
