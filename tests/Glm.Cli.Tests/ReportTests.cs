using System.Text.Json;

namespace Glm.Cli.Tests;

public sealed class ReportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Results as glm eval leaves them: 6 of 20 passages right.</summary>
    private string Results()
    {
        _folder.Write("run/run.json", """
            {"version":"0.1.0","command":"glm eval --model m","model":{"name":"m","location":"models/m","precision":"int4"},"started":"2026-01-02T03:04:05Z","tasks":["lambada"],"seconds":2,"tokens":300}
            """);
        string numbers = """{"Accuracy":{"max":30,"median":30,"average":30}}""";
        string group = $$"""{"name":"all","items":20,"errors":0,"metrics":{{numbers}},"chance":{} }""";
        _folder.Write("run/lambada.json", $$"""
            {"task":"lambada","title":"LAMBADA","type":"gen","version":"v","data":"d","shots":0,"metrics":["Accuracy"],"groups":[{{group}}],"overall":{{group}},
             "files":[{"group":"all","name":"lambada/test.jsonl","items":20,"errors":0,"metrics":{"Accuracy":30},"chance":{} }]}
            """);
        _folder.Write("run/lambada.jsonl", "{\"task\":\"lambada\",\"version\":\"v\",\"data\":\"d\",\"shots\":0}\n"
            + string.Concat(Enumerable.Range(0, 20).Select(i => $"{{\"file\":0,\"item\":{i},\"label\":0,\"choices\":2,\"prediction\":{(i < 6 ? 0 : 1)}}}\n")));
        return _folder["run"];
    }

    [Fact]
    public void Markdown_goes_to_standard_output()
    {
        string text = CommandRun.Of("report", Results()).Success();
        Assert.Contains("## LAMBADA", text);
        Assert.Contains("| 30.00 <sub>", text);
        Assert.Contains("glm eval --model m", text);
        Assert.DoesNotContain("![", text);
    }

    [Fact]
    public void A_page_is_one_file_and_markdown_has_drawings_beside_it()
    {
        string page = _folder["out/report.html"], markdown = _folder["out/report.md"];
        Assert.Equal("", CommandRun.Of("report", Results(), "--output", page).Success());
        Assert.StartsWith("<!doctype html>", File.ReadAllText(page));
        Assert.Single(Directory.GetFiles(_folder["out"]));
        CommandRun.Of("report", _folder["run"], "--output", markdown).Success();
        string[] charts = Directory.GetFiles(_folder["out/report-charts"], "*.svg");
        Assert.NotEmpty(charts);
        foreach (string chart in charts) Assert.Contains($"(report-charts/{Path.GetFileName(chart)})", File.ReadAllText(markdown));
    }

    [Fact]
    public void Json_is_one_object()
    {
        var report = CommandRun.Of("report", Results(), "--json").Json();
        var row = report.GetProperty("tables")[0].GetProperty("rows")[0];
        Assert.Equal(30, row.GetProperty("ours")[0].GetProperty("value").GetDouble(), 1e-9);
        Assert.Equal(JsonValueKind.Object, row.GetProperty("ours")[0].GetProperty("interval").ValueKind);
    }

    [Theory]
    [InlineData("missing", "no such folder")]
    [InlineData("empty", "run.json")]
    public void A_folder_without_results_is_an_error(string name, string reason)
    {
        Directory.CreateDirectory(_folder["empty"]);
        Assert.Contains(reason, CommandRun.Of("report", _folder[name]).Reason());
    }

    [Fact]
    public void Another_kind_of_file_is_wrong_usage() => CommandRun.Of("report", Results(), "--output", "report.pdf").Reason(CommandLine.WrongUsage);
}
