using System.Globalization;

namespace Glm.Evaluation;

/// <summary>How the report writes numbers, in Markdown and in the page.</summary>
internal static class ReportText
{
    public const string None = "\u2013";

    public const string Introduction =
        "Published numbers stand beside ours. Ours have 95 % confidence intervals in small print (bootstrap over items, 1,000 resamples, seed 1234; none where all items came out alike), and chance is "
        + "what guessing would give: a number whose interval holds chance shows no skill. The best of a row is bold; such a number never is.";

    /// <summary>A published number, with the decimals that its column was printed with; a summary, with those of its row.</summary>
    public static string Published(ReportTable table, ReportRow row, int column)
    {
        if (row.Values[column] is not { } value) return None;
        var alike = row.Summary ? row.Values : Alike(table, row).Select(other => other.Values[column]);
        return Number(value, alike.OfType<double>().Select(Printed).Max());
    }

    /// <summary>Decimals that a number of ours has in a row: those of the published ones.</summary>
    public static int Decimals(ReportTable table, ReportRow row) =>
        Alike(table, row).SelectMany(other => other.Values).OfType<double>().Select(Printed).DefaultIfEmpty(row.Ours.OfType<Score>().Any(score => Math.Abs(score.Value) >= 10) ? 2 : 3).Max();

    private static IEnumerable<ReportRow> Alike(ReportTable table, ReportRow row) => table.Rows.Where(other => other.Summary == row.Summary && other.Unit == row.Unit);

    /// <summary>Decimals of a number as it is stored, at least one.</summary>
    private static int Printed(double value) => Math.Max(1, Math.Round(value, 3).ToString("0.###", CultureInfo.InvariantCulture).Split('.') is [_, var decimals] ? decimals.Length : 0);

    public static string Number(double value, int decimals) =>
        double.IsFinite(value) ? Minus(value.ToString(Math.Abs(value) switch { >= 1e6 => "0.00e0", >= 10_000 => "N0", _ => "F" + decimals }, CultureInfo.InvariantCulture)) : "not a number";

    public static string Interval(Interval interval, int decimals) => $"{Number(interval.Low, decimals)} to {Number(interval.High, decimals)}";

    /// <summary>What stands below a number of ours.</summary>
    public static string Note(Score score, int decimals)
    {
        string[] parts =
        [
            score.Interval is { } interval ? Interval(interval, decimals) : "",
            score.Limit is { } limit ? $"first {limit:N0} of a file" : "",
            score.Prompts > 1 ? $"{score.Prompts} prompts" : "",
            score.Errors switch { 0 => "", 1 => "1 error", var errors => $"{errors:N0} errors" },
        ];
        return string.Join("; ", parts.Where(part => part.Length > 0));
    }

    /// <summary>What guessing gives, for each of our models where it is not the same for all.</summary>
    public static string Chance(ReportRow row, int decimals)
    {
        var chances = row.Ours.OfType<Score>().Select(score => score.Chance is { } chance ? Number(chance, decimals) : "").Where(text => text.Length > 0).Distinct().ToList();
        return chances.Count == 0 ? None : string.Join(" / ", chances);
    }

    /// <summary>Whether any row knows what guessing gives.</summary>
    public static bool HasChance(ReportTable table) => table.Rows.Any(row => row.Ours.Any(score => score?.Chance is not null));

    public static string Heading(ReportTable table) => table.Chinese is { } chinese ? $"{table.Title} · {chinese}" : table.Title;

    public static string Sources(ReportTable table) => table.Sources.Count == 0 ? "" : $"Published numbers: {string.Join("; ", table.Sources)}.";

    /// <summary>What a run was: names and values.</summary>
    public static IEnumerable<(string Name, string Value)> Facts(ReportModel model)
    {
        var identity = model.Identity;
        yield return ("location", identity.Location);
        if (identity.Hash is { } hash) yield return ("hash of the model", hash);
        if (identity.Architecture is { } architecture) yield return ("architecture", architecture);
        if (identity.Parameters is { } parameters) yield return ("parameters", $"{parameters:N0}");
        if (identity.Bytes is { } bytes) yield return ("bytes of the weights", $"{bytes:N0}");
        if (identity.Precision is { } precision) yield return ("precision", precision);
        if (identity.KvCache is { } cache) yield return ("keys and values", cache);
        if (identity.Threads is { } threads) yield return ("threads", $"{threads}");
        if (identity.MaxSequenceLength is { } length) yield return ("longest sequence", $"{length:N0} tokens");
    }

    /// <summary>The runs of a model: command lines with when they began, how long they took and what they read.</summary>
    public static IEnumerable<string> Runs(ReportModel model) => model.Tasks.Select(task => (task.Run, task.Folder)).DistinctBy(run => run.Folder).Select(run =>
        $"{run.Run.Command}\n# {run.Folder}: version {run.Run.Version}, {run.Run.Started.ToUniversalTime():yyyy-MM-dd HH:mm} UTC"
        + (run.Run is { Seconds: > 0, Tokens: { } tokens } ? $", {run.Run.Seconds:N0} s, {tokens:N0} tokens ({run.Run.Speed:N0} tokens/s{(run.Run.ReadingSpeed is { } reading ? $", {run.Run.Speed / reading:P0} of the {reading:N0} at which it reads prompts" : "")})" : ", not finished"));

    /// <summary>Columns of the table of tasks.</summary>
    public static readonly string[] TaskColumns = ["task", "metric", "max", "median", "average", "chance", "items", "errors", "shots", "limit", "definition", "data", "s", "tokens"];

    /// <summary>Everything that was measured: a row for each task, group and metric.</summary>
    public static IEnumerable<string[]> TaskRows(ReportModel model)
    {
        foreach (var task in model.Tasks.Select(run => run.Result))
            foreach (var group in task.Groups.Count > 1 ? task.Groups.Append(task.Overall) : [task.Overall])
                foreach (var (metric, value) in group.Metrics)
                    yield return
                    [
                        group == task.Overall ? task.Task : $"{task.Task}, {group.Name}", metric, Number(value.Max, 3), Number(value.Median, 3), Number(value.Average, 3),
                        group.Chance.TryGetValue(metric, out double chance) ? Number(chance, 2) : None, $"{group.Items:N0}", $"{group.Errors:N0}", $"{task.Shots}",
                        task.Limit is { } limit ? $"{limit:N0}" : None, Short(task.Version), Short(task.Data), Number(task.Seconds, 1), $"{task.Tokens:N0}",
                    ];
    }

    private static string Short(string hash) => hash.Length > 12 ? hash[..12] : hash;

    private static string Minus(string number) => number.Replace('-', '\u2212');
}
