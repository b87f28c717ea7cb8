using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Glm.Cli;

/// <summary>A command whose help ends with examples.</summary>
internal sealed class ExampleCommand(string name, string description, params string[] examples) : Command(name, description)
{
    public IReadOnlyList<string> Examples { get; } = examples;

    /// <summary>Whether ranks of a job can run it together.</summary>
    public bool IsParallel { get; private set; }

    /// <summary>Says that ranks of a job can run it together.</summary>
    public ExampleCommand InRanks()
    {
        IsParallel = true;
        return this;
    }

    /// <summary>What the command does; it fails by throwing.</summary>
    public ExampleCommand Does(Action<ParseResult, CancellationToken> action)
    {
        SetAction((parse, cancellation) =>
        {
            action(parse, cancellation);
            return Task.CompletedTask;
        });
        return this;
    }
}

/// <summary>The usual help, and the examples of the command below it.</summary>
internal sealed class HelpWithExamples : SynchronousCommandLineAction
{
    private readonly HelpAction _help = new();

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        _help.Invoke(parseResult);
        if (parseResult.CommandResult.Command is not ExampleCommand { Examples: { Count: > 0 } examples }) return CommandLine.Success;
        var output = parseResult.InvocationConfiguration.Output;
        output.WriteLine(examples.Count == 1 ? "Example:" : "Examples:");
        foreach (string example in examples) output.WriteLine($"  {example}");
        output.WriteLine();
        return CommandLine.Success;
    }
}
