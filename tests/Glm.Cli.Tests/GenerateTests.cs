using Glm.Tests;

namespace Glm.Cli.Tests;

public sealed class GenerateTests(TinyModel model) : IClassFixture<TinyModel>
{
    private CommandRun Generate(params string[] arguments) => CommandRun.Of(["generate", "--model", model.Path, "--max-new-tokens", "5", .. arguments]);

    [Fact]
    public void Json_has_the_fields_of_the_contract()
    {
        var result = Generate("The [MASK] sea. The [MASK].", "--json").Json();
        Assert.Equal(2, result.GetProperty("blanks").GetArrayLength());
        Assert.True(result.GetProperty("ids").GetArrayLength() > 0);
        string text = result.GetProperty("text").GetString()!;
        // The space before a blank belongs to what fills it.
        Assert.StartsWith("The" + result.GetProperty("blanks")[0].GetString(), text);
        Assert.EndsWith(".", text);
        var timings = result.GetProperty("timings");
        Assert.InRange(timings.GetProperty("new_tokens").GetInt32(), 2, 10);
        foreach (string field in new[] { "load_s", "prompt_s", "generate_s", "tokens_per_second" }) Assert.True(timings.GetProperty(field).GetDouble() >= 0);
    }

    [Theory]
    [InlineData("greedy")]
    [InlineData("sample")]
    [InlineData("beam")]
    public void The_same_seed_gives_the_same_text(string strategy)
    {
        string first = Generate("The old farmer", "--strategy", strategy, "--quiet").Success();
        Assert.Equal(first, Generate("The old farmer", "--strategy", strategy, "--quiet").Success());
        Assert.StartsWith("The old farmer", first);
    }

    [Theory]
    [InlineData("bf16")]
    [InlineData("int8")]
    [InlineData("fp32")]
    public void Keys_and_values_may_be_rounded(string cache) =>
        Assert.StartsWith("The old farmer", Generate("The old farmer", "--kv-cache", cache, "--quiet").Success());

    [Fact]
    public void Another_seed_gives_another_text() =>
        Assert.NotEqual(Generate("The old farmer", "--seed", "1").Success(), Generate("The old farmer", "--seed", "2").Success());

    [Fact]
    public void Beams_come_with_scores()
    {
        var beams = Generate("The [MASK] sea", "--strategy", "beam", "--num-beams", "3", "--json").Json().GetProperty("beams");
        double[] scores = [.. beams.EnumerateArray().Select(beam => beam.GetProperty("score").GetDouble())];
        Assert.Equal(3, scores.Length);
        Assert.Equal(scores.OrderDescending(), scores);
    }

    [Fact]
    public void A_text_of_standard_input_is_continued() =>
        Assert.StartsWith("孩子们唱歌。", CommandRun.WithInput("孩子们唱歌。\n", "generate", "--model", model.Path, "--max-new-tokens", "3").Success());

    [Fact]
    public void Every_line_of_a_file_is_answered_under_its_id()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("q.tsv", "a\tThe [MASK] sea.\n\nb\tNobody paints\n");
        string[] lines = Generate("--input", file, "--with-id").Success().TrimEnd('\n').Split('\n');
        Assert.Equal(2, lines.Length);
        Assert.StartsWith("a\tThe", lines[0]);
        Assert.StartsWith("b\tNobody paints", lines[1]);
        var results = Generate("--input", file, "--with-id", "--json").Json().GetProperty("results");
        Assert.Equal(2, results.GetArrayLength());
        Assert.Equal("b", results[1].GetProperty("id").GetString());
        Assert.True(results[1].TryGetProperty("text", out _));
    }

    [Fact]
    public void Faulty_files_of_queries_are_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("none.txt", Generate("--input", folder["none.txt"]).Reason());
        Assert.Contains("empty.txt", Generate("--input", folder.Write("empty.txt", "\n \n")).Reason());
        Assert.Contains("line 2", Generate("--input", folder.Write("q.tsv", "a\tx\nno tab\n"), "--with-id").Reason());
        File.WriteAllBytes(folder["latin.txt"], [0x61, 0xE9, 0x0A]);
        Assert.Contains("UTF-8", Generate("--input", folder["latin.txt"]).Reason());
    }

    [Fact]
    public void A_conversation_goes_on_after_a_mistake_and_ends_with_stop()
    {
        var run = CommandRun.With("The [MASK] sea.\n\nThe [QMASK] sea.\nNobody\nstop\nnever read\n", interactive: true, CancellationToken.None,
            "generate", "--model", model.Path, "--max-new-tokens", "2", "--quiet");
        string[] lines = run.Success().TrimEnd('\n').Split('\n');
        Assert.Equal(2, lines.Count(line => line.StartsWith("The", StringComparison.Ordinal) || line.StartsWith("Nobody", StringComparison.Ordinal)));
        Assert.Contains("[QMASK]", run.Error);
        Assert.DoesNotContain("never", run.Out);
    }

    [Fact]
    public void A_stop_text_ends_a_blank()
    {
        string Blank(params string[] options) => Generate(["Nobody", "--json", .. options]).Json().GetProperty("blanks")[0].GetString()!;
        string seed = Enumerable.Range(1, 50).Select(number => $"{number}").First(number => Blank("--seed", number).Length > 2);
        string whole = Blank("--seed", seed), stop = whole[1..2];
        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], Blank("--seed", seed, "--stop", stop));
    }

    [Theory]
    [InlineData("", "text")]
    [InlineData("   ", "text")]
    [InlineData("The [QMASK] sea", "[QMASK]")]
    public void Texts_that_cannot_be_filled_are_refused(string text, string named) => Assert.Contains(named, Generate(text, "--quiet").Reason());

    [Fact]
    public void A_text_longer_than_the_context_is_refused()
    {
        string reason = Generate(string.Join(' ', Enumerable.Repeat("The winter sea.", TinyModel.MaxSequenceLength)), "--quiet").Reason();
        Assert.Contains($"{TinyModel.MaxSequenceLength}", reason);
    }

    [Theory]
    [InlineData("greedy")]
    [InlineData("sample")]
    [InlineData("beam")]
    public void A_gguf_file_of_a_causal_model_continues_and_refuses_blanks(string strategy)
    {
        using var folder = new TemporaryFolder();
        string file = folder["chat.gguf"];
        File.WriteAllBytes(file, new TinyGguf { WithVocabulary = true }.ToArray());
        CommandRun Run(params string[] more) => CommandRun.Of(["generate", "--model", file, "--strategy", strategy, "--max-new-tokens", "5", "--quiet", .. more]);
        string text = Run("Hello").Success();
        Assert.StartsWith("Hello", text);
        var report = Run("Hello", "--json").Json();
        Assert.Equal(text, report.GetProperty("text").GetString() + "\n");
        Assert.Equal("Hello" + report.GetProperty("blanks").EnumerateArray().Single().GetString(), report.GetProperty("text").GetString());
        Assert.Contains("causal", Run("Hello [MASK].").Reason());
        var score = CommandRun.Of("score", "--model", file, "--json", "Hello").Json();
        Assert.All(score.GetProperty("tokens").EnumerateArray(), token => Assert.True(token.GetProperty("log_probability").GetDouble() < 0));
    }

    [Theory]
    [InlineData("--temperature", "-1")]
    [InlineData("--top-p", "1.5")]
    [InlineData("--top-k", "-3")]
    [InlineData("--num-beams", "0")]
    [InlineData("--max-new-tokens", "0")]
    [InlineData("--strategy", "guess")]
    [InlineData("--with-id")]
    public void Impossible_options_are_wrong_usage(params string[] options) => Generate(["text", .. options]).Reason(CommandLine.WrongUsage);
}
