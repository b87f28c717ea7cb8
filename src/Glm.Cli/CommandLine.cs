using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using Glm.Cli.Commands;
using Glm.Distributed;

namespace Glm.Cli;

/// <summary>The <c>glm</c> command: parses, runs, and turns what happened into one line of reason and an exit code.</summary>
internal sealed class CommandLine
{
    public const int Success = 0, Failure = 1, WrongUsage = 2, Interrupted = 130;

    private readonly Terminal _terminal;
    private readonly MpiJob? _job;
    private readonly RootCommand _root;

    /// <param name="terminal">Where to read and write.</param>
    /// <param name="job">The job that this process is a rank of, if it is.</param>
    public CommandLine(Terminal terminal, MpiJob? job = null)
    {
        (_terminal, _job) = (terminal, job);
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
            StudyCommand.Create(terminal),
            InfoCommand.Create(terminal),
            PullCommand.Create(terminal),
            ConvertCommand.Create(terminal),
            TokenizeCommand.Create(terminal),
            DataCommand.Create(terminal),
            PretrainCommand.Create(terminal),
            PlanCommand.Create(terminal),
            FinetuneCommand.Create(terminal),
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
        if (parse.Errors.Count > 0 && parse.Action?.ClearsParseErrors != true) return Refuse(parse, parse.Errors[0].Message, cancellation);
        if (UnknownOption(parse) is { } unknown) return Refuse(parse, $"unknown option '{unknown}'; arguments that begin with a dash go after --", cancellation);
        if (_terminal.World.Size > 1 && parse.CommandResult.Command is ExampleCommand { IsParallel: false } alone)
            return Fail(cancellation, WrongUsage, $"{alone.Name} runs in one process, not under mpirun");
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
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested || _job is not null)
        {
            return Fail(cancellation, Interrupted, "interrupted");
        }
        catch (UsageException error)
        {
            return Fail(cancellation, WrongUsage, error.Message);
        }
        catch (GlmException error)
        {
            return Fail(cancellation, Failure, error.Message);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Fail(cancellation, Failure, error.Message);
        }
        catch (OutOfMemoryException)
        {
            return Fail(cancellation, Failure, "not enough memory");
        }
    }

    /// <summary>An argument before <c>--</c> that looks like an option: where a command takes any text, a mistyped option would be taken for some of it.</summary>
    private static string? UnknownOption(ParseResult parse)
    {
        var options = parse.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash).Select(token => token.Value).Where(LooksLikeOption).ToHashSet();
        return parse.CommandResult.Children.OfType<ArgumentResult>().SelectMany(result => result.Tokens).Select(token => token.Value).FirstOrDefault(options.Contains);
    }

    private static bool LooksLikeOption(string argument) => argument switch
    {
        ['-', '-', var letter, ..] => char.IsAsciiLetter(letter) && !argument.Any(char.IsWhiteSpace),
        ['-', var letter] => char.IsAsciiLetter(letter),
        _ => false,
    };

    private int Refuse(ParseResult parse, string reason, CancellationToken cancellation)
    {
        var names = new List<string>();
        for (var result = parse.CommandResult; result is not null; result = result.Parent as CommandResult)
            names.Insert(0, result.Command == _root ? "glm" : result.Command.Name);
        return Fail(cancellation, WrongUsage, $"{reason} (see: {string.Join(' ', names)} --help)");
    }

    private int Fail(CancellationToken cancellation, int code, string reason)
    {
        string rank = _terminal.IsFirst ? "" : $"rank {_terminal.World.Rank}: ";
        if (_job is null) Report();
        else _job.Fail(Report, code, cancellation);
        return code;

        void Report() => _terminal.Reasons.WriteLine($"glm: {rank}{reason.ReplaceLineEndings(" ")}");
    }
}
