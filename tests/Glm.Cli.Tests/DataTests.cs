namespace Glm.Cli.Tests;

public sealed class DataTests(Vocabulary vocabulary) : IClassFixture<Vocabulary>
{
    [Fact]
    public void Texts_become_shards_with_a_manifest()
    {
        using var folder = new TemporaryFolder();
        folder.Write("in/a.jsonl", TinyText.JsonLines(5));
        folder.Write("in/b.txt", TinyText.Document(3));
        var report = CommandRun.Of("data", "prepare", folder["in"], "--tokenizer", vocabulary.Path, "--output", folder["out"], "--quiet", "--json").Json();
        Assert.Equal(6, report.GetProperty("documents").GetInt64());
        Assert.Equal(0, report.GetProperty("malformed").GetInt64());
        Assert.True(report.GetProperty("tokens").GetInt64() > 6);
        Assert.True(File.Exists(folder["out/manifest.json"]));
        Assert.Equal(report.GetProperty("shards").GetInt32(), Directory.GetFiles(folder["out"], "shard-*.bin").Length);
    }

    [Fact]
    public void Lines_without_a_document_are_reported()
    {
        using var folder = new TemporaryFolder();
        string input = folder.Write("a.jsonl", TinyText.JsonLines(2) + "{\"txt\": 1}\n");
        var run = CommandRun.Of("data", "prepare", input, "--tokenizer", vocabulary.Path, "--output", folder["out"], "--quiet");
        run.Success();
        Assert.Contains("line 3", run.Error);
    }

    [Fact]
    public void Missing_inputs_and_empty_texts_are_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("none.txt", CommandRun.Of("data", "prepare", folder["none.txt"], "--tokenizer", vocabulary.Path, "--output", folder["out"]).Reason());
        Assert.Contains("empty.txt", CommandRun.Of("data", "prepare", folder.Write("empty.txt", ""), "--tokenizer", vocabulary.Path, "--output", folder["out"], "--quiet").Reason());
        Assert.False(File.Exists(folder["out/manifest.json"]));
    }

    [Fact]
    public void A_folder_that_holds_data_is_not_overwritten()
    {
        using var folder = new TemporaryFolder();
        string input = folder.Write("a.txt", TinyText.Document(1));
        string[] command = ["data", "prepare", input, "--tokenizer", vocabulary.Path, "--output", folder["out"], "--quiet"];
        CommandRun.Of(command).Success();
        Assert.Contains("already", CommandRun.Of(command).Reason());
    }
}
