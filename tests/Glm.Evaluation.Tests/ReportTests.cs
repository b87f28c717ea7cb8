using System.Text.RegularExpressions;

namespace Glm.Evaluation.Tests;

public sealed class ReportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Run(string name) => Path.Combine(_folder.Path, name);

    private static Score Ours(Report report, string table, string row, int model = 0) =>
        report.Tables.Single(candidate => candidate.Id == table).Rows.Single(candidate => candidate.Name == row).Ours[model]!;

    [Fact]
    public void Scores_stand_beside_what_was_published_with_interval_and_chance()
    {
        SampleRuns.Write(Run("a"), "tiny", "bf16", SampleRuns.Choices("clue-c3", 0, (null, 100, 300, 4)), SampleRuns.Choices("clue-cmnli", 0, (null, 33, 99, 3)));
        var report = Report.Of([_folder.Path]);
        var table = Assert.Single(report.Tables);
        Assert.Equal("clue", table.Id);
        var score = Ours(report, "clue", "C3");
        Assert.Equal(100.0 / 3, score.Value, 1e-9);
        Assert.Equal(25, score.Chance!.Value, 1e-9);
        Assert.Equal(77.52, table.Rows.Single(row => row.Name == "C3").Values[1]);
        var average = table.Rows.Single(row => row.Summary);
        Assert.Equal((77.52 + 77.05) / 2, average.Values[1]!.Value, 0.0051);
        Assert.Equal(100.0 / 3, average.Ours[0]!.Value, 1e-9);
        Assert.DoesNotContain(report.Rest, rest => rest.Id == "clue");
        Assert.Contains(report.Rest, rest => rest.Id == "mmlu");
    }

    /// <summary>For a share of independent items the bootstrap is close to the normal approximation, 1.96 sqrt(p (1 - p) / n).</summary>
    [Theory]
    [InlineData(100, 300)]
    [InlineData(30, 1000)]
    public void Intervals_are_those_of_a_share(int right, int items)
    {
        SampleRuns.Write(Run("a"), "tiny", "bf16", SampleRuns.Choices("lambada", 0, (null, right, items, 4)));
        var score = Ours(Report.Of([_folder.Path]), "lambada", "bidirectional");
        double share = (double)right / items, half = 196 * Math.Sqrt(share * (1 - share) / items);
        Assert.Equal(score.Value - half, score.Interval!.Value.Low, 0.12 * half);
        Assert.Equal(score.Value + half, score.Interval.Value.High, 0.12 * half);
        Assert.Equal(score.Interval, Ours(Report.Of([_folder.Path]), "lambada", "bidirectional").Interval);
    }

    [Fact]
    public void Items_of_a_cluster_are_drawn_together()
    {
        ItemResult[] items = [.. Enumerable.Range(0, 400).Select(i => new ItemResult { File = 0, Item = i, Cluster = $"{i / 40}", Label = 0, Choices = 2, Prediction = i / 40 % 2 })];
        var metric = Metric.Find("Accuracy")!;
        var alone = Bootstrap.Interval(Bootstrap.Replicates(items, item => item.Item, metric.Of, 1))!.Value;
        var together = Bootstrap.Interval(Bootstrap.Replicates(items, item => item.Cluster!, metric.Of, 1))!.Value;
        Assert.True(together.High - together.Low > 4 * (alone.High - alone.Low)); // sqrt(40) in theory
    }

    [Fact]
    public void Nothing_is_claimed_where_all_items_are_alike()
    {
        SampleRuns.Write(Run("a"), "tiny", "bf16", SampleRuns.Choices("lambada", 0, (null, 0, 50, 4)));
        var score = Ours(Report.Of([_folder.Path]), "lambada", "bidirectional");
        Assert.Equal(0, score.Value);
        Assert.Null(score.Interval);
    }

    [Fact]
    public void Categories_and_shots_find_their_rows()
    {
        SampleRuns.Write(Run("a"), "tiny", "bf16",
            SampleRuns.Choices("mmlu", 5, ("abstract_algebra", 10, 40, 4), ("virology", 30, 40, 4)), SampleRuns.Texts("pile", ("ArXiv", 1.5), ("Github", 2.5)), SampleRuns.Choices("winogender", 1, (null, 5, 10, 2)));
        var report = Report.Of([_folder.Path]);
        Assert.Equal(25, Ours(report, "mmlu", "abstract_algebra").Value, 1e-9);
        Assert.Equal(75, Ours(report, "mmlu", "virology").Value, 1e-9);
        Assert.Equal(50, Ours(report, "mmlu", "all subjects").Value, 1e-9);
        Assert.Equal(1.5, Ours(report, "pile", "arxiv").Value, 1e-9);
        Assert.Null(Ours(report, "commonsense", "Winogender (0)"));
        Assert.Equal(50, Ours(report, "commonsense", "Winogender (1)").Value);
        Assert.Equal(0.329, report.Tables.Single(table => table.Id == "pile").Rows.Single(row => row.Name == "github").Best);
    }

    [Fact]
    public void Averages_of_ours_stand_beside_printed_averages()
    {
        SampleRuns.Write(Run("a"), "tiny", "bf16", SampleRuns.Choices("bigbench-lite/winowhy", 1, (null, 1, 4, 2)), SampleRuns.Choices("bigbench-lite/operators", 1, (null, 3, 4, 2)));
        var report = Report.Of([_folder.Path]);
        Assert.Equal(50, Ours(report, "bigbench-lite", "one-shot").Value);
        Assert.Null(report.Tables.Single(table => table.Id == "bigbench-lite").Rows[0].Ours[0]);
        Assert.Equal(14.91, report.Tables.Single(table => table.Id == "bigbench-lite").Rows[1].Values[^1]);
    }

    /// <summary>Parts of the data and prompts are in the names of files; two prompts for the same items do not make them more.</summary>
    [Fact]
    public void Parts_and_prompts_of_files_are_known()
    {
        var (task, items) = SampleRuns.Choices("mmlu", 5, (null, 10, 40, 4));
        FileResult File(string name) => task.Files[0] with { Name = name, Group = "stem", Errors = 1 };
        SampleRuns.Write(Run("a"), "tiny", "bf16", (task with { Files = [File("mmlu/test.csv/astronomy#a"), File("mmlu/test.csv/astronomy#b"), File("mmlu/test.csv/anatomy#a")] },
            [.. items, .. items.Select(item => item with { File = 1 }), .. items.Take(20).Select(item => item with { File = 2 })]));
        var report = Report.Of([_folder.Path]);
        var astronomy = Ours(report, "mmlu", "astronomy");
        Assert.Equal((25.0, 80, 2), (astronomy.Value, astronomy.Items, astronomy.Prompts));
        Assert.Equal(3, Ours(report, "mmlu", "STEM").Errors);
        Assert.Equal(50, Ours(report, "mmlu", "anatomy").Value);
        SampleRuns.Write(Run("b"), "other", "bf16", (task with { Files = [File("mmlu/test.csv/astronomy#a")] }, items));
        Assert.Equal(astronomy.Interval, Ours(Report.Of([Run("b")]), "mmlu", "astronomy").Interval);
    }

    [Fact]
    public void Runs_of_one_model_are_one_column_and_precisions_are_several()
    {
        SampleRuns.Write(Run("a"), "tiny", "bf16", SampleRuns.Choices("lambada", 0, (null, 20, 100, 4)));
        SampleRuns.Write(Run("b"), "tiny", "bf16", SampleRuns.Choices("clue-c3", 0, (null, 20, 100, 4)));
        SampleRuns.Write(Run("c"), "tiny", "int4", SampleRuns.Choices("lambada", 0, (null, 10, 100, 4)));
        var report = Report.Of([_folder.Path]);
        Assert.Equal(["tiny bf16", "tiny int4"], report.Models.Select(model => model.Label));
        Assert.Equal(2, report.Models[0].Tasks.Count);
        Assert.Equal([20.0, 10.0], new[] { 0, 1 }.Select(model => Ours(report, "lambada", "bidirectional", model).Value));
        Assert.Contains(report.Tables, table => table.Id == "quantisation");
        Assert.Null(Ours(report, "clue", "C3", 1));
    }

    [Fact]
    public void Tasks_that_nobody_published_have_tables_of_their_own()
    {
        SampleRuns.Write(Run("a"), "tiny", "bf16", SampleRuns.Choices("our own task", 0, (null, 20, 100, 4)));
        var report = Report.Of([_folder.Path]);
        Assert.Equal(20, Assert.Single(Assert.Single(report.Tables).Rows).Ours[0]!.Value);
    }

    [Fact]
    public void What_is_unfinished_is_said_and_left_out()
    {
        SampleRuns.Write(Run("a"), "tiny", "bf16", SampleRuns.Choices("lambada", 0, (null, 20, 100, 4)), SampleRuns.Choices("clue-c3", 0, (null, 20, 100, 4)));
        File.Delete(Path.Combine(Run("a"), "clue-c3.json"));
        var report = Report.Of([_folder.Path]);
        Assert.Contains("clue-c3 is not finished (100 items", Assert.Single(report.Remarks));
        Assert.DoesNotContain(report.Tables, table => table.Id == "clue");
        File.Delete(Path.Combine(Run("a"), "lambada.json"));
        Assert.Contains("found none", Assert.Throws<GlmException>(() => Report.Of([_folder.Path])).Message);
    }

    [Fact]
    public void The_best_of_a_row_is_not_chance_and_nearest_to_the_ideal_where_there_is_one()
    {
        static Score Ours(double value, double low, double high) => new(value, new Interval(low, high), 50, 100, 0, 1, null);
        Assert.Equal(60, new ReportRow("a", [60, 40], [Ours(70, 45, 90)]).Best);
        Assert.Equal(70, new ReportRow("a", [60, 40], [Ours(70, 55, 90)]).Best);
        Assert.Equal(40, new ReportRow("a", [60, 40], [Ours(20, 10, 60)]) { LowerIsBetter = true }.Best);
        Assert.Equal(45, new ReportRow("a", [60, 45], [Ours(30, 20, 40), Ours(50, 40, 60)]) { Ideal = 50 }.Best);
        Assert.Null(new ReportRow("a", [null, 60], []).Best);
        Assert.Null(new ReportRow("a", [], [Ours(50, 40, 60), Ours(52, 40, 60)]).Best);
    }

    [Fact]
    public void Items_without_what_the_metric_needs_are_an_error_that_names_the_file()
    {
        var (task, items) = SampleRuns.Choices("lambada", 0, (null, 20, 100, 4));
        SampleRuns.Write(Run("a"), "tiny", "bf16", (task with { Metrics = ["EM"] }, items));
        string message = Assert.Throws<GlmException>(() => Report.Of([_folder.Path])).Message;
        Assert.Contains("lambada.jsonl", message);
        Assert.Contains("EM", message);
    }

    [Fact]
    public void Markdown_has_a_line_for_each_row_and_every_line_as_many_cells()
    {
        SampleRuns.Write(Run("a"), "ti|ny<b>", "bf16", SampleRuns.Choices("lambada", 0, (null, 20, 100, 4)), SampleRuns.Texts("pile", ("ArXiv", 1.5), ("Github", 2.5)));
        var charts = new List<string>();
        string text = MarkdownReport.Write(Report.Of([_folder.Path]), (name, plot) =>
        {
            charts.Add(plot.ToSvg());
            return "x.svg";
        });
        Assert.Equal(charts.Count, Regex.Count(text, @"^!\[", RegexOptions.Multiline));
        Assert.NotEmpty(charts);
        Assert.DoesNotContain("<b>", Regex.Replace(text, "^    .*$", "", RegexOptions.Multiline)); // but for commands, which stand as they are
        var tables = Regex.Matches(text, @"(^\|.*\n)+", RegexOptions.Multiline).Select(match => match.Value.TrimEnd('\n').Split('\n'));
        Assert.All(tables, lines => Assert.Single(lines.Select(line => Regex.Count(line, @"(?<!\\)\|")).Distinct()));
        Assert.Contains("| bidirectional | – | – | – | – | 72.35 | **80.2** |", text);
        Assert.Contains("    glm eval --model models/ti|ny<b>", text);
        Assert.Contains("0123456789abcdef", text);
    }

    [Fact]
    public void The_page_holds_every_number_of_the_tables()
    {
        SampleRuns.Write(Run("a"), "tiny", "bf16", SampleRuns.Choices("mmlu", 5, ("abstract_algebra", 10, 40, 4), ("virology", 30, 41, 4)), SampleRuns.Choices("bigbench-lite/winowhy", 0, (null, 1, 2, 2)));
        string html = HtmlReport.Write(Report.Of([_folder.Path]));
        foreach (string expected in new[] { "73.17", "MMLU while GLM-130B was trained", "1f0e9d8c7b6a", "Other published results", "中文语言理解测评", "44.71" }) Assert.Contains(expected, html);
        Assert.Contains("chance", html);
    }
}
