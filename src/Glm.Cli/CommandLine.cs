using System.CommandLine;
using System.CommandLine.Help;
using Glm.Cli.Commands;

namespace Glm.Cli;

/// <summary>The <c>glm</c> command: parses, runs, and turns what happened into one line of reason and an exit code.</summary>
internal sealed class CommandLine
{
    public const int Success = 0, Failure = 1, WrongUsage = 2, Interrupted = 130;

    private readonly Terminal _terminal;
    private readonly RootCommand _root;

    public CommandLine(Terminal terminal)
    {
        _terminal = terminal;
        _root = new RootCommand("GLM-130B in C#: training, inference and evaluation of bilingual blank-filling language models.")
        {
            DemoCommand.Create(terminal),
            GenerateCommand.Create(terminal),
            ChatCommand.Create(terminal),
            ServeCommand.Create(terminal),
            McpCommand.Create(terminal),
            ScoreCommand.Create(terminal),
            LogitsCommand.Create(terminal),
            EvalCommand.Create(terminal),
            ReportCommand.Create(terminal),
            InfoCommand.Create(terminal),
            PullCommand.Create(terminal),
            ConvertCommand.Create(terminal),
            TokenizeCommand.Create(terminal),
            DataCommand.Create(terminal),
            PretrainCommand.Create(terminal),
            PlanCommand.Create(terminal),
            LogsCommand.Create(terminal),
            BenchCommand.Create(terminal),
        };
        _root.Options.OfType<HelpOption>().Single().Action = new HelpWithExamples();
        _root.SetAction(parse => new HelpWithExamples().Invoke(parse));
    }

    /// <summary>Runs one command line and returns the exit code of the process.</summary>
    public int Run(IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        // An argument that begins with @ is text here, not a file of arguments.
        var parse = _root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parse.Errors.Count > 0 && parse.Action?.ClearsParseErrors != true) return Refuse(parse);
        var invocation = new InvocationConfiguration
        {
            Output = _terminal.Out,
            Error = _terminal.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        };
        try
        {
            int code = parse.InvokeAsync(invocation, cancellation).GetAwaiter().GetResult();
            _terminal.Out.Flush();
            return code;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return Fail(Interrupted, "interrupted");
        }
        catch (UsageException error)
        {
            return Fail(WrongUsage, error.Message);
        }
        catch (GlmException error)
        {
            return Fail(Failure, error.Message);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Fail(Failure, error.Message);
        }
        catch (OutOfMemoryException)
        {
            return Fail(Failure, "not enough memory");
        }
    }

    private int Refuse(ParseResult parse)
    {
        var names = new List<string>();
        for (var result = parse.CommandResult; result is not null; result = result.Parent as System.CommandLine.Parsing.CommandResult)
            names.Insert(0, result.Command == _root ? "glm" : result.Command.Name);
        return Fail(WrongUsage, $"{parse.Errors[0].Message} (see: {string.Join(' ', names)} --help)");
    }

    private int Fail(int code, string reason)
    {
        _terminal.Error.WriteLine($"glm: {reason.ReplaceLineEndings(" ")}");
        return code;
    }
}
