using Spectre.Console;

namespace Glm.Cli;

/// <summary>What a command reads from and writes to: data on <see cref="Out"/>, progress and reasons on <see cref="Error"/>.</summary>
internal sealed class Terminal
{
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

    /// <summary><see cref="Out"/> with tables and colours, plain where it is no terminal.</summary>
    public IAnsiConsole Screen { get; }

    /// <summary><see cref="Error"/> with progress bars and colours, plain where it is no terminal.</summary>
    public IAnsiConsole Log { get; }

    public static Terminal OfProcess() => new(Console.In, Console.Out, Console.Error, interactive: !Console.IsInputRedirected);

    /// <summary>The next line of the input, or null at its end; gives up when cancelled, which a blocking read alone does not.</summary>
    public string? ReadLine(CancellationToken cancellation) => Task.Run(In.ReadLine, CancellationToken.None).WaitAsync(cancellation).GetAwaiter().GetResult();

    private static IAnsiConsole Formatted(TextWriter writer)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer), Interactive = InteractionSupport.No });
        // Lines of a file or a pipe have no width of their own; they are laid out for the narrowest common terminal.
        if (!console.Profile.Out.IsTerminal) console.Profile.Width = 80;
        return console;
    }
}
