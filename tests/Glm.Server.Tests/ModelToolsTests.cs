using System.IO.Pipelines;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace Glm.Server.Tests;

/// <summary>The tools as a client of the protocol sees them.</summary>
public sealed class ModelToolsTests
{
    [Fact]
    public async Task A_client_generates_and_fills()
    {
        await using var model = GlmModel.Load(load: new LoadOptions { Threads = 1 });
        Pipe there = new(), back = new();
        using var end = new CancellationTokenSource();
        var serving = new ModelTools(model).ServeAsync(there.Reader.AsStream(), back.Writer.AsStream(), end.Token);
        await using (var client = await McpClient.CreateAsync(new StreamClientTransport(there.Writer.AsStream(), back.Reader.AsStream())))
        {
            Assert.Equal(["fill", "generate"], (await client.ListToolsAsync()).Select(tool => tool.Name).Order());
            var filled = await client.CallToolAsync("fill", new Dictionary<string, object?> { ["text"] = "The capital of France is [MASK].", ["alternatives"] = 2 });
            Assert.Matches("^The capital of France is.*\\.\n\nBlank 1:\n.* % .*\n.* % ", ((TextContentBlock)filled.Content[0]).Text);
            var generated = await client.CallToolAsync("generate", new Dictionary<string, object?> { ["text"] = "The old house", ["maxTokens"] = 5, ["temperature"] = 0 });
            Assert.NotEmpty(((TextContentBlock)generated.Content[0]).Text);
            Assert.True((await client.CallToolAsync("fill", new Dictionary<string, object?> { ["text"] = "[xMASK]" })).IsError);
        }
        await end.CancelAsync();
        await serving.WaitAsync(TimeSpan.FromSeconds(10)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
    }
}
