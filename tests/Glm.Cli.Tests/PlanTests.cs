namespace Glm.Cli.Tests;

public sealed class PlanTests
{
    [Fact]
    public void A_plan_is_a_table_and_one_JSON_object()
    {
        var plan = CommandRun.Of("plan", "--step-time", "88.5", "--json").Json();
        var training = plan.GetProperty("training");
        Assert.Equal(134.1, training.GetProperty("tflops_per_device").GetDouble(), 0.05);
        Assert.Equal(8, training.GetProperty("stage_memory").GetArrayLength());
        Assert.Equal(9, plan.GetProperty("inference").EnumerateArray().Sum(precision => precision.GetProperty("points").GetArrayLength()));
        string table = CommandRun.Of("plan", "--step-time", "88.5").Success();
        foreach (string figure in new[] { "128.70 B", "3.8 %", "134.1", "400.57 B", "62.5 GiB" }) Assert.Contains(figure, table);
    }

    [Fact]
    public void Hardware_without_a_run_is_planned_for_inference_alone() =>
        Assert.False(CommandRun.Of("plan", "--cluster", "rtx-3090-4", "--json").Json().TryGetProperty("training", out var training) && training.ValueKind != System.Text.Json.JsonValueKind.Null);

    [Fact]
    public void A_timeline_is_drawn_and_traced()
    {
        using var folder = new TemporaryFolder();
        CommandRun.Of("plan", "--model", "glm-1b", "--cluster", "rtx-3090-4", "--pipeline-parallel", "4", "--global-batch", "6", "--timeline", folder["step.svg"], "--timeline", folder["step.json"]).Success();
        Assert.Equal(48, System.Text.RegularExpressions.Regex.Count(File.ReadAllText(folder["step.svg"]), "<rect class=\"f[01]\"[^>]*height=\"18\""));
        Assert.Contains("\"forward 5\"", File.ReadAllText(folder["step.json"]));
    }

    [Theory]
    [InlineData("expected the YAML file of a cluster or one of cpu-2, dgx-a100", 1, "--cluster", "nowhere")]
    [InlineData("expected the directory or GGUF file of a model", 1, "--model", "glm-131b")]
    [InlineData("--timeline: expected a file that ends in .svg or .json", 2, "--timeline", "step.png")]
    [InlineData("global_batch: expected a multiple of 24 replicas", 1, "--global-batch", "7")]
    public void What_makes_no_sense_is_refused(string reason, int code, params string[] options) =>
        Assert.Contains(reason, CommandRun.Of(["plan", .. options]).Reason(code));
}
