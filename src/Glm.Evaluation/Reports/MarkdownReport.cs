using System.Text;
using Glm.Plots;

namespace Glm.Evaluation;

/// <summary>A report in Markdown.</summary>
public static class MarkdownReport
{
    /// <summary>Writes it.</summary>
    /// <param name="report">The report.</param>
    /// <param name="chart">Takes a drawing and its name and returns where the text finds it; null for a text without drawings.</param>
    public static string Write(Report report, Func<string, Plot, string>? chart = null)
    {
        var text = new StringBuilder("# Evaluation\n\n").Append(ReportText.Introduction).Append("\n\n");
        foreach (string remark in report.Remarks) text.Append("- ").Append(Escape(remark)).Append('\n');
        foreach (var table in report.Tables)
        {
            text.Append("\n## ").Append(Escape(ReportText.Heading(table))).Append("\n\n").Append(Escape(Sentence(table.Measure))).Append("\n\n");
            Write(text, table);
            foreach (var plot in HtmlReport.Charts(report, table))
                if (chart is not null) text.Append($"\n![{Escape(plot.Title)}]({chart($"{table.Id}-{plot.Title}", plot)})\n");
            string remarks = string.Join(' ', new[] { table.Note ?? "", ReportText.Sources(table) }.Where(part => part.Length > 0));
            if (remarks.Length > 0) text.Append('\n').Append(Escape(remarks)).Append('\n');
        }
        text.Append("\n## What was run\n");
        foreach (var model in report.Models)
        {
            text.Append("\n### ").Append(Escape(model.Label)).Append("\n\n");
            foreach (var (name, value) in ReportText.Facts(model)) text.Append($"- {name}: {Escape(value)}\n");
            text.Append('\n');
            foreach (string run in ReportText.Runs(model)) text.Append("    ").Append(run.Replace("\n", "\n    ")).Append("\n\n");
            Row(text, ReportText.TaskColumns);
            Row(text, ReportText.TaskColumns.Select((_, i) => i < 2 ? "---" : "---:"));
            foreach (string[] row in ReportText.TaskRows(model)) Row(text, row.Select(Escape));
        }
        return text.ToString();
    }

    private static void Write(StringBuilder text, ReportTable table)
    {
        bool hasChance = ReportText.HasChance(table);
        string[] columns = ["", .. table.Columns, .. table.Ours, .. hasChance ? new[] { "chance" } : []];
        Row(text, columns.Select(Escape));
        Row(text, columns.Select((_, i) => i == 0 ? "---" : "---:"));
        string? section = null;
        foreach (var row in table.Rows)
        {
            if (row.Section is { } next && next != section) Row(text, columns.Select((_, i) => i == 0 ? $"*{Escape(next)}*" : ""));
            section = row.Section;
            int decimals = ReportText.Decimals(table, row);
            Row(text,
            [
                Escape(row.Chinese is { } chinese ? $"{row.Name} {chinese}" : row.Name),
                .. row.Values.Select((value, column) => Bold(ReportText.Published(table, row, column), value is not null && value == row.Best)),
                .. row.Ours.Select(score => score is null ? ReportText.None : Bold(ReportText.Number(score.Value, decimals), score.Value == row.Best) + Small(ReportText.Note(score, decimals))),
                .. hasChance ? new[] { ReportText.Chance(row, decimals) } : [],
            ]);
        }
    }

    private static void Row(StringBuilder text, IEnumerable<string> cells) => text.Append("| ").AppendJoin(" | ", cells).Append(" |\n");

    private static string Bold(string text, bool isBold) => isBold ? $"**{text}**" : text;

    private static string Small(string note) => note.Length > 0 ? $" <sub>{Escape(note)}</sub>" : "";

    private static string Sentence(string text) => char.ToUpperInvariant(text[0]) + text[1..] + ".";

    /// <summary>Text that means nothing to Markdown.</summary>
    private static string Escape(string text)
    {
        var escaped = new StringBuilder();
        foreach (char letter in text.ReplaceLineEndings(" "))
            _ = letter switch
            {
                '&' => escaped.Append("&amp;"),
                '<' => escaped.Append("&lt;"),
                '|' or '*' or '`' or '[' or ']' or '\\' => escaped.Append('\\').Append(letter),
                _ => escaped.Append(letter),
            };
        return escaped.ToString();
    }
}
