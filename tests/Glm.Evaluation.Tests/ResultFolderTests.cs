using System.IO.Compression;

namespace Glm.Evaluation.Tests;

public sealed class ResultFolderTests : IDisposable
{
    private static readonly ItemHeader Header = new("a", "v1", "d1", 0);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_torn_last_line_is_dropped_and_items_go_on_behind_it()
    {
        var results = new ResultFolder(_folder.Path);
        using (var writer = results.OpenItems(Header)) writer.Append([Item(0), Item(1)]);
        string file = Path.Combine(_folder.Path, "a.jsonl");
        File.AppendAllText(file, "{\"file\": 0, \"it");
        using (var writer = results.OpenItems(Header))
        {
            Assert.Equal([0, 1], writer.Items.Select(item => item.Item));
            writer.Append([Item(2)]);
        }
        var items = results.ReadItems("a");
        Assert.Equal([0, 1, 2], items.Select(item => item.Item));
        Assert.Equal([-1.5, double.NegativeInfinity], items[2].Scores!);
    }

    [Fact]
    public void Items_of_another_task_or_data_are_not_continued()
    {
        var results = new ResultFolder(_folder.Path);
        using (var writer = results.OpenItems(Header)) writer.Append([Item(0)]);
        Assert.Contains("a.jsonl", Assert.Throws<GlmException>(() => results.OpenItems(Header with { Data = "d2" })).Message);
        Assert.Single(results.ReadItems("a"));
    }

    [Fact]
    public void Packed_items_are_read_and_continued()
    {
        var results = new ResultFolder(_folder.Path);
        using (var writer = results.OpenItems(Header)) writer.Append([Item(0)]);
        string file = Path.Combine(_folder.Path, "a.jsonl");
        using (var packed = new GZipStream(File.Create(file + ".gz"), CompressionLevel.SmallestSize)) packed.Write(File.ReadAllBytes(file));
        File.Delete(file);
        Assert.Equal([0], results.ReadItems("a").Select(item => item.Item));
        Assert.False(File.Exists(file));
        using (var writer = results.OpenItems(Header)) writer.Append([Item(1)]);
        Assert.Equal([0, 1], results.ReadItems("a").Select(item => item.Item));
        File.Delete(file);
        File.WriteAllText(file + ".gz", "nonsense");
        Assert.Contains("a.jsonl.gz", Assert.Throws<GlmException>(() => results.ReadItems("a")).Message);
    }

    [Fact]
    public void Two_runs_do_not_write_to_one_folder()
    {
        var results = new ResultFolder(Path.Combine(_folder.Path, "new"));
        using (results.Lock()) Assert.Contains("no other run", Assert.Throws<GlmException>(() => new ResultFolder(results.Path).Lock()).Message);
        results.Lock().Dispose();
        Assert.Empty(Directory.GetFiles(results.Path));
    }

    [Fact]
    public void A_damaged_file_is_named_with_its_line()
    {
        _folder.Write("a.jsonl", "{\"task\":\"a\",\"version\":\"v1\",\"data\":\"d1\",\"shots\":0}\nnonsense\n");
        string message = Assert.Throws<GlmException>(() => new ResultFolder(_folder.Path).ReadItems("a")).Message;
        Assert.Contains("a.jsonl: line 2", message);
        _folder.Write("run.json", "[");
        Assert.Contains("run.json", Assert.Throws<GlmException>(() => new ResultFolder(_folder.Path).ReadRun()).Message);
    }

    [Fact]
    public void Runs_and_tasks_come_back_as_they_were_written()
    {
        var results = new ResultFolder(Path.Combine(_folder.Path, "deep", "er"));
        var run = new RunResult
        {
            Version = "1", Command = "glm eval", Model = new ModelIdentity { Name = "m", Location = "models/m", Parameters = 7 }, Started = DateTimeOffset.UnixEpoch, Tasks = ["a", "b"],
        };
        results.Write(run);
        var numbers = new Dictionary<string, double> { ["Accuracy"] = 50, ["PPL"] = double.NaN };
        var group = new GroupResult("all", 2, 1, new Dictionary<string, FileStatistics> { ["Accuracy"] = new(1, 2, 3) }, numbers);
        results.Write(new TaskResult
        {
            Task = "a", Type = "mul", Version = "v", Data = "d", Metrics = ["Accuracy"], Files = [new FileResult("all", "x", 2, 1, numbers, numbers)], Groups = [group], Overall = group,
        });
        var found = Assert.Single(ResultFolder.Find([_folder.Path]));
        Assert.Equal(run.Model, found.ReadRun()!.Model);
        var task = Assert.Single(found.ReadTasks());
        Assert.Equal(new FileStatistics(1, 2, 3), task.Overall.Metrics["Accuracy"]);
        Assert.Equal(double.NaN, task.Files[0].Metrics["PPL"]);
        Assert.Throws<GlmException>(() => ResultFolder.Find([Path.Combine(_folder.Path, "none")]));
    }

    private static ItemResult Item(int index) => new() { File = 0, Item = index, Scores = [-1.5, double.NegativeInfinity] };
}
