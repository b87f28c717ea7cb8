namespace Glm.Evaluation;

/// <summary>Runs side by side, and beside what was published.</summary>
public sealed record Report
{
    /// <summary>Key of the bootstrap.</summary>
    public const ulong Seed = 1234;

    /// <summary>The models that were run, each a column of ours.</summary>
    public required IReadOnlyList<ReportModel> Models { get; init; }

    /// <summary>Tables in which something of ours stands.</summary>
    public required IReadOnlyList<ReportTable> Tables { get; init; }

    /// <summary>Published tables in which nothing does.</summary>
    public required IReadOnlyList<ReportTable> Rest { get; init; }

    /// <summary>What a reader should know before believing it.</summary>
    public required IReadOnlyList<string> Remarks { get; init; }

    /// <summary>Reads runs and puts the tables together.</summary>
    /// <param name="folders">Folders with runs, in them or below.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">A folder holds no run, or a result is damaged.</exception>
    public static Report Of(IEnumerable<string> folders, CancellationToken cancellation = default)
    {
        var remarks = new List<string>();
        var models = ReportModel.Of(ResultFolder.Find(folders), remarks);
        var tables = ReportTable.OfPublished(models, cancellation);
        return new Report
        {
            Models = models,
            Tables = [.. tables.Where(table => table.HasOurs), .. ReportTable.OfOthers(models, cancellation)],
            Rest = [.. tables.Where(table => !table.HasOurs && table.Columns.Count > 0)],
            Remarks = remarks,
        };
    }
}

/// <summary>A model with everything that was run on it: runs of the same files at the same precision are one.</summary>
/// <param name="Label">Name that tells it from the other models of the report.</param>
/// <param name="Identity">The model.</param>
/// <param name="Tasks">Its tasks; the same one more than once where it was run with other examples, data or definition.</param>
public sealed record ReportModel(string Label, ModelIdentity Identity, IReadOnlyList<TaskRun> Tasks)
{
    /// <summary>The models of some runs.</summary>
    /// <param name="folders">The runs.</param>
    /// <param name="remarks">Takes what is missing or there twice.</param>
    public static IReadOnlyList<ReportModel> Of(IReadOnlyList<ResultFolder> folders, List<string> remarks)
    {
        var runs = new List<(ModelIdentity Model, TaskRun Task)>();
        foreach (var folder in folders)
        {
            var run = folder.ReadRun()!;
            var absent = new List<string>();
            foreach (string name in run.Tasks)
                if (folder.ReadTask(name) is { } task) runs.Add((run.Model, new TaskRun(run, folder.Path, task, folder.ReadItems(name))));
                else if (folder.ReadItems(name).Count is > 0 and int done) remarks.Add($"{folder.Path}: {name} is not finished ({done:N0} items are done) and left out.");
                else absent.Add(name);
            if (absent.Count > 0) remarks.Add($"{folder.Path}: not begun: {string.Join(", ", absent)}.");
        }
        if (runs.Count == 0) throw new GlmException($"{folders[0].Path}: expected a task that is finished, found none");
        var models = runs.GroupBy(entry => Key(entry.Model)).Select(group => new ReportModel(group.First().Model.Name, group.First().Model, [.. group.Select(entry => entry.Task)])).ToList();
        return Labelled([.. models.OrderBy(model => model.Identity.Name, StringComparer.Ordinal).ThenByDescending(model => model.Identity.Bytes)]);
    }

    /// <summary>The run of a task that a table shows: with that many examples, whole rather than limited, with the most items, the latest.</summary>
    public TaskRun? Find(string task, int? shots) => Tasks.Where(run => run.Result.Task == task && (shots is null || run.Result.Shots == shots))
        .OrderBy(run => run.Result.Limit is not null).ThenByDescending(run => run.Items.Count).ThenByDescending(run => run.Run.Started).FirstOrDefault();

    private static object Key(ModelIdentity model) => (model.Hash ?? model.Location, model.Name, model.Precision, model.KvCache);

    /// <summary>Names, with as much more as tells equal ones apart.</summary>
    private static List<ReportModel> Labelled(List<ReportModel> models)
    {
        Func<ModelIdentity, string?>[] more = [model => model.Precision ?? "(endpoint)", model => model.KvCache is { } cache ? $"cache {cache}" : null, model => model.Hash is { } hash ? hash[..Math.Min(8, hash.Length)] : model.Location];
        foreach (var detail in more)
            foreach (var equal in models.GroupBy(model => model.Label).Where(group => group.Count() > 1).ToList())
                if (equal.Select(model => detail(model.Identity)).Distinct().Count() > 1)
                    foreach (var model in equal) models[models.IndexOf(model)] = model with { Label = $"{model.Label} {detail(model.Identity)}".TrimEnd() };
        return models;
    }
}
