namespace Glm.Cli.Tests;

public sealed class EvalTests(TinyModel model) : IClassFixture<TinyModel>
{
    private CommandRun Eval(params string[] arguments) => CommandRun.Of(["eval", "--model", model.Path, "--quiet", .. arguments]);

    [Fact]
    public void One_task_prints_the_object_of_the_contract()
    {
        using var folder = new TemporaryFolder();
        var result = Eval("--tasks", "bits-per-byte", "--data", folder.Write("a.jsonl", TinyText.JsonLines(3)), "--json").Json();
        Assert.Equal("bits-per-byte", result.GetProperty("task").GetString());
        Assert.Equal(3, result.GetProperty("items").GetInt32());
        Assert.Equal(0, result.GetProperty("errors").GetArrayLength());
        Assert.InRange(result.GetProperty("metrics").GetProperty("bits_per_byte").GetDouble(), 0.1, 20);
    }

    [Fact]
    public void Bits_per_byte_are_those_of_score()
    {
        using var folder = new TemporaryFolder();
        string text = TinyText.Document(3);
        double evaluated = Eval("--tasks", "bits-per-byte", "--data", folder.Write("a.txt", text), "--json").Json().GetProperty("metrics").GetProperty("bits_per_byte").GetDouble();
        double scored = CommandRun.WithInput(text, "score", "--model", model.Path, "--json", "-").Json().GetProperty("bits_per_byte").GetDouble();
        Assert.Equal(scored, evaluated, 1e-6);
    }

    [Fact]
    public void Bits_per_byte_can_be_read_through_a_cache()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("a.txt", TinyText.Document(3));
        double plain = BitsPerByte(), exact = BitsPerByte("--kv-cache", "fp32"), rounded = BitsPerByte("--kv-cache", "int8");
        Assert.Equal(plain, exact, 1e-5);
        Assert.NotEqual(exact, rounded);
        Assert.Equal(exact, rounded, 0.1);

        double BitsPerByte(params string[] cache) =>
            Eval(["--tasks", "bits-per-byte", "--data", file, "--json", .. cache]).Json().GetProperty("metrics").GetProperty("bits_per_byte").GetDouble();
    }

    [Fact]
    public void Tasks_and_precisions_make_one_table()
    {
        using var folder = new TemporaryFolder();
        folder.Write("data/valid-en.jsonl", TinyText.JsonLines(2));
        folder.Write("data/lambada/test.jsonl", "{\"text\": \"The old farmer looks at the green hills\"}\n");
        string[] arguments = ["--tasks", "bits-per-byte", "lambada", "--data", folder["data"], "--precision", "bf16,int8,int4", "--unigram", folder["data/valid-en.jsonl"]];
        var results = Eval([.. arguments, "--json"]).Json().GetProperty("results").EnumerateArray().ToList();
        Assert.Equal(6, results.Count);
        long Bytes(string precision) => results.First(result => result.GetProperty("precision").GetString() == precision).GetProperty("bytes").GetInt64();
        Assert.True(Bytes("bf16") > Bytes("int8") && Bytes("int8") > Bytes("int4"));
        var table = Eval(arguments).Success();
        foreach (string word in new[] { "bf16", "int8", "int4", "bits-per-byte", "lambada", "unigram" }) Assert.Contains(word, table);
        Assert.All(table.Split('\n'), line => Assert.True(line.Length <= 80, line));
    }

    [Fact]
    public void Faulty_lines_are_counted()
    {
        using var folder = new TemporaryFolder();
        var result = Eval("--tasks", "bits-per-byte", "--data", folder.Write("a.jsonl", TinyText.JsonLines(1) + "{]\n"), "--json").Json();
        Assert.Equal(1, result.GetProperty("errors").GetArrayLength());
    }

    [Fact]
    public void Missing_data_is_refused()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["empty"]);
        Assert.Contains("valid*", Eval("--tasks", "bits-per-byte", "--data", folder["empty"]).Reason());
        Assert.Contains("none.jsonl", Eval("--tasks", "lambada", "--data", folder["none.jsonl"]).Reason());
        Assert.Contains("empty.txt", Eval("--tasks", "bits-per-byte", "--data", folder.Write("empty.txt", "")).Reason());
    }

    [Theory]
    [InlineData("--tasks", "chess", "--data", "x")]
    [InlineData("--tasks", "lambada")]
    [InlineData("--tasks", "lambada", "--data", "x", "--precision", "int3")]
    [InlineData("--tasks", "lambada", "--data", "x", "--max-items", "0")]
    public void Wrong_usage(params string[] arguments) => Eval(arguments).Reason(CommandLine.WrongUsage);
}
