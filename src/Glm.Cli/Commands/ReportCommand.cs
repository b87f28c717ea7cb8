using System.CommandLine;
using System.Text;
using Glm.Evaluation;

namespace Glm.Cli.Commands;

/// <summary><c>glm report</c>: results of <c>glm eval</c> beside what was published, as Markdown or as a page.</summary>
internal static class ReportCommand
{
    public static Command Create(Terminal terminal)
    {
        var folders = new Argument<string[]>("DIR") { Description = "Folders with results of glm eval, in them or below", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string>("--output")
        {
            HelpName = "FILE",
            Description = "A page in one file (.html), or Markdown with drawings in a folder beside it (.md); default: Markdown on standard output",
        };
        output.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var name }] && !IsHtml(name) && !IsMarkdown(name)) result.AddError($"--output: expected a name that ends with .html or .md, found {name}");
        });
        var json = Options.Json();
        return new ExampleCommand("report", "The paper's tables with published results beside ours: confidence intervals, chance, drawings, and exactly what was run",
            "glm report results/", "glm report results/fp16 results/int8 results/int4 --output report.html")
        {
            folders, output, json,
        }.Does((parse, cancellation) =>
        {
            var report = Report.Of(parse.GetRequiredValue(folders), cancellation);
            string? file = parse.GetValue(output);
            if (file is not null) Write(file, report);
            if (parse.GetValue(json)) terminal.WriteJson(report);
            else if (file is null) terminal.Out.Write(MarkdownReport.Write(report));
        });
    }

    private static void Write(string file, Report report)
    {
        if (IsHtml(file))
        {
            Write(file, HtmlReport.Write(report));
            return;
        }
        string folder = Path.GetFileNameWithoutExtension(file) + "-charts", parent = Path.GetDirectoryName(Path.GetFullPath(file))!;
        Write(file, MarkdownReport.Write(report, (name, plot) =>
        {
            string chart = string.Concat(name.ToLowerInvariant().Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '-')) + ".svg";
            Write(Path.Combine(parent, folder, chart), plot.ToSvg());
            return $"{Uri.EscapeDataString(folder)}/{chart}";
        }));
    }

    private static void Write(string file, string text) => AtomicFile.Write(file, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    private static bool IsHtml(string name) => Path.GetExtension(name).ToLowerInvariant() is ".html" or ".htm";

    private static bool IsMarkdown(string name) => Path.GetExtension(name).ToLowerInvariant() is ".md";
}
