using System.Text.Json.Nodes;
using System.Xml.Linq;

namespace Glm.Cli.Tests;

public sealed class LogsTests
{
    private const string Line = """{"step":STEP,"samples":8,"loss":2.5,"gradient_norm":1,"rate":0.001,"batch":4,"tokens_per_second":100,"flops_per_second":1000}""";

    [Fact]
    public void Runs_become_a_page_and_pictures()
    {
        using var folder = new TemporaryFolder();
        foreach (string run in new[] { "a", "b" })
        {
            Directory.CreateDirectory(folder[run]);
            File.WriteAllLines(folder[run + "/log.jsonl"], Enumerable.Range(1, 3).Select(step => Line.Replace("STEP", $"{step}")));
        }
        var json = JsonNode.Parse(CommandRun.Of("logs", folder["a"], folder["b"], "--x", "samples", "--output", folder["plots"], "--json").Success())!;
        Assert.Equal(2.5, (double)json["runs"]![1]!["loss"]!);
        Assert.Contains("<svg", File.ReadAllText(folder["plots/logs.html"]));
        foreach (var plot in json["plots"]!.AsArray()) XElement.Load(folder[$"plots/{plot}.svg"]);
        Assert.Contains("b: 3 steps, loss 2.5000", CommandRun.Of("logs", folder["a"], folder["b"], "--output", folder["plots"]).Success());
    }

    [Fact]
    public void A_folder_that_is_no_run_is_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("log.jsonl", CommandRun.Of("logs", folder[""], "--output", folder["plots"]).Reason());
    }
}
