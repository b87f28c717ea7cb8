using System.Text;
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

    /// <summary>Where the reason of a failure goes, even on a rank that prints nothing else.</summary>
    public TextWriter Reasons { get => field ?? Error; private init; }

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
        ? new(Console.In, Console.Out, Console.Error, Told(world, LauncherHasTerminal())) { World = world, Reasons = Console.Error }
        : new(TextReader.Null, TextWriter.Null, TextWriter.Null, Told(world, false)) { World = world, Reasons = Console.Error };

    /// <summary>A text without control characters: what a model writes must not steer the terminal.</summary>
    public static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) && c is not ('\n' or '\t') ? '\uFFFD' : c));

    /// <summary>Begins a part of a command that an interrupt ends in place of the command; disposing ends the part.</summary>
    public InterruptiblePart InterruptiblePart(CancellationToken cancellation) => new(this, cancellation);

    /// <summary>Ends the part of the command that is under way; false where there is none, or where it was told before.</summary>
    public bool InterruptPart() => Part?.Interrupt() ?? false;

    internal InterruptiblePart? Part { get; set; }

    /// <summary>The next line of the input, or null at its end.</summary>
    public string? ReadLine(CancellationToken cancellation) => Told(Read(In.ReadLine, cancellation));

    /// <summary>
    /// The text of a command: its words, or the whole input without its last newline where the one word is <c>-</c> or where there is none and
    /// nobody sits at the input; null where somebody does.
    /// </summary>
    public string? Text(string[]? words, CancellationToken cancellation)
    {
        if (words is ["-"] || (words is null or [] && !Interactive))
        {
            string text = Told(Read(In.ReadToEnd, cancellation)) ?? "";
            return text.EndsWith("\r\n", StringComparison.Ordinal) ? text[..^2] : text.EndsWith('\n') ? text[..^1] : text;
        }
        return words is null or [] ? null : string.Join(' ', words);
    }

    /// <summary>What the first rank read; the others wait for it, mostly asleep.</summary>
    private string? Told(string? read)
    {
        if (World.Size == 1) return read;
        byte[] told = World.Broadcast(IsFirst && read is not null ? Encoding.UTF8.GetBytes("=" + read) : [], root: 0);
        return told.Length == 0 ? null : Encoding.UTF8.GetString(told)[1..];
    }

    private static bool Told(ProcessGroup world, bool value) => world.Broadcast([(byte)(value ? 1 : 0)], root: 0)[0] != 0;

    /// <summary>Whether somebody sits at mpirun, whose ranks have a pipe for an input whatever it has itself.</summary>
    private static bool LauncherHasTerminal()
    {
        try
        {
            string status = File.ReadAllText("/proc/self/stat");
            string parent = status[(status.LastIndexOf(')') + 2)..].Split(' ')[1];
            return File.ResolveLinkTarget($"/proc/{parent}/fd/0", returnFinalTarget: false) is { FullName: var input } && (input.StartsWith("/dev/pts/", StringComparison.Ordinal) || input.StartsWith("/dev/tty", StringComparison.Ordinal));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
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
