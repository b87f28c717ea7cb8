namespace Glm.Cli.Tests;

public sealed class DemoTests(TinyModel model) : IClassFixture<TinyModel>
{
    [Fact]
    public void The_demo_fits_a_pipe_of_80_columns()
    {
        string output = CommandRun.Of("demo", "--model", model.Path).Success();
        foreach (string part in new[] { "The old man opened the", "春天来了", "bf16", "int8", "int4", "tok/s", "bits/byte" }) Assert.Contains(part, output);
        Assert.DoesNotContain("\e", output);
        Assert.All(output.Split('\n'), line => Assert.True(line.Length <= 80, line));
    }

    [Fact]
    public void A_missing_model_is_named() => Assert.Contains("no-such-model", CommandRun.Of("demo", "--model", "no-such-model").Reason());
}
