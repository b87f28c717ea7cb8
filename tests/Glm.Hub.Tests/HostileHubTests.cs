using System.Text;

namespace Glm.Hub.Tests;

/// <summary>Hubs and networks that fail or lie: the download ends whole all the same, or with one reason.</summary>
public sealed class HostileHubTests
{
    private const string Model = "model.safetensors";
    private const int RangeBytes = PullCase.RangeBytes;

    /// <summary>What goes wrong with a request for a file of the content that is given; the endless ones end when the client leaves.</summary>
    private static readonly Dictionary<string, Func<TestRequest, Stream, byte[], Task>> Troubles = new()
    {
        ["503"] = (_, stream, _) => TestHub.AnswerAsync(stream, "503 Service Unavailable", "", "<html>"),
        ["429"] = (_, stream, _) => TestHub.AnswerAsync(stream, "429 Too Many Requests", "Retry-After: 0\r\n", ""),
        ["429 until a date"] = (_, stream, _) => TestHub.AnswerAsync(stream, "429 Too Many Requests", "Retry-After: Mon, 01 Jan 2024 00:00:00 GMT\r\n", ""),
        ["cut"] = (request, stream, content) => TestHub.ServeAsync(stream, request, content, cutAt: 100),
        ["no answer"] = (_, _, _) => Task.CompletedTask,
        ["no HTTP"] = (_, stream, _) => stream.WriteAsync("220 mail\u001b[2J ready\r\n\r\n"u8.ToArray()).AsTask(),
        ["shorter"] = (request, stream, content) => TestHub.AnswerAsync(stream, Status(request), Range(request, content) + "Content-Length: 5\r\n", "short"),
        ["shorter, of no length"] = (request, stream, content) => TestHub.AnswerAsync(stream, Status(request), Range(request, content), "short"),
        ["longer"] = (request, stream, content) => TestHub.AnswerAsync(stream, Status(request), Range(request, content) + $"Content-Length: {content.Length * 2}\r\n", new byte[content.Length * 2]),
        ["endless"] = async (request, stream, content) =>
        {
            await TestHub.AnswerAsync(stream, Status(request), Range(request, content), "");
            while (true) await stream.WriteAsync(new byte[1 << 16]);
        },
        ["another range"] = (request, stream, content) => TestHub.AnswerAsync(stream, "206 Partial Content", $"Content-Range: bytes 1-2/{content.Length}\r\n", "ab"),
        ["a range of another file"] = (request, stream, content) => TestHub.AnswerAsync(stream, "206 Partial Content", Range(request, content).Replace($"/{content.Length}", "/99", StringComparison.Ordinal), content),
        ["no range"] = (request, stream, content) => TestHub.AnswerAsync(stream, "206 Partial Content", "", content),
        ["compressed"] = (request, stream, content) => TestHub.AnswerAsync(stream, Status(request), Range(request, content) + "Content-Encoding: gzip\r\n", content),
        ["wrong bytes"] = (request, stream, content) => TestHub.ServeAsync(stream, request, new byte[content.Length]),
    };

    public static TheoryData<string> TroubleNames => [.. Troubles.Keys];

    private static string Status(TestRequest request) => request.Range is null ? "200 OK" : "206 Partial Content";

    private static string Range(TestRequest request, byte[] content) => request.Range is var (first, last) ? $"Content-Range: bytes {first}-{last}/{content.Length}\r\n" : "";

    [Theory]
    [MemberData(nameof(TroubleNames))]
    public async Task Trouble_that_passes_is_waited_out(string trouble)
    {
        using var test = new PullCase();
        test.Hub.Misbehave = (request, stream) => TroubleAsync(test, trouble, request, stream, request.Number == 0);
        await test.PullAsync();
        test.IsWhole();
    }

    [Theory]
    [MemberData(nameof(TroubleNames))]
    public async Task Trouble_that_stays_is_one_reason_that_names_the_file(string trouble)
    {
        using var test = new PullCase();
        test.Hub.Misbehave = (request, stream) => TroubleAsync(test, trouble, request, stream, request.IsFor(Model));
        string reason = await test.ReasonAsync();
        Assert.StartsWith($"{Model}: expected ", reason);
        Assert.Contains("found", reason);
        Assert.DoesNotContain('\u001b', reason);
        Assert.True(test.Hub.Requests.Count < 100, $"{test.Hub.Requests.Count} requests");
    }

    private static async Task<bool> TroubleAsync(PullCase test, string trouble, TestRequest request, Stream stream, bool now)
    {
        if (!now || request.IsList || test.Hub.Files.FirstOrDefault(file => request.IsFor(file.Key)).Value is not { Length: > 0 } content) return false;
        await Troubles[trouble](request, stream, content);
        return true;
    }

    [Theory]
    [InlineData(200)]
    [InlineData(416)]
    public async Task A_hub_without_ranges_gives_the_file_in_one_piece(int status)
    {
        using var test = new PullCase();
        test.Hub.Misbehave = async (request, stream) =>
        {
            if (request.Range is null) return false;
            if (status == 200) await TestHub.AnswerAsync(stream, "200 OK", "", test.Hub.Files[Model]);
            else await TestHub.AnswerAsync(stream, "416 Range Not Satisfiable", "Content-Range: bytes */5\r\n", "");
            return true;
        };
        await test.PullAsync();
        test.IsWhole();
        Assert.Equal(1, test.Hub.Requests.Count(request => request.IsFor(Model) && request.Range is null));
    }

    [Fact]
    public async Task A_hub_without_ranges_whose_connections_break_is_given_up()
    {
        using var test = new PullCase();
        test.Hub.Misbehave = async (request, stream) =>
        {
            if (!request.IsFor(Model)) return false;
            await TestHub.AnswerAsync(stream, "200 OK", $"Content-Length: {test.Hub.Files[Model].Length}\r\n", test.Hub.Files[Model][..^1]);
            return true;
        };
        Assert.StartsWith($"{Model}: expected more", await test.ReasonAsync());
    }

    [Fact]
    public async Task Connections_that_break_after_bringing_something_are_no_failures()
    {
        using var test = new PullCase();
        // More breaks than attempts: 16 for each range of 16 KiB.
        test.Hub.Misbehave = async (request, stream) =>
        {
            if (!request.IsFor(Model)) return false;
            await TestHub.ServeAsync(stream, request, test.Hub.Files[Model], cutAt: 1100);
            return true;
        };
        await test.PullAsync();
        test.IsWhole();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stalled_connections_are_given_up(bool trickle)
    {
        using var test = new PullCase();
        test.Options = test.Options with { StallTimeout = TimeSpan.FromSeconds(0.2), Retries = 1 };
        using var stop = new CancellationTokenSource();
        test.Hub.Misbehave = async (request, stream) =>
        {
            if (!request.IsFor(Model)) return false;
            if (trickle) await TestHub.ServeAsync(stream, request, test.Hub.Files[Model], cutAt: 1);
            while (!stop.IsCancellationRequested)
            {
                if (trickle) await stream.WriteAsync(new byte[1], stop.Token);
                await Task.Delay(10, stop.Token);
            }
            return true;
        };
        Assert.StartsWith($"{Model}: expected ", await test.ReasonAsync());
        stop.Cancel();
    }

    [Theory]
    [InlineData("401 Unauthorized", "", "needs another token")]
    [InlineData("403 Forbidden", "", "needs another token")]
    [InlineData("404 Not Found", "", "no such model")]
    [InlineData("400 Bad Request", "", "HTTP 400")]
    [InlineData("429 Too Many Requests", "Retry-After: 86400\r\n", "wait for 86400 s")]
    [InlineData("302 Found", "", "no address")]
    [InlineData("302 Found", "Location: file:///etc/passwd?hf_secret\r\n", "found file:///etc/passwd")]
    [InlineData("302 Found", "Location: ?again\r\n", "at most 10 redirects")]
    public async Task Refusals_are_not_repeated(string status, string headers, string expected)
    {
        using var test = new PullCase();
        test.Hub.Misbehave = async (request, stream) =>
        {
            if (request.IsFor(Model) || request.Target.EndsWith("?again", StringComparison.Ordinal)) await TestHub.AnswerAsync(stream, status, headers, "<html>");
            return request.IsFor(Model) || request.Target.EndsWith("?again", StringComparison.Ordinal);
        };
        string reason = await test.ReasonAsync();
        Assert.StartsWith($"{Model}: expected ", reason);
        Assert.Contains(expected, reason);
    }

    [Fact]
    public void Encryption_is_not_left_behind()
    {
        var error = Assert.Throws<GlmException>(() => HubConnection.Follow(new Uri("https://hub.example/a"), new Uri("http://hub.example/b?signature"), "a"));
        Assert.Contains("encrypted", error.Message);
        Assert.DoesNotContain("signature", error.Message);
        Assert.Equal("https://other.example/b", HubConnection.Follow(new Uri("https://hub.example/a"), new Uri("//other.example/b", UriKind.RelativeOrAbsolute), "a").AbsoluteUri);
    }

    [Fact]
    public async Task A_storage_address_that_has_expired_is_asked_for_anew()
    {
        using var test = new PullCase();
        using var storage = new TestHub();
        test.Hub.Storage = storage;
        storage.Misbehave = async (request, stream) =>
        {
            if (request.Number == 0) await TestHub.AnswerAsync(stream, "403 Forbidden", "", "expired");
            return request.Number == 0;
        };
        await test.PullAsync();
        test.IsWhole();
    }

    [Theory]
    [InlineData("<html>log in</html>", "expected JSON")]
    [InlineData("", "expected JSON")]
    [InlineData("""{"error":"x"}""", "expected a JSON array, found Object")]
    [InlineData("[1]", "path: expected a text, found Number")]
    [InlineData("""[{"path":"a"}]""", "a: type: expected a file or a directory, found nothing")]
    [InlineData("""[{"path":"a","type":"symlink","target":"/etc/passwd"}]""", "found \"symlink\"")]
    [InlineData("""[{"path":"a","type":"file","oid":"GIT"}]""", "a: size: expected bytes")]
    [InlineData("""[{"path":"a","type":"file","oid":"GIT","size":-1}]""", "found -1")]
    [InlineData("""[{"path":"a","type":"file","oid":"GIT","size":1e300}]""", "found 1e300")]
    [InlineData("""[{"path":"a","type":"file","oid":"GIT","size":99999999999999999}]""", "found 99999999999999999")]
    [InlineData("""[{"path":"a","type":"file","size":1}]""", "a: oid: expected a git hash of 40 digits, found nothing")]
    [InlineData("""[{"path":"a","type":"file","size":1,"lfs":{"size":1,"oid":"GIT"}}]""", "a: oid: expected a SHA-256 of 64 digits")]
    [InlineData("""[{"path":"\ud800","type":"file","oid":"GIT","size":1}]""", "expected Unicode")]
    [InlineData("[]", "found none that is asked for among 0")]
    public async Task Lists_that_are_none_are_refused(string list, string expected)
    {
        using var test = new PullCase();
        test.Hub.Misbehave = (request, stream) => ModelPullTests.ListAsync(request, stream, list);
        Assert.Contains(expected, await test.ReasonAsync());
        Assert.False(Directory.Exists(test.Staging));
    }

    [Theory]
    [InlineData("../up")]
    [InlineData("a/../../up")]
    [InlineData("/absolute")]
    [InlineData("a//b")]
    [InlineData("a/./b")]
    [InlineData("a/")]
    [InlineData("a\\b")]
    [InlineData("C:\\a")]
    [InlineData("a:stream")]
    [InlineData("a\0b")]
    [InlineData("a\u001b[2J")]
    [InlineData("NUL")]
    [InlineData("a/con.txt")]
    [InlineData("com1 .txt")]
    [InlineData("a.")]
    [InlineData("a /b")]
    [InlineData("")]
    [InlineData("CONFIG.JSON")]
    [InlineData("config.json/a")]
    public async Task Names_that_are_unsafe_are_refused(string name)
    {
        using var test = new PullCase();
        test.Hub.Files[name] = new byte[10];
        string reason = await test.ReasonAsync();
        Assert.StartsWith("o/m: expected ", reason);
        Assert.DoesNotContain(reason, char.IsControl);
        Assert.False(Directory.Exists(test.Staging));
        Assert.All(test.Hub.Requests, request => Assert.True(request.IsList));
    }

    [Fact]
    public async Task Lists_without_end_are_refused()
    {
        using var test = new PullCase();
        test.Hub.Misbehave = async (request, stream) =>
        {
            await TestHub.AnswerAsync(stream, "200 OK", "", "[");
            while (true) await stream.WriteAsync(Encoding.ASCII.GetBytes(new string(' ', 1 << 16)));
        };
        Assert.Contains("expected at most 16777216 bytes", await test.ReasonAsync());

        test.Hub.Misbehave = async (request, stream) =>
        {
            await TestHub.AnswerAsync(stream, "200 OK", "Link: <?page>; rel=\"next\"\r\n", "[]");
            return true;
        };
        Assert.Contains("expected at most 1000 pages", await test.ReasonAsync());
    }

    [Fact]
    public async Task A_hub_that_is_not_there_is_one_reason()
    {
        using var test = new PullCase();
        test.Hub.Dispose();
        Assert.StartsWith("o/m: list of files: expected an answer of 127.0.0.1:", await test.ReasonAsync());
    }
}
