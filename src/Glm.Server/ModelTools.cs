using System.ComponentModel;
using System.Text;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace Glm.Server;

/// <summary>A model as tools that other programs' models may call, by the Model Context Protocol: generate, and of models that can, fill.</summary>
public sealed class ModelTools(GlmModel model)
{
    private const int MaximumTokens = 4096, MaximumAlternatives = 20;

    /// <summary>Serves the tools over two streams, such as standard input and output, until the first one ends.</summary>
    /// <param name="input">What the other side says.</param>
    /// <param name="output">What is said to it.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task ServeAsync(Stream input, Stream output, CancellationToken cancellation = default)
    {
        var tools = new McpServerPrimitiveCollection<McpServerTool> { McpServerTool.Create(GenerateAsync, Options("generate", "Continues a text")) };
        if (model.FillsBlanks) tools.Add(McpServerTool.Create(FillAsync, Options("fill", "Fills every [MASK] of a text, short blanks inside it, and tells alternatives with their probabilities")));
        var options = new McpServerOptions { ServerInfo = new Implementation { Name = "glm.net", Version = typeof(ModelTools).Assembly.GetName().Version!.ToString(3) }, ToolCollection = tools };
        await using var transport = new StreamServerTransport(input, output, "glm.net");
        await using var server = McpServer.Create(transport, options);
        await server.RunAsync(cancellation).ConfigureAwait(false);
    }

    private static McpServerToolCreateOptions Options(string name, string description) =>
        new() { Name = name, Description = description, ReadOnly = true, OpenWorld = false, Destructive = false, Idempotent = false };

    private async Task<string> GenerateAsync(
        [Description("The text to continue")] string text, [Description("Most new tokens, 1 to 4096")] int maxTokens = 256, [Description("0 always takes the most probable token")] double temperature = 0.8,
        CancellationToken cancellation = default)
    {
        await using var stream = model.Complete(text, new TextOptions { MaxTokens = Math.Min(maxTokens, MaximumTokens), Temperature = temperature, TopP = 0.9 }, cancellation);
        return (await stream.Result.ConfigureAwait(false)).Text;
    }

    private async Task<string> FillAsync(
        [Description("A text with [MASK] where something is missing")] string text, [Description("How many alternatives to tell for each blank, 0 to 20")] int alternatives = 3,
        [Description("Most tokens of a blank")] int maxTokens = 32, CancellationToken cancellation = default)
    {
        var filled = await model.FillAsync(text, new TextOptions { MaxTokens = Math.Min(maxTokens, MaximumTokens), Temperature = 0 }, Math.Clamp(alternatives, 0, MaximumAlternatives), cancellation).ConfigureAwait(false);
        var answer = new StringBuilder(filled.Text);
        foreach (var (blank, i) in filled.Blanks.Select((blank, i) => (blank, i)).Where(item => item.blank.Alternatives.Count > 0))
            answer.Append($"\n\nBlank {i + 1}:").AppendJoin("", blank.Alternatives.Select(other => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"\n{100 * (other.Probability ?? 0):F1} % {other.Text.Trim()}")));
        return answer.ToString();
    }
}
