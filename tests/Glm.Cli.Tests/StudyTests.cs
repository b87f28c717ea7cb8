namespace Glm.Cli.Tests;

public sealed class StudyTests(TinyModel model) : IClassFixture<TinyModel>
{
    [Fact]
    public void Quantisation_is_studied_into_a_folder()
    {
        using var folder = new TemporaryFolder();
        folder.Write("data/valid-en.jsonl", TinyText.JsonLines(3));
        string[] arguments = ["study", "quantization", model.Path, "--data", folder["data"], "--limit", "1", "--quiet"];
        string tables = CommandRun.Of([.. arguments, "--output", folder["out"]]).Success();
        Assert.Contains("| as stored | ", tables);
        Assert.Equal(tables, File.ReadAllText(folder["out/quantization.md"]));
        Assert.Equal(
            ["quantization-valid-en.svg", "quantization.json", "quantization.md", "weights-attention-dense.svg", "weights-w2.svg"],
            Directory.GetFiles(folder["out"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        var json = CommandRun.Of([.. arguments, "--json"]).Json();
        Assert.Equal("valid-en", json.GetProperty("texts")[0].GetString());
        Assert.Equal(21, json.GetProperty("results").GetArrayLength());
    }

    [Fact]
    public void What_is_missing_is_named()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("expected text files under a name like valid*.jsonl", CommandRun.Of("study", "quantization", model.Path, "--data", folder.Path).Reason());
        Assert.Contains("no such file or folder", CommandRun.Of("study", "quantization", model.Path, "--data", folder["none"]).Reason());
    }
}
