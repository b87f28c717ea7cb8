namespace Glm.Evaluation;

/// <summary>A table of the report: published columns, then a column for each model of ours.</summary>
public sealed record ReportTable
{
    /// <summary>Name of the table, of letters and digits.</summary>
    public required string Id { get; init; }

    /// <summary>Its heading.</summary>
    public required string Title { get; init; }

    /// <summary>The benchmark's name in Chinese, where it is Chinese.</summary>
    public string? Chinese { get; init; }

    /// <summary>What the numbers are.</summary>
    public required string Measure { get; init; }

    /// <summary>Where the published numbers stand.</summary>
    public IReadOnlyList<string> Sources { get; init; } = [];

    /// <summary>What a reader must know to compare.</summary>
    public string? Note { get; init; }

    /// <summary>The published models.</summary>
    public required IReadOnlyList<string> Columns { get; init; }

    /// <summary>Our models, those of the report.</summary>
    public required IReadOnlyList<string> Ours { get; init; }

    /// <summary>The rows.</summary>
    public required IReadOnlyList<ReportRow> Rows { get; init; }

    /// <summary>Whether any number of ours stands in it.</summary>
    public bool HasOurs => Rows.Any(row => row.Ours.Any(score => score is not null));

    /// <summary>The published tables with the scores of models beside them.</summary>
    public static IReadOnlyList<ReportTable> OfPublished(IReadOnlyList<ReportModel> models, CancellationToken cancellation = default)
    {
        var tables = PublishedTable.All.ToDictionary(table => table.Id, table => Of(table, models, cancellation));
        return [.. PublishedTable.All.Select(table => tables[table.Id] with { Rows = [.. tables[table.Id].Rows.Select(row => Average(row, table) is { } average ? row with { Ours = average } : row)] })];

        IReadOnlyList<Score?>? Average(ReportRow row, PublishedTable table)
        {
            if (table.Rows.FirstOrDefault(published => published.Name == row.Name)?.AverageOf is not { } id) return null;
            var averages = tables[id].Rows.Where(other => other.Summary).ToList();
            return [.. models.Select((_, model) => averages.Select(other => other.Ours[model]).FirstOrDefault(score => score is not null))];
        }
    }

    private static ReportTable Of(PublishedTable table, IReadOnlyList<ReportModel> models, CancellationToken cancellation = default)
    {
        var rows = table.Rows.Select(row => new ReportRow(row.Name, row.Values, [.. models.Select(model => Score(model, row, cancellation))])
        {
            Chinese = row.Chinese,
            Section = row.Section,
            Summary = row.Summary,
            Unit = row.Unit,
            LowerIsBetter = row.LowerIsBetter ?? table.LowerIsBetter,
            Ideal = row.Ideal ?? table.Ideal,
            Note = row.Note,
        }).ToList();
        if (table.Averages) rows.AddRange(Averages(rows, models.Count));
        return new ReportTable
        {
            Id = table.Id,
            Title = table.Title,
            Chinese = table.Chinese,
            Measure = table.Measure,
            Sources = [table.Source, .. table.Rows.Select(row => row.Source).OfType<string>().Distinct()],
            Note = table.Note,
            Columns = table.Columns,
            Ours = [.. models.Select(model => model.Label)],
            Rows = [.. rows.Where(row => row.Values.Any(value => value is not null) || row.Ours.Any(score => score is not null))],
        };
    }

    /// <summary>A table for each suite with the tasks that no published table has.</summary>
    public static IEnumerable<ReportTable> OfOthers(IReadOnlyList<ReportModel> models, CancellationToken cancellation = default)
    {
        var known = PublishedTable.All.SelectMany(table => table.Rows).Select(row => (row.Task, row.Shots)).ToHashSet();
        var others = models.SelectMany(model => model.Tasks).Select(run => run.Result)
            .Where(task => !known.Contains((task.Task, null)) && !known.Contains((task.Task, task.Shots))).DistinctBy(task => (task.Task, task.Shots));
        foreach (var suite in others.GroupBy(task => task.Suite ?? "other tasks"))
        {
            var rows = new List<ReportRow>();
            foreach (var task in suite)
                foreach (string metric in task.Metrics)
                    foreach (string? group in task.Groups.Count > 1 ? [null, .. task.Groups.Select(group => group.Name)] : new string?[] { null })
                        rows.Add(new ReportRow($"{task.Task}{(task.Shots > 0 ? $", {task.Shots}-shot" : "")}{(group is null ? "" : $", {group}")}, {metric}", [],
                            [.. models.Select(model => model.Find(task.Task, task.Shots)?.Score(metric, group, null, Report.Seed, cancellation))])
                        { Unit = metric, LowerIsBetter = Metric.Find(metric)?.LowerIsBetter ?? false, Ideal = Metric.Find(metric)?.Ideal });
            yield return new ReportTable
            {
                Id = "our-" + string.Concat(suite.Key.Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '-')),
                Title = char.ToUpperInvariant(suite.Key[0]) + suite.Key[1..],
                Measure = "the metrics in the names of the rows; nothing was published to compare with",
                Columns = [],
                Ours = [.. models.Select(model => model.Label)],
                Rows = rows,
            };
        }
    }

    private static Score? Score(ReportModel model, PublishedRow row, CancellationToken cancellation) =>
        row.Task is { } task ? model.Find(task, row.Shots)?.Score(row.Metric, row.Group, row.Category, Report.Seed, cancellation) : null;

    /// <summary>For each model the mean over the rows that it has, with the means of the published columns over the same rows, so that both average the same tasks.</summary>
    private static IEnumerable<ReportRow> Averages(List<ReportRow> rows, int models)
    {
        var sets = Enumerable.Range(0, models).Select(model => rows.Where(row => !row.Summary && row.Ours[model] is not null && row.Values.Any(value => value is not null)).ToList()).ToList();
        foreach (var same in Enumerable.Range(0, models).Where(model => sets[model].Count > 1).GroupBy(model => string.Join('\n', sets[model].Select(row => row.Name))))
        {
            var averaged = sets[same.First()];
            yield return new ReportRow($"average of the {averaged.Count} that were run here",
                [.. averaged[0].Values.Select((_, column) => averaged.All(row => row.Values[column] is not null) ? Math.Round(averaged.Average(row => row.Values[column]!.Value), 2) : (double?)null)],
                [.. Enumerable.Range(0, models).Select(model => same.Contains(model) ? Evaluation.Score.Mean([.. averaged.Select(row => row.Ours[model]!)]) : null)])
            { Summary = true, LowerIsBetter = averaged[0].LowerIsBetter, Ideal = averaged[0].Ideal };
        }
    }
}

/// <summary>A row of a <see cref="ReportTable"/>.</summary>
/// <param name="Name">What is measured.</param>
/// <param name="Values">Published numbers.</param>
/// <param name="Ours">Scores of our models.</param>
public sealed record ReportRow(string Name, IReadOnlyList<double?> Values, IReadOnlyList<Score?> Ours)
{
    /// <summary>Its name in Chinese, where it is Chinese.</summary>
    public string? Chinese { get; init; }

    /// <summary>Part of the table that it belongs to.</summary>
    public string? Section { get; init; }

    /// <summary>Whether it sums up others.</summary>
    public bool Summary { get; init; }

    /// <summary>What it counts in, where rows of the table differ.</summary>
    public string? Unit { get; init; }

    /// <summary>Whether the smaller number is the better one.</summary>
    public bool LowerIsBetter { get; init; }

    /// <summary>The number that would be perfect, where that is neither the largest nor the smallest.</summary>
    public double? Ideal { get; init; }

    /// <summary>What a reader must know of it.</summary>
    public string? Note { get; init; }

    /// <summary>The best number of the row; one of ours that may be chance is none.</summary>
    public double? Best
    {
        get
        {
            var numbers = Values.OfType<double>().Concat(Ours.OfType<Score>().Where(score => !score.MayBeChance).Select(score => score.Value)).Where(double.IsFinite).ToList();
            if (Values.Count(value => value is not null) + Ours.Count(score => score is not null) < 2 || numbers.Count == 0) return null;
            return Ideal is { } ideal ? numbers.MinBy(number => Math.Abs(number - ideal)) : LowerIsBetter ? numbers.Min() : numbers.Max();
        }
    }
}
