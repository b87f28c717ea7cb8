using System.Text;
using System.Text.Json.Nodes;

namespace Glm.Server.Tests;

/// <summary>Bodies that are nearly right: whatever is sent, the answer is one of success or of a client's error, never of the server's.</summary>
public sealed class FuzzTests : IAsyncLifetime
{
    private static readonly (string Path, string Body)[] Seeds =
    [
        ("/v1/completions", """{"model":"chat","prompt":"Hello","max_tokens":3,"temperature":0.5,"top_p":0.9,"top_k":5,"n":2,"stop":["x"],"seed":1,"echo":true,"logprobs":2,"stream":false,"logit_bias":{"5":1},"presence_penalty":0.5}"""),
        ("/v1/completions", """{"model":"blanks","prompt":["a",[5,6]],"max_tokens":2,"stream":true,"stream_options":{"include_usage":true},"response_format":{"type":"regex","pattern":"[a-c]{1,2}|x+"}}"""),
        ("/v1/chat/completions", """{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"u"}]}],"max_tokens":3,"logprobs":true,"top_logprobs":1,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":{"type":"function","function":{"name":"f"}}}"""),
        ("/v1/chat/completions", """{"messages":[{"role":"user","content":"u"},{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"1"}],"max_completion_tokens":3,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{"a":{"enum":[1,"x"]},"b":{"type":"array","items":{"type":"integer"},"maxItems":2},"c":{"$ref":"#/$defs/d"}},"required":["a"],"$defs":{"d":{"type":["string","null"],"maxLength":3}}}}}}"""),
        ("/v1/embeddings", """{"model":"blanks","input":["a","b"],"encoding_format":"base64","dimensions":256}"""),
        ("/v1/fill", """{"model":"blanks","text":"The [MASK] is [MASK].","alternatives":2,"max_tokens":2,"temperature":0}"""),
        ("/tokenize", """{"text":"a [MASK]","blanks":true}"""),
        ("/detokenize", """{"ids":[5,6,7]}"""),
    ];

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-1", "1", "1.5", "1e30", "2147483648", "9223372036854775808", "\"\"", "\"a\"", "\"HALF\"", "\"\\u0000\"", "\"[MASK]\"", "\"[xMASK]\"", "\"chat\"", "\"blanks\"",
        "\"(((((\"", "\"[a-\"", "\"a{1000}{1000}{1000}\"", "[]", "{}", "[[]]", "[null]", "[{}]", "[1,\"a\"]", "[-1]", "[1e9]", "{\"type\":\"string\"}", "{\"$ref\":\"#\"}", "{\"0\":1}", "{\"-1\":1e9}", "[[1],[2]]", "\"猫😀\"",
    ];

    private readonly FuzzedServer _server = new();

    public Task InitializeAsync() => _server.InitializeAsync();

    public Task DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task No_body_breaks_the_server()
    {
        int count = Environment.GetEnvironmentVariable("GLM_LONG") == "1" ? 100_000 : 1000;
        var seen = new int[600];
        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, cancellation) =>
        {
            var random = new Random(i);
            var (path, body) = Seeds[random.Next(Seeds.Length)];
            byte[] bytes = Mutate(body, random);
            using var content = new ByteArrayContent(bytes) { Headers = { ContentType = new("application/json") } };
            using var response = await _server.Http.PostAsync(path, content, cancellation);
            string answer = await response.Content.ReadAsStringAsync(cancellation);
            int status = (int)response.StatusCode;
            Interlocked.Increment(ref seen[status]);
            Assert.True(status < 500, $"{path} {Encoding.UTF8.GetString(bytes)}: {status} {answer}");
            if (status >= 400) Assert.NotEmpty((string)JsonNode.Parse(answer)!["error"]!["message"]!);
            Assert.DoesNotContain("\"server_error\"", answer, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", answer, StringComparison.Ordinal);
            Assert.DoesNotContain(".gguf", answer, StringComparison.Ordinal);
        });
        Assert.True(seen[200] > count / 50 && seen[400] > count / 4, $"{seen[200]} successes and {seen[400]} errors: mutations are too rare or too many");
        Assert.Equal(200, (await _server.PostAsync("/v1/completions", """{"prompt":"a"}""")).Status);
    }

    private static byte[] Mutate(string body, Random random)
    {
        if (random.Next(5) == 0)
        {
            // Bytes: changed, cut, doubled.
            byte[] bytes = Encoding.UTF8.GetBytes(body);
            for (int i = random.Next(4); i >= 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            return random.Next(3) switch { 0 => bytes[..random.Next(bytes.Length)], 1 => [.. bytes, .. bytes], _ => bytes };
        }
        var root = JsonNode.Parse(body)!;
        for (int i = random.Next(3); i >= 0; i--)
        {
            var places = new List<JsonNode>();
            Collect(root, places);
            var place = places[random.Next(places.Count)];
            string value = Values[random.Next(Values.Length)];
            if (place == root) continue;
            switch (random.Next(6))
            {
                case 0 when place.Parent is JsonObject parent:
                    parent.Remove(place.GetPropertyName());
                    break;
                case 1 when place.Parent is JsonArray list:
                    list.Add(Parse(value));
                    break;
                case 2 when place.Parent is JsonObject parent && Parse(value) is { } nested:
                    parent[random.Next(2) == 0 ? place.GetPropertyName() : "type"] = new JsonArray(nested, nested.DeepClone());
                    break;
                default:
                    place.ReplaceWith(Parse(value));
                    break;
            }
        }
        // What no node can hold is put in as text.
        string text = root.ToJsonString().Replace("HALF", "\\ud800", StringComparison.Ordinal);
        return Encoding.UTF8.GetBytes(random.Next(10) == 0 ? text.Replace("1.5", "1e999", StringComparison.Ordinal) : text);
    }

    private static JsonNode? Parse(string value) => JsonNode.Parse(value);

    private static void Collect(JsonNode? node, List<JsonNode> places)
    {
        if (node is null) return;
        places.Add(node);
        if (node is JsonObject map)
            foreach (var (_, value) in map) Collect(value, places);
        else if (node is JsonArray list)
            foreach (var value in list) Collect(value, places);
    }

    private sealed class FuzzedServer : RunningServer
    {
        protected override ServerOptions Options => new() { Port = 0, MaxNewTokens = 8 };
    }
}
