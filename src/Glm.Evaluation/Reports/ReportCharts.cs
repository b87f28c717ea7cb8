using Glm.Plots;

namespace Glm.Evaluation;

/// <summary>The drawings of a report. GLM-130B and our models have the same colours in all of them.</summary>
internal static class ReportCharts
{
    private const int MostRows = 30, Colours = 8;
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
                Values = new Axis(unit.Key ?? table.Measure.Split(';', '(')[0].TrimEnd()),
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
        int[] slots = SlotsOf(table.Columns, table.Ours.Count);
        var levels = table.Columns.Select((column, i) => (Name: column, Value: all.Values[i], Slot: slots[i])).Where(level => level.Name != Reference)
            .Concat(report.Models.Select((model, i) => (Name: model.Label, Value: all.Ours[i]?.Value, Slot: SlotOfOurs(i)))).Append((Name: "chance", Value: 25, Slot: slots.Contains(5) ? 6 : 5)).Where(level => level.Value is not null);
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

    /// <summary>As many series as there are colours; of the published models, those that are GLMs first.</summary>
    private static IEnumerable<BarSeries> Series(IReadOnlyList<ReportRow> rows, ReportTable table)
    {
        var there = Enumerable.Range(0, table.Columns.Count).Where(column => rows.Any(row => row.Values[column] is not null));
        var shown = there.OrderByDescending(column => table.Columns[column].Contains("GLM", StringComparison.Ordinal)).Take(Math.Max(2, Colours - table.Ours.Count)).Order().ToList();
        var slots = SlotsOf([.. shown.Select(column => table.Columns[column])], table.Ours.Count);
        return shown.Select((column, i) => new BarSeries(table.Columns[column], [.. rows.Select(row => (Bar?)row.Values[column])]) { Slot = slots[i] })
            .Concat(table.Ours.Select((name, i) => new BarSeries(name, [.. rows.Select(row => row.Ours[i] is { } score ? BarOf(score) : (Bar?)null)]) { Slot = SlotOfOurs(i) }));
    }

    private static Bar BarOf(Score score) => new(score.Value, score.Interval?.Low, score.Interval?.High);

    /// <summary>Blue for GLM-130B, what our models leave for the others.</summary>
    private static int[] SlotsOf(IReadOnlyList<string> columns, int ours)
    {
        int reference = columns.ToList().FindIndex(column => column.StartsWith(Reference, StringComparison.Ordinal));
        int[] free = [.. new[] { 5, 2, 3, 6, 4, 7 }.Except(Enumerable.Range(0, ours).Select(SlotOfOurs)).DefaultIfEmpty(5)];
        int next = 0;
        return [.. columns.Select((_, i) => i == reference ? 0 : free[next++ % free.Length])];
    }

    private static int SlotOfOurs(int model) => new[] { 1, 4, 7, 3, 6, 2 }[model % 6];
}
