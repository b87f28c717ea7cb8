namespace Glm.Cli.Tests;

public sealed class ScoreTests(TinyModel model) : IClassFixture<TinyModel>
{
    [Theory]
    [InlineData("The old farmer paints the winter sea.")]
    [InlineData("孩子们唱歌。")]
    public void Tokens_add_up_to_bits_per_byte(string text)
    {
        var score = CommandRun.Of("score", "--model", model.Path, "--json", text).Json();
        double[] logs = [.. score.GetProperty("tokens").EnumerateArray().Select(token => token.GetProperty("log_probability").GetDouble())];
        Assert.All(logs, log => Assert.True(log < 0));
        double nats = -logs.Sum();
        Assert.Equal(nats, score.GetProperty("nats").GetDouble(), 1e-6);
        int bytes = System.Text.Encoding.UTF8.GetByteCount(text);
        Assert.Equal(bytes, score.GetProperty("utf8_bytes").GetInt32());
        Assert.Equal(nats / (Math.Log(2) * bytes), score.GetProperty("bits_per_byte").GetDouble(), 1e-9);
        string[] lines = CommandRun.Of("score", "--model", model.Path, text).Success().TrimEnd('\n').Split('\n');
        Assert.Equal(logs.Length + 1, lines.Length);
    }

    [Fact]
    public void A_text_longer_than_the_context_is_scored_in_windows()
    {
        string text = string.Join(' ', Enumerable.Repeat("The winter sea.", TinyModel.MaxSequenceLength));
        var score = CommandRun.Of("score", "--model", model.Path, "--json", text).Json();
        Assert.True(score.GetProperty("tokens").GetArrayLength() > TinyModel.MaxSequenceLength);
    }

    [Fact]
    public void Empty_text_is_refused() => CommandRun.WithInput("", "score", "--model", model.Path, "-").Reason();
}
