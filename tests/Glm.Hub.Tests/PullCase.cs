namespace Glm.Hub.Tests;

/// <summary>A hub with a small model, and a folder to pull it into.</summary>
internal sealed class PullCase : IDisposable
{
    public const int RangeBytes = 16 << 10;

    private readonly string _folder = Directory.CreateTempSubdirectory("glm-hub-").FullName;

    public PullCase()
    {
        Hub.Add("config.json", 300);
        Hub.Add("folder/empty.txt", 0);
        Hub.Add("folder/a name, 中文 & 100%.txt", 999);
        Hub.Add("model.safetensors", (5 * RangeBytes) + 77);
        Options = new HubOptions
        {
            Endpoint = Hub.Endpoint,
            Token = "hf_secret",
            Connections = 4,
            RangeBytes = RangeBytes,
            Retries = 3,
            FirstDelay = TimeSpan.FromMilliseconds(1),
            LongestDelay = TimeSpan.FromSeconds(1),
            StallTimeout = TimeSpan.FromSeconds(10),
            LeastBytes = 1 << 10,
            RenewingBytes = 1 << 10,
        };
    }

    public TestHub Hub { get; } = new();

    public HubOptions Options { get; set; }

    public PullRequest Request { get; set; } = new() { Repository = TestHub.Repository };

    public string Output => Path.Combine(_folder, "m");

    public string Staging => Output + ".part";

    public Task<PullResult> PullAsync(CancellationToken cancellation = default, IProgress<PullProgress>? progress = null) =>
        ModelPull.RunAsync(Options, Request with { Output = Request.Output ?? Output }, progress, cancellation);

    /// <summary>The reason of a pull that fails, which leaves no directory.</summary>
    public async Task<string> ReasonAsync()
    {
        var error = await Assert.ThrowsAsync<GlmException>(() => PullAsync());
        Assert.False(Directory.Exists(Output));
        Assert.DoesNotContain("hf_secret", error.ToString());
        return error.Message;
    }

    /// <summary>Asserts that the directory holds the hub's files and that nothing else is left.</summary>
    public void IsWhole()
    {
        string[] found = [.. Directory.GetFiles(Output, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Output, file).Replace('\\', '/')).Order(StringComparer.Ordinal)];
        Assert.Equal(Hub.Files.Keys.Order(StringComparer.Ordinal), found);
        foreach (var (path, content) in Hub.Files) Assert.True(content.AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(Output, path))), path);
        Assert.Equal([Output], Directory.GetFileSystemEntries(_folder));
    }

    public void Dispose()
    {
        Hub.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}

/// <summary>Progress that is handled where it is reported.</summary>
internal sealed class Watch(Action<PullProgress> report) : IProgress<PullProgress>
{
    public void Report(PullProgress value) => report(value);
}
