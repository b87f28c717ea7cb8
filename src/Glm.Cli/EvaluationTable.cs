using System.Globalization;
using Glm.Evaluation;
using Spectre.Console;

namespace Glm.Cli;

/// <summary>What one task gave in one precision.</summary>
/// <param name="Precision">The precision; of a model behind an endpoint its name.</param>
/// <param name="Bytes">Bytes of the weights; 0 where nobody knows.</param>
/// <param name="Data">The data it read.</param>
/// <param name="Task">The task.</param>
/// <param name="Metrics">Its metrics over all files.</param>
/// <param name="Items">Items with an answer.</param>
/// <param name="Errors">Items without, one line each.</param>
/// <param name="Shots">Solved examples before each question.</param>
/// <param name="Chance">What guessing would give.</param>
/// <param name="Groups">The groups of files; null where there is one of one file.</param>
/// <param name="Seconds">Time it took.</param>
/// <param name="Tokens">Tokens read and written.</param>
internal sealed record Evaluated(
    string Precision, long Bytes, string Data, string Task, IReadOnlyDictionary<string, double> Metrics, int Items, IReadOnlyList<string> Errors, int Shots,
    IReadOnlyDictionary<string, double> Chance, IReadOnlyList<GroupResult>? Groups, double Seconds, long Tokens);

/// <summary>One table over tasks and precisions.</summary>
internal static class EvaluationTable
{
    private const int LongestName = 24;

    public static void Write(Terminal terminal, IReadOnlyList<Evaluated> results)
    {
        var precisions = results.Select(result => result.Precision).Distinct().ToList();
        var table = new Table().Border(TableBorder.Rounded).AddColumn(new TableColumn("task").NoWrap()).AddColumn("metric").AddColumn(new TableColumn("items").RightAligned()).AddColumn(new TableColumn("chance").RightAligned());
        foreach (string name in precisions) table.AddColumn(new TableColumn(Markup.Escape(name)).RightAligned());
        if (results.Any(result => result.Bytes > 0)) table.AddRow(["size", "", "", "", .. precisions.Select(name => Units.Bytes(results.First(result => result.Precision == name).Bytes))]);
        foreach (var rows in results.GroupBy(result => (result.Task, result.Data, result.Shots)))
        {
            var first = rows.First();
            string task = Markup.Escape(Short(first.Task) + (first.Shots > 0 ? $", {first.Shots}-shot" : ""));
            foreach (string metric in first.Metrics.Keys)
            {
                Row(task, metric, first.Items, first.Chance, rows.Select(row => row.Metrics.TryGetValue(metric, out double value) ? (double?)value : null));
                if (first.Groups is not { } groups) continue;
                for (int i = 0; i < groups.Count; i++)
                {
                    var ofAll = rows.Select(row => row.Groups![i].Metrics.TryGetValue(metric, out var value) ? (FileStatistics?)value : null).ToList();
                    if (groups.Count > 1) Row($"  {groups[i].Name}", metric, groups[i].Items, groups[i].Chance, ofAll.Select(value => value?.Average));
                    if (first.Groups[i].Metrics.TryGetValue(metric, out var files) && files.Max != files.Average)
                        Row($"  {(groups.Count > 1 ? groups[i].Name + ", " : "")}best", metric, groups[i].Items, groups[i].Chance, ofAll.Select(value => value?.Max));
                }
            }
        }
        terminal.Screen.Write(table);

        // The folder of a task and the end of a long name are left out, so that lines stay lines.
        static string Short(string name) => name.Length <= LongestName ? name : name[(name.IndexOf('/') + 1)..] is { Length: > LongestName } rest ? rest[..(LongestName - 1)] + "…" : name[(name.IndexOf('/') + 1)..];

        void Row(string task, string metric, int items, IReadOnlyDictionary<string, double> chance, IEnumerable<double?> values)
        {
            string form = Metric.Find(metric) is { LowerIsBetter: true } ? "F4" : "F2";
            string Number(double? value) => value?.ToString(form, CultureInfo.InvariantCulture) ?? "";
            table.AddRow([task, metric.Replace('_', ' '), $"{items:N0}", chance.TryGetValue(metric, out double guess) ? Number(guess) : "", .. values.Select(Number)]);
        }
    }
}
