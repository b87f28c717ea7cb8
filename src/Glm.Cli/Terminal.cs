using Glm.Distributed;
using Spectre.Console;

namespace Glm.Cli;

/// <summary>What a command reads from and writes to: data on <see cref="Out"/>, progress and reasons on <see cref="Error"/>.</summary>
internal sealed class Terminal
{
    private const int PipeWidth = 80;

    public Terminal(TextReader input, TextWriter output, TextWriter error, bool interactive)
    {
        In = input;
        Out = output;
        Error = error;
        Interactive = interactive;
        Screen = Formatted(output);
        Log = Formatted(error);
    }

    public TextReader In { get; }

    public TextWriter Out { get; }

    public TextWriter Error { get; }

    /// <summary>Whether a person sits at the input.</summary>
    public bool Interactive { get; }

    /// <summary>The ranks that run the command together; this process alone, as a rule.</summary>
    public ProcessGroup World { get; private init; } = ProcessGroup.Alone;

    /// <summary>Whether this process speaks for all ranks.</summary>
    public bool IsFirst => World.Rank == 0;

    /// <summary><see cref="Out"/> with tables and colours, plain where it is no terminal.</summary>
    public IAnsiConsole Screen { get; }

    /// <summary><see cref="Error"/> with progress bars and colours, plain where it is no terminal.</summary>
    public IAnsiConsole Log { get; }

    public static Terminal OfProcess() => new(Console.In, Console.Out, Console.Error, interactive: !Console.IsInputRedirected);

    /// <summary>The terminal of a rank: the first one has that of mpirun, though without formats; the others print nothing but errors.</summary>
    public static Terminal OfRank(ProcessGroup world) => world.Rank == 0
        ? new(Console.In, Console.Out, Console.Error, interactive: !Console.IsInputRedirected) { World = world }
        : new(TextReader.Null, TextWriter.Null, Console.Error, interactive: false) { World = world };

    /// <summary>A text without control characters: what a model writes must not steer the terminal.</summary>
    public static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) && c is not ('\n' or '\t') ? '\uFFFD' : c));

    /// <summary>Begins a part of a command that an interrupt ends in place of the command; disposing ends the part.</summary>
    public InterruptiblePart InterruptiblePart(CancellationToken cancellation) => new(this, cancellation);

    /// <summary>Ends the part of the command that is under way; false where there is none, or where it was told before.</summary>
    public bool InterruptPart() => Part?.Interrupt() ?? false;

    internal InterruptiblePart? Part { get; set; }

    /// <summary>The next line of the input, or null at its end.</summary>
    public string? ReadLine(CancellationToken cancellation) => Read(In.ReadLine, cancellation);

    /// <summary>
    /// The text of a command: its words, or the whole input without its last newline where the one word is <c>-</c> or where there is none and
    /// nobody sits at the input; null where somebody does.
    /// </summary>
    public string? Text(string[]? words, CancellationToken cancellation)
    {
        if (words is ["-"] || (words is null or [] && !Interactive))
        {
            string text = Read(In.ReadToEnd, cancellation);
            return text.EndsWith("\r\n", StringComparison.Ordinal) ? text[..^2] : text.EndsWith('\n') ? text[..^1] : text;
        }
        return words is null or [] ? null : string.Join(' ', words);
    }

    /// <summary>Gives up when cancelled, which a blocking read alone does not.</summary>
    private static T Read<T>(Func<T> read, CancellationToken cancellation) =>
        Task.Run(read, CancellationToken.None).WaitAsync(cancellation).GetAwaiter().GetResult();

    private static IAnsiConsole Formatted(TextWriter writer)
    {
        var output = new AnsiConsoleOutput(writer);
        if (output.IsTerminal) return AnsiConsole.Create(new AnsiConsoleSettings { Out = output });
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = output, Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Interactive = InteractionSupport.No });
        // Lines of a file or a pipe have no width of their own; they are laid out for the narrowest common terminal.
        console.Profile.Width = PipeWidth;
        return console;
    }
}
