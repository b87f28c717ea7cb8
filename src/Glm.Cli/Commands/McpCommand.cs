using System.CommandLine;
using Glm.Server;

namespace Glm.Cli.Commands;

/// <summary><c>glm mcp</c>: a model as tools of the Model Context Protocol, over standard input and output.</summary>
internal static class McpCommand
{
    public static Command Create(Terminal terminal)
    {
        var model = Options.Model();
        var memory = Options.Memory();
        var threads = Options.Threads();
        return new ExampleCommand("mcp", "Offer a model as tools (generate, fill) to programs that speak the Model Context Protocol", "glm mcp", "glm mcp --model glm-10b")
        {
            model, memory, threads,
        }.Does((parse, cancellation) => RunAsync(terminal, parse.GetValue(model), new LoadOptions { Threads = parse.GetValue(threads), Memory = parse.GetValue(memory) }, cancellation).GetAwaiter().GetResult());
    }

    private static async Task RunAsync(Terminal terminal, string? path, LoadOptions load, CancellationToken cancellation)
    {
        using var line = new ProgressLine(terminal, quiet: true);
        await using var model = GlmModel.Load(path, load, progress: Opening.Packing(line), cancellation: cancellation);
        await new ModelTools(model).ServeAsync(Console.OpenStandardInput(), Console.OpenStandardOutput(), cancellation).ConfigureAwait(false);
    }
}
