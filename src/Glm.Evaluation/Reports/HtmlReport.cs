using Glm.Plots;

namespace Glm.Evaluation;

/// <summary>A report as one page: tables, drawings, and what was run.</summary>
public static class HtmlReport
{
    private const char NonBreakingHyphen = '\u2011';

    /// <summary>Writes it.</summary>
    public static string Write(Report report)
    {
        var page = new HtmlPage("Evaluation of " + string.Join(", ", report.Models.Select(model => model.Label)));
        page.Paragraph(ReportText.Introduction);
        foreach (string remark in report.Remarks) page.Note(remark);
        page.Contents([.. report.Tables.Select(table => (table.Title, table.Id)), ("What was run", "runs"), .. report.Rest.Count > 0 ? new[] { ("Other published results", "rest") } : []]);
        foreach (var table in report.Tables)
        {
            page.Heading(2, table.Title, table.Id, table.Chinese);
            var charts = Charts(report, table).ToList();
            Write(page, table);
            foreach (var chart in charts) page.Figure(chart);
        }
        page.Heading(2, "What was run", "runs");
        foreach (var model in report.Models) Write(page, model);
        if (report.Rest.Count == 0) return page.ToString();
        page.Heading(2, "Other published results", "rest").Paragraph("Nothing here was run for them.");
        foreach (var table in report.Rest) page.Details(ReportText.Heading(table), inner => Write(inner, table));
        return page.ToString();
    }

    /// <summary>The drawings of a table; before its own, the paper's figure where there is one.</summary>
    internal static IEnumerable<Plot> Charts(Report report, ReportTable table)
    {
        var bars = ReportCharts.Of(table);
        return table.Id == "mmlu" ? bars.Prepend<Plot>(ReportCharts.Mmlu(report, table)) : bars;
    }

    private static void Write(HtmlPage page, ReportTable table)
    {
        bool hasChance = ReportText.HasChance(table);
        Cell[] columns = ["", .. table.Columns.Concat(table.HasOurs ? table.Ours : []).Select(name => (Cell)name.Replace('-', NonBreakingHyphen)), .. hasChance ? new Cell[] { "chance" } : []];
        var rows = new List<IReadOnlyList<Cell>>();
        string? section = null;
        foreach (var row in table.Rows)
        {
            if (row.Section is { } next && next != section) rows.Add([.. columns.Select((_, i) => i == 0 ? new Cell(next) { Best = true } : "")]);
            section = row.Section;
            int decimals = ReportText.Decimals(table, row);
            rows.Add(
            [
                new Cell(row.Name) { Note = row.Chinese ?? row.Note, NoteLanguage = row.Chinese is null ? null : "zh" },
                .. row.Values.Select((value, column) => new Cell(ReportText.Published(table, row, column)) { Best = value is not null && value == row.Best }),
                .. table.HasOurs ? row.Ours.Select(score => OursOf(score, row, decimals)) : [],
                .. hasChance ? new Cell[] { ReportText.Chance(row, decimals) } : [],
            ]);
        }
        int ours = 1 + table.Columns.Count;
        page.Table(new HtmlTable(char.ToUpperInvariant(table.Measure[0]) + table.Measure[1..], columns, rows) { Ours = table.HasOurs ? [.. Enumerable.Range(ours, table.Ours.Count)] : [] });
        if (table.Note is { } note) page.Note(note);
        if (ReportText.Sources(table) is { Length: > 0 } sources) page.Note(sources);
    }

    private static Cell OursOf(Score? score, ReportRow row, int decimals) => score is null
        ? ReportText.None
        : new Cell(ReportText.Number(score.Value, decimals)) { Best = score.Value == row.Best, Note = ReportText.Note(score, decimals) is { Length: > 0 } note ? note : null };

    private static void Write(HtmlPage page, ReportModel model)
    {
        page.Heading(3, model.Label).Table(new HtmlTable("The model", ["", ""], [.. ReportText.Facts(model).Select(fact => new Cell[] { fact.Name, fact.Value })]) { Texts = true });
        page.Code(string.Join("\n\n", ReportText.Runs(model)));
        page.Details("Everything that was measured", inner => inner.Table(
            new HtmlTable("Tasks, groups and metrics; over several files the best, the middle and the average", [.. ReportText.TaskColumns.Select(name => (Cell)name)], [.. ReportText.TaskRows(model).Select(row => row.Select(text => (Cell)text).ToArray())])));
    }
}
