using System.Text.Json;

namespace Glm.Cli.Tests;

/// <summary>One command line run inside the test's process.</summary>
internal sealed record CommandRun(int Code, string Out, string Error)
{
    public static CommandRun Of(params string[] arguments) => WithInput("", arguments);

    public static CommandRun WithInput(string input, params string[] arguments) => With(input, interactive: false, CancellationToken.None, arguments);

    public static CommandRun With(string input, bool interactive, CancellationToken cancellation, params string[] arguments)
    {
        var (output, error) = (new StringWriter { NewLine = "\n" }, new StringWriter { NewLine = "\n" });
        int code = new CommandLine(new Terminal(new StringReader(input), output, error, interactive)).Run(arguments, cancellation);
        return new CommandRun(code, output.ToString(), error.ToString());
    }

    /// <summary>The output of a success.</summary>
    public string Success()
    {
        Assert.True(Code == 0, $"exit code {Code}: {Error}");
        return Out;
    }

    /// <summary>The one JSON object that a success printed.</summary>
    public JsonElement Json()
    {
        string text = Success();
        Assert.Single(text.TrimEnd('\n').Split('\n'));
        return JsonDocument.Parse(text).RootElement;
    }

    /// <summary>Asserts failure with one line of reason and no data.</summary>
    public string Reason(int code = CommandLine.Failure)
    {
        Assert.True(Code == code, $"exit code {Code}, expected {code}; standard error: {Error}");
        Assert.Equal("", Out);
        string line = Assert.Single(Error.TrimEnd('\n').Split('\n'));
        Assert.StartsWith("glm: ", line);
        Assert.DoesNotContain("   at ", line);
        return line;
    }
}
