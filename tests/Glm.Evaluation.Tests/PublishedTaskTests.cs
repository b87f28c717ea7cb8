using Glm.Tests;

namespace Glm.Evaluation.Tests;

/// <summary>Rows of published tables and the tasks that ship find one another.</summary>
public sealed class PublishedTaskTests
{
    private static readonly TaskDefinition[] Tasks =
        [.. Directory.GetFiles(Path.Combine(TestFiles.Repository, "tasks"), "*.yaml", SearchOption.AllDirectories).SelectMany(TaskFile.Load)];

    [Fact]
    public void Every_row_with_a_task_has_one_that_ships()
    {
        var named = PublishedTable.All.SelectMany(table => table.Rows).Select(row => row.Task).OfType<string>().ToHashSet();
        Assert.Empty(named.Except(Tasks.Select(task => task.Name)));
    }

    [Fact]
    public void Every_metric_of_a_row_is_one_of_its_task()
    {
        foreach (var row in PublishedTable.All.SelectMany(table => table.Rows).Where(row => row.Metric is not null))
            Assert.Contains(row.Metric, Tasks.Single(task => task.Name == row.Task).Metrics);
    }

    [Fact]
    public void Every_group_and_subject_of_a_row_is_one_of_its_task()
    {
        var mmlu = Tasks.Single(task => task.Name == "mmlu");
        var rows = PublishedTable.All.Single(table => table.Id == "mmlu").Rows;
        Assert.Equal(mmlu.SplitGroups!.Keys.Order(StringComparer.Ordinal), rows.Select(row => row.Category).OfType<string>().Order(StringComparer.Ordinal));
        Assert.All(rows.Where(row => row.Category is not null), row => Assert.Equal(row.Section!.Replace(' ', '_').ToLowerInvariant(), mmlu.SplitGroups[row.Category!]));
        Assert.Equal(mmlu.SplitGroups.Values.Distinct().Order(StringComparer.Ordinal), rows.Select(row => row.Group).OfType<string>().Order(StringComparer.Ordinal));
    }
}
