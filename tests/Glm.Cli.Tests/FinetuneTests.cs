namespace Glm.Cli.Tests;

public sealed class FinetuneTests : IClassFixture<TinyModel>, IDisposable
{
    private readonly TinyModel _model;
    private readonly TemporaryFolder _folder = new();
    private readonly string _data;

    public FinetuneTests(TinyModel model)
    {
        _model = model;
        _data = _folder.Write("prompts.jsonl", string.Concat(Enumerable.Range(0, 16).Select(i => $$"""{"q":"sea {{i % 4}}","a":"green"}""" + "\n")));
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("lora", 5)]
    [InlineData("prefix", 6.1)]
    [InlineData("full", 3)]
    public void What_is_learned_changes_what_commands_say(string method, double most)
    {
        string[] how = ["--model", _model.Path, "--data", _data, "--prompt", "{q}", "--answer", "{a}", "--method", method, "--virtual-tokens", "8"];
        var json = CommandRun.Of(["finetune", .. how, "--output", _folder["run"], "--epochs", "20", "--lr", method == "full" ? "5e-3" : "3e-2", "--validation", _data, "--json", "--quiet"]).Json();
        Assert.Equal(40, json.GetProperty("steps").GetInt32());
        Assert.InRange(json.GetProperty("validation").GetDouble(), 0, most); // ln 480 = 6.17 before
        string[] tuned = method == "full" ? ["--model", _folder["run/model"]] : ["--model", _model.Path, "--adapter", _folder["run/adapter"]];
        string Scored(string[] with) => CommandRun.Of(["score", .. with, "--json", "sea 2 green"]).Success();
        Assert.NotEqual(Scored(["--model", _model.Path]), Scored(tuned));
        CommandRun.Of(["generate", .. tuned, "--strategy", "greedy", "--max-new-tokens", "4", "--quiet", "sea 2 [gMASK]"]).Success();
        CommandRun.Of("logs", _folder["run"], "--output", _folder["plots"]).Success();
        Assert.Contains("expected nothing", CommandRun.Of(["finetune", .. how, "--output", _folder["run"]]).Reason());
    }

    [Fact]
    public void Lines_and_prompts_that_are_left_out_are_told()
    {
        string data = _folder.Write("mixed.jsonl", "{\"input\":\"sea\",\"target\":\"sky\"}\nnonsense\n{\"input\":\"" + string.Concat(Enumerable.Repeat("sea ", 200)) + "\",\"target\":\"x\"}\n");
        var run = CommandRun.Of("finetune", "--model", _model.Path, "--data", data, "--output", _folder["run"], "--quiet");
        Assert.Contains("1 steps over 1 prompts", run.Success());
        Assert.Contains("line 2: invalid JSON", run.Error);
        Assert.Contains("1 prompts are longer", run.Error);
        Assert.Contains("found none", CommandRun.Of("finetune", "--model", _model.Path, "--data", data, "--prompt", "{missing}", "--output", _folder["other"]).Error);
    }

    [Theory]
    [InlineData("--lr", "-1", "--lr")]
    [InlineData("--rank", "0", "--rank")]
    [InlineData("--method", "magic", "magic")]
    public void Impossible_options_are_refused(string option, string value, string reason) =>
        Assert.Contains(reason, CommandRun.Of("finetune", "--model", _model.Path, "--data", _data, "--output", _folder["run"], option, value).Reason(CommandLine.WrongUsage));
}
