using Glm.Formats;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Cli.Tests;

public sealed class LogitsTests(TinyModel model) : IClassFixture<TinyModel>, IDisposable
{
    private const string Ids = "5,77,9,12";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_last_row_is_that_of_a_session_with_sop_at_the_end()
    {
        var report = CommandRun.Of("logits", "--model", model.Path, "--ids", Ids, "--json").Json();
        Assert.Equal(["ids", "logits"], report.EnumerateObject().Select(field => field.Name));
        Assert.Equal([5, 77, 9, 12], report.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()));
        using var workers = new Workers(1);
        var session = new Session(ModelDirectory.Load(model.Path), workers);
        float[] expected = session.Run([new SessionInput(session.Cache.Add(), new[] { 5, 77, 9, 12 }, new[] { 0, 1, 2, 3 }, Division: 3)]).ToArray();
        Assert.Equal([expected], Rows(report));
    }

    [Fact]
    public void Division_positions_and_all_rows_change_what_they_should()
    {
        float[][] Run(params string[] options) => Rows(CommandRun.Of(["logits", "--model", model.Path, "--ids", Ids, "--json", .. options]).Json());
        float[] standard = Run()[0];
        float[][] all = Run("--all");
        Assert.Equal(4, all.Length);
        Assert.Equal(standard, all[3]);
        Assert.Equal(standard, Run("--division", "3", "--positions", "0,1,2,3")[0]);
        Assert.NotEqual(standard, Run("--division", "1")[0]);
        Assert.NotEqual(standard, Run("--positions", "0,1,2,2")[0]);
        // A causal first row sees itself alone.
        Assert.Equal(Rows(CommandRun.Of("logits", "--model", model.Path, "--ids", "5", "--json").Json())[0], Run("--all", "--division", "0")[0]);
    }

    [Fact]
    public void A_gguf_file_is_read_and_refuses_a_division()
    {
        string file = _folder["tiny.gguf"];
        File.WriteAllBytes(file, new TinyGguf().ToArray());
        Assert.Equal(TinyGguf.Vocabulary, Rows(CommandRun.Of("logits", "--model", file, "--ids", "1,2", "--json").Json())[0].Length);
        Assert.Contains("causal", CommandRun.Of("logits", "--model", file, "--ids", "1,2", "--division", "1").Reason());
        Assert.Contains("chatglm2", CommandRun.Of("info", file).Success());
    }

    /// <summary>A directory as the hub has it, with positions on two axes, end to end.</summary>
    [WholeReferenceFact]
    public void ChatGLM_6B_gives_the_originals_logits()
    {
        string reference = Path.Combine(TestFiles.Reference, "chatglm-6b-tiny"), folder = Directory.CreateDirectory(_folder["chatglm"]).FullName;
        foreach (string name in new[] { "config.json", "weights.safetensors" }) File.Copy(Path.Combine(reference, name), Path.Combine(folder, name));
        var vectors = SafetensorsFile.Open(Path.Combine(reference, "case2_mask.safetensors"));
        int[] Integers(string name) => Array.ConvertAll(vectors[name].ToArray(), value => (int)value);
        int[] ids = Integers("input_ids"), positions = Integers("position_ids");
        int division = Array.FindIndex(positions, ids.Length, block => block > 0) - ids.Length;
        string axes = $"{string.Join(',', positions[..ids.Length])};{string.Join(',', positions[ids.Length..])}";
        var report = CommandRun.Of("logits", "--model", folder, "--ids", string.Join(',', ids), "--positions", axes, "--division", $"{division}", "--all", "--json").Json();
        float[] expected = vectors["logits"].ToArray(), found = [.. Rows(report).SelectMany(row => row)];
        Assert.Equal(expected.Length, found.Length);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], found[i], 1e-4f);
        Assert.Equal("chatglm-6b", CommandRun.Of("info", folder, "--json").Json().GetProperty("architecture").GetString());
        Assert.Contains("rotary, also inside the blank", CommandRun.Of("info", folder).Success());
        Assert.Contains("expected two lists", CommandRun.Of("logits", "--model", folder, "--ids", "1,2", "--positions", "0,1").Reason());
    }

    [Fact]
    public void A_table_shows_the_best_ids() => Assert.StartsWith("after     3:", CommandRun.Of("logits", "--model", model.Path, "--ids", Ids).Success());

    [Theory]
    [InlineData("--positions: expected 4, as many as ids, found 2", "--positions", "0,1")]
    [InlineData("--positions: expected one list, found 2", "--positions", "0,1,2,3;0,0,0,1")]
    [InlineData("--division: expected 0 to 4", "--division", "5")]
    [InlineData("position 4000 of token 3", "--positions", "0,1,2,4000")]
    public void What_makes_no_sense_is_refused(string reason, params string[] options) =>
        Assert.Contains(reason, CommandRun.Of(["logits", "--model", model.Path, "--ids", Ids, .. options]).Reason());

    [Fact]
    public void Wrong_ids_are_refused()
    {
        Assert.Contains("id 100000 at position 1", CommandRun.Of("logits", "--model", model.Path, "--ids", "1,100000").Reason());
        Assert.Contains("--ids: expected numbers", CommandRun.Of("logits", "--model", model.Path, "--ids", "1,x").Reason(CommandLine.WrongUsage));
        Assert.Contains("found none", CommandRun.Of("logits", "--model", _folder["absent"], "--ids", "1").Reason());
        CommandRun.Of("logits", "--model", model.Path).Reason(CommandLine.WrongUsage);
    }

    private static float[][] Rows(System.Text.Json.JsonElement report) =>
        [.. report.GetProperty("logits").EnumerateArray().Select(row => row.EnumerateArray().Select(value => value.GetSingle()).ToArray())];
}
