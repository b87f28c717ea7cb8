using System.Text.Json.Nodes;

namespace Glm.Cli.Tests;

public sealed class PrepareTasksTests(Vocabulary vocabulary) : IClassFixture<Vocabulary>
{
    [Fact]
    public void Prompted_data_sets_become_ids_and_what_gave_none_is_told()
    {
        using var folder = new TemporaryFolder();
        folder.Write("corpus.jsonl", "{\"q\":\"The sea\",\"a\":\"is calm\"}\n{\"q\":\"no answer\"}\n");
        string config = folder.Write("tasks.json", """{ "sets": [{ "name": "seas", "files": ["corpus.jsonl"], "templates": [{ "input": "Say: {q}", "target": "{a}" }] }] }""");
        var run = CommandRun.Of("data", "prepare-tasks", "--config", config, "--tokenizer", vocabulary.Path, "--output", folder["tasks"], "--json");
        var json = JsonNode.Parse(run.Success())!;
        Assert.Equal((1, 1), ((int)json["samples"]!, (int)json["malformed"]!));
        Assert.Contains("line 2: no field 'a'", run.Error);
        Assert.Contains("already holds", CommandRun.Of("data", "prepare-tasks", "--config", config, "--tokenizer", vocabulary.Path, "--output", folder["tasks"]).Reason());
    }

    [Theory]
    [InlineData("""{ "sets": [] }""", "sets")]
    [InlineData("""{ "sets": [{ "name": "x", "files": ["missing.jsonl"] }] }""", "missing.jsonl")]
    [InlineData("""{ "sets": [{ "name": "x", "files": [], "cap": 3 }] }""", "files")]
    [InlineData("""{ "sets": [{ "name": "x", "files": ["a"], "templates": [{ "input": "{a" }] }] }""", "does not close")]
    [InlineData("""{ "sets": [{ "name": "x", "files": ["a"], "colour": 3 }] }""", "colour")]
    [InlineData("""{ "sets": [{ "name": "x", "files": [null] }] }""", "files")]
    [InlineData("""{ "sets": [null] }""", "sets")]
    [InlineData("nonsense", "not a description")]
    public void Impossible_descriptions_are_refused(string text, string reason)
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(reason, CommandRun.Of("data", "prepare-tasks", "--config", folder.Write("tasks.json", text), "--tokenizer", vocabulary.Path, "--output", folder["tasks"]).Reason());
    }

    /// <summary>The description that ships is one that can be read.</summary>
    [Fact]
    public void The_shipped_description_names_files_that_must_be_there()
    {
        using var folder = new TemporaryFolder();
        string config = Path.Combine(Glm.Tests.TestFiles.Repository, "configs", "tasks.json");
        Assert.Contains("instruct-en.jsonl.zst", CommandRun.Of("data", "prepare-tasks", "--config", config, "--data", folder[""], "--tokenizer", vocabulary.Path, "--output", folder["tasks"]).Reason());
    }
}
