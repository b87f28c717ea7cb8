namespace Glm.Hub.Tests;

/// <summary>Downloads from an honest hub: whole, verified, resumed, alone.</summary>
public sealed class ModelPullTests
{
    private const int RangeBytes = PullCase.RangeBytes;

    [Theory]
    [InlineData(1000, 4)]
    [InlineData(1, 1)]
    public async Task All_files_arrive_by_ranges_over_all_pages(int pageSize, int connections)
    {
        using var test = new PullCase();
        test.Hub.PageSize = pageSize;
        test.Options = test.Options with { Connections = connections };
        var states = new List<PullProgress>();
        var result = await test.PullAsync(progress: new Watch(states.Add));
        test.IsWhole();
        Assert.Equal((4, test.Hub.Files.Values.Sum(file => file.Length)), (result.Files, result.Bytes));
        Assert.Equal(result.Bytes, result.ReceivedBytes);
        Assert.Equal((result.Bytes, result.Bytes, 4, 4), (states[^1].DoneBytes, states[^1].TotalBytes, states[^1].DoneFiles, states[^1].TotalFiles));
        Assert.Equal(6, test.Hub.Requests.Count(request => request.Range is not null));
    }

    [Fact]
    public async Task The_token_goes_to_the_hubs_own_origin_alone()
    {
        using var test = new PullCase();
        using var storage = new TestHub();
        test.Hub.Storage = storage;
        await test.PullAsync();
        test.IsWhole();
        Assert.NotEmpty(storage.Requests);
        Assert.All(storage.Requests, request => Assert.Null(request.Authorization));
        Assert.All(test.Hub.Requests, request => Assert.Equal("Bearer hf_secret", request.Authorization));
    }

    [Fact]
    public async Task The_token_does_not_follow_a_page_to_another_origin()
    {
        using var test = new PullCase();
        using var other = new TestHub();
        test.Hub.Misbehave = async (request, stream) =>
        {
            if (request.IsList) await TestHub.AnswerAsync(stream, "200 OK", $"Link: <{other.Endpoint}api/models/o/m/tree/main?recursive=true>; rel=\"next\"\r\n", "[]");
            return request.IsList;
        };
        await test.ReasonAsync();
        Assert.Null(Assert.Single(other.Requests).Authorization);
    }

    [Fact]
    public async Task An_interrupted_download_goes_on_where_it_was()
    {
        using var test = new PullCase();
        using var stop = new CancellationTokenSource();
        int there = test.Hub.Files.Values.Sum(file => file.Length) - RangeBytes + 5000;
        // One range stops short: its beginning is there when the download is cancelled, and so are all other ranges.
        test.Options = test.Options with { Connections = 2 };
        test.Hub.Misbehave = async (request, stream) =>
        {
            if (!request.IsFor("model.safetensors") || request.Range?.First != 0) return false;
            await TestHub.ServeAsync(stream, request, test.Hub.Files["model.safetensors"], cutAt: 5000);
            await Task.Delay(Timeout.Infinite, stop.Token);
            return true;
        };
        var progress = new Watch(state =>
        {
            if (state.DoneBytes == there) stop.Cancel();
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => test.PullAsync(stop.Token, progress));
        Assert.False(Directory.Exists(test.Output));

        test.Hub.Misbehave = null;
        test.Hub.Requests.Clear();
        var result = await test.PullAsync();
        test.IsWhole();
        Assert.Equal((5000, RangeBytes - 1), test.Hub.Requests.Single(request => request.IsFor("model.safetensors")).Range);
        Assert.Equal(result.Bytes - there, result.ReceivedBytes);
    }

    [Theory]
    [InlineData("changed remote")]
    [InlineData("state of other bytes")]
    [InlineData("damaged state")]
    [InlineData("hostile state")]
    public async Task What_cannot_be_gone_on_with_begins_anew(string what)
    {
        using var test = new PullCase();
        await InterruptAsync(test);
        string part = Assert.Single(Directory.GetFiles(test.Staging, "*.part", SearchOption.AllDirectories)), state = part + ".json";
        if (what == "changed remote") test.Hub.Files["model.safetensors"] = [.. test.Hub.Files["model.safetensors"].Reverse()];
        if (what == "state of other bytes") File.WriteAllBytes(part, new byte[new FileInfo(part).Length]);
        if (what == "damaged state") File.WriteAllText(state, "{ \"path\": ");
        if (what == "hostile state") File.WriteAllText(state, File.ReadAllText(state).Replace($"[{RangeBytes},", "[-1,", StringComparison.Ordinal));
        test.Hub.Requests.Clear();
        await test.PullAsync();
        test.IsWhole();
        Assert.Contains(test.Hub.Requests, request => request.Range?.First == 0);
    }

    [Fact]
    public async Task What_is_there_is_verified_and_completed()
    {
        using var test = new PullCase();
        await test.PullAsync();
        test.Hub.Requests.Clear();
        Assert.Equal(0, (await test.PullAsync()).ReceivedBytes);
        Assert.True(Assert.Single(test.Hub.Requests).IsList);

        File.Delete(Path.Combine(test.Output, "config.json"));
        Assert.Equal(300, (await test.PullAsync()).ReceivedBytes);
        test.IsWhole();
    }

    [Theory]
    [InlineData(300)]
    [InlineData(5)]
    public async Task A_file_of_the_users_own_is_not_replaced(int size)
    {
        using var test = new PullCase();
        Directory.CreateDirectory(test.Output);
        string own = Path.Combine(test.Output, "config.json");
        File.WriteAllBytes(own, new byte[size]);
        var error = await Assert.ThrowsAsync<GlmException>(() => test.PullAsync());
        Assert.Contains(own, error.Message);
        Assert.Equal([own], Directory.GetFileSystemEntries(test.Output));
        Assert.Equal(new byte[size], File.ReadAllBytes(own));
        Assert.False(Directory.Exists(test.Staging));
    }

    [Fact]
    public async Task A_second_download_of_the_same_directory_is_refused()
    {
        using var test = new PullCase();
        var (started, gate) = (new TaskCompletionSource(), new TaskCompletionSource());
        test.Hub.Misbehave = async (request, _) =>
        {
            if (request.IsList || request.Number > 0) return false;
            started.TrySetResult();
            await gate.Task;
            return false;
        };
        var first = test.PullAsync();
        await started.Task;
        var error = await Assert.ThrowsAsync<GlmException>(() => test.PullAsync());
        Assert.Contains("another download", error.Message);
        gate.SetResult();
        await first;
        test.IsWhole();
    }

    [Fact]
    public async Task Many_downloads_at_once_leave_one_whole_directory()
    {
        using var test = new PullCase();
        var pulls = Enumerable.Range(0, 6).Select(_ => Task.Run(() => test.PullAsync())).ToList();
        foreach (var pull in pulls)
        {
            try { await pull; }
            catch (GlmException error) { Assert.Contains("another download", error.Message); }
        }
        Assert.Contains(pulls, pull => pull.IsCompletedSuccessfully);
        test.IsWhole();
    }

    [Fact]
    public async Task A_disk_that_is_too_small_is_noticed_before_anything_is_written()
    {
        using var test = new PullCase();
        test.Hub.Misbehave = (request, stream) => ListAsync(request, stream, """[{"type":"file","path":"a.bin","size":1,"lfs":{"oid":"HASH","size":70368744177664}}]""");
        Assert.Contains("70368744177664 bytes free", await test.ReasonAsync());
        Assert.False(Directory.Exists(test.Staging));
    }

    [Fact]
    public async Task Weights_are_taken_once_unless_they_are_asked_for()
    {
        using var test = new PullCase();
        foreach (string name in new[] { "pytorch_model.bin", "other/adapter.bin", "flax_model.msgpack" }) test.Hub.Add(name, 50);
        var result = await test.PullAsync();
        Assert.Equal(["pytorch_model.bin", "flax_model.msgpack"], result.LeftOut);
        Assert.Equal(100, result.LeftOutBytes);
        Assert.True(File.Exists(Path.Combine(test.Output, "other/adapter.bin")));

        test.Request = test.Request with { Include = ["*.bin", "folder/*"], Exclude = ["other/*", "empty.txt"], Output = test.Output + "/some" };
        Assert.Empty((await test.PullAsync()).LeftOut);
        Assert.Equal(["folder/a name, 中文 & 100%.txt", "pytorch_model.bin"],
            Directory.GetFiles(test.Output + "/some", "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(test.Output + "/some", file).Replace('\\', '/')).Order(StringComparer.Ordinal));

        test.Request = test.Request with { Include = ["*.gguf"], Output = test.Output + "/none" };
        Assert.Contains("none that is asked for among 7", (await Assert.ThrowsAsync<GlmException>(() => test.PullAsync())).Message);
    }

    [Fact]
    public async Task A_hub_may_lie_below_a_path()
    {
        using var test = new PullCase();
        test.Options = test.Options with { Endpoint = new Uri(test.Hub.Endpoint, "mirror/") };
        test.Request = test.Request with { Revision = "refs/pr/1" };
        Assert.Contains("HTTP 404", await test.ReasonAsync());
        Assert.StartsWith("/mirror/api/models/o/m/tree/refs%2Fpr%2F1?", Assert.Single(test.Hub.Requests).Target);
    }

    [Theory]
    [InlineData("../m", "main")]
    [InlineData("o/../m", "main")]
    [InlineData("o/m/n", "main")]
    [InlineData("o/m?x", "main")]
    [InlineData("", "main")]
    [InlineData("o/m\n", "main")]
    [InlineData("o/m", "..")]
    [InlineData("o/m", "")]
    [InlineData("o/m", "a b")]
    public async Task Impossible_repositories_are_refused(string name, string revision)
    {
        using var test = new PullCase();
        test.Request = new PullRequest { Repository = name, Revision = revision };
        await test.ReasonAsync();
        Assert.Empty(test.Hub.Requests);
    }

    /// <summary>A list as JSON, with a word for a hash.</summary>
    internal static async Task<bool> ListAsync(TestRequest request, Stream stream, string list)
    {
        if (request.IsList) await TestHub.AnswerAsync(stream, "200 OK", "", list.Replace("HASH", new string('a', 64), StringComparison.Ordinal).Replace("GIT", new string('b', 40), StringComparison.Ordinal));
        return request.IsList;
    }

    /// <summary>A download that is cancelled when its last range is all that is missing of the large file.</summary>
    private static async Task InterruptAsync(PullCase test)
    {
        using var stop = new CancellationTokenSource();
        test.Hub.Misbehave = async (request, _) =>
        {
            if (request.Range?.First == 5 * RangeBytes) await Task.Delay(Timeout.Infinite, stop.Token);
            return false;
        };
        var progress = new Watch(state =>
        {
            if (state.DoneBytes == test.Hub.Files.Values.Sum(file => file.Length) - 77 && state.DoneFiles == 3) stop.Cancel();
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => test.PullAsync(stop.Token, progress));
        test.Hub.Misbehave = null;
    }
}
