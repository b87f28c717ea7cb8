using Glm.Plots;

namespace Glm.Evaluation;

/// <summary>The drawings of a report. GLM-130B and our models have the same colours in all of them.</summary>
internal static class ReportCharts
{
    private const int MostRows = 30, MostPublished = 6;
    private const string Reference = "GLM-130B";

    /// <summary>The numbers of a table as bars: one drawing for each unit. Long tables are drawn by their summaries, and of many published models a few.</summary>
    public static IEnumerable<BarPlot> Of(ReportTable table)
    {
        var rows = table.Rows.Where(row => row.Ours.Any(score => score is not null)).ToList();
        bool isLong = rows.Count(row => !row.Summary) > MostRows;
        if (isLong || rows.Any(row => !row.Summary)) rows = [.. rows.Where(row => row.Summary == isLong)];
        foreach (var unit in rows.GroupBy(row => row.Unit))
        {
            var series = Series([.. unit], table).Where(one => one.Bars.Any(bar => bar is not null)).ToList();
            double?[] chances = [.. unit.Select(row => row.Ours.OfType<Score>().Select(score => score.Chance).FirstOrDefault())];
            yield return new BarPlot
            {
                Title = unit.Key is null || unit.Key == table.Measure ? table.Title : $"{table.Title}: {unit.Key}",
                Description = $"{table.Measure}. The numbers are those of the table.",
                Values = new Axis(unit.Key ?? table.Measure.Split(';')[0]),
                Categories = [.. unit.Select(row => row.Name)],
                Series = series,
                Marks = chances,
                MarkName = "chance",
            };
        }
    }

    /// <summary>The paper's figure of MMLU: GLM-130B over its training, with the other models as levels.</summary>
    public static LinePlot Mmlu(Report report, ReportTable table)
    {
        var training = PublishedTable.All.First(published => published.Id == "mmlu-training");
        double[] tokens = [.. training.Rows.Select(row => double.Parse(row.Name.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture))];
        double[] range = [tokens[0], tokens[^1]];
        var all = table.Rows[0];
        var levels = table.Columns.Select((column, i) => (Name: column, Value: all.Values[i], Slot: SlotOf(column, i))).Where(level => level.Name != Reference)
            .Concat(report.Models.Select((model, i) => (Name: model.Label, Value: all.Ours[i]?.Value, Slot: SlotOfOurs(i)))).Append((Name: "chance", Value: 25, Slot: 5)).Where(level => level.Value is not null);
        return new LinePlot
        {
            Title = "MMLU while GLM-130B was trained",
            Description = "GLM-130B rises from 30 % after 64 billion tokens to 45 % after 400 billion; finished models are levels.",
            X = new Axis("tokens trained on, in billions"),
            Y = new Axis("accuracy, %, 5-shot"),
            Series =
            [
                new LineSeries(Reference, tokens, [.. training.Rows.Select(row => row.Values[0]!.Value)]) { Slot = 0 },
                .. levels.Select(level => new LineSeries(level.Name, range, [level.Value!.Value, level.Value.Value]) { Slot = level.Slot }),
            ],
        };
    }

    private static IEnumerable<BarSeries> Series(IReadOnlyList<ReportRow> rows, ReportTable table)
    {
        var there = Enumerable.Range(0, table.Columns.Count).Where(column => rows.Any(row => row.Values[column] is not null)).ToList();
        var shown = there.OrderByDescending(column => table.Columns[column].Contains("GLM", StringComparison.Ordinal)).Take(MostPublished).Order();
        return shown.Select(column => new BarSeries(table.Columns[column], [.. rows.Select(row => (Bar?)row.Values[column])]) { Slot = SlotOf(table.Columns[column], column) })
            .Concat(table.Ours.Select((name, i) => new BarSeries(name, [.. rows.Select(row => row.Ours[i] is { } score ? BarOf(score) : (Bar?)null)]) { Slot = SlotOfOurs(i) }));
    }

    private static Bar BarOf(Score score) => new(score.Value, score.Interval?.Low, score.Interval?.High);

    /// <summary>Blue for GLM-130B, orange for the first of ours, purple and green and so on for the rest.</summary>
    private static int SlotOf(string column, int place) => column.StartsWith(Reference, StringComparison.Ordinal) && !column.Contains("INT", StringComparison.Ordinal) ? 0 : new[] { 5, 2, 3, 6, 7, 4 }[place % 6];

    private static int SlotOfOurs(int model) => new[] { 1, 4, 7, 3, 6, 2 }[model % 6];
}
