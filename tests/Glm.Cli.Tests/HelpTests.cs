namespace Glm.Cli.Tests;

public sealed class HelpTests
{
    /// <summary>Every command there is, found by walking the help.</summary>
    private static IEnumerable<string[]> Commands(string[] path)
    {
        string help = CommandRun.Of([.. path, "--help"]).Success();
        yield return path;
        int at = help.IndexOf("Commands:", StringComparison.Ordinal);
        if (at < 0) yield break;
        foreach (string line in help[at..].Split('\n').Skip(1).TakeWhile(line => line.StartsWith("  ", StringComparison.Ordinal)))
        {
            if (line.StartsWith("   ", StringComparison.Ordinal)) continue;
            foreach (string[] inner in Commands([.. path, line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[0]])) yield return inner;
        }
    }

    [Fact]
    public void Every_command_explains_itself_with_an_example_that_names_it()
    {
        var commands = Commands([]).ToList();
        Assert.Contains(commands, path => path is ["tokenize", "train"]);
        foreach (string[] path in commands)
        {
            string help = CommandRun.Of([.. path, "--help"]).Success();
            Assert.Contains("Usage:", help);
            bool hasCommands = help.Contains("Commands:");
            if (!hasCommands) Assert.Contains($"\n  glm {string.Join(' ', path)}", help[help.IndexOf("Example", StringComparison.Ordinal)..]);
        }
    }

    [Fact]
    public void Without_a_command_the_help_is_shown() => Assert.Contains("Commands:", CommandRun.Of().Success());

    [Theory]
    [InlineData("nonsense")]
    [InlineData("info", "glm-130b", "--colour")]
    [InlineData("info", "a", "b")]
    [InlineData("tokenize")]
    [InlineData("tokenize", "decode", "--tokenizer", "x", "not-an-id")]
    [InlineData("tokenize", "train", "text.txt")]
    [InlineData("tokenize", "train", "text.txt", "--output", "x", "--size", "many")]
    [InlineData("tokenize", "train", "text.txt", "--output", "x", "--threads", "0")]
    [InlineData("tokenize", "encode", "text", "--newlines", "perhaps")]
    [InlineData("score", "text", "--precision", "int4")]
    [InlineData("generate", "text", "-x")]
    public void Wrong_usage_is_2_with_one_line(params string[] arguments) => CommandRun.Of(arguments).Reason(CommandLine.WrongUsage);

    [Fact]
    public void An_argument_that_begins_with_at_is_text() => Assert.Contains("@nowhere", CommandRun.Of("info", "@nowhere").Reason());

    [Fact]
    public void An_argument_after_two_dashes_is_text() =>
        Assert.Equal(CommandRun.With("--colour", interactive: false, default, "tokenize", "encode", "-").Success(), CommandRun.Of("tokenize", "encode", "--", "--colour").Success());

    [Fact]
    public void Cancelled_is_130()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        var run = CommandRun.With("text", interactive: false, cancelled.Token, "tokenize", "encode", "-");
        Assert.Equal("glm: interrupted", run.Reason(CommandLine.Interrupted));
    }
}
