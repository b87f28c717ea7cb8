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
    public void A_task_file_gives_results_that_can_be_continued()
    {
        using var folder = new TemporaryFolder();
        string yaml = folder.Write("animals.yaml", "name: Animals\ntype: mul\npath: animals\nprompts:\n  - {name: a, text: \"The {q} is\", choices: [green, old], label: \"{l}\"}\n  - {name: b, text: \"{q}: [MASK].\", choices: [green, old], label: \"{l}\"}\n");
        folder.Write("data/animals/test.jsonl", string.Concat(Enumerable.Range(0, 6).Select(i => $"{{\"q\": \"farmer\", \"l\": {i % 2}}}\n")) + "{\"q\": \"farmer\", \"l\": 2}\n");
        string[] arguments = ["--tasks", yaml, "--data", folder["data"], "--output", folder["out"], "--json"];
        var partly = Eval([.. arguments, "--limit", "2"]).Json();
        Assert.Equal(4, partly.GetProperty("items").GetInt32());
        var result = Eval(arguments).Json();
        Assert.Equal(12, result.GetProperty("items").GetInt32());
        Assert.Equal(50, result.GetProperty("metrics").GetProperty("Accuracy").GetDouble());
        Assert.Equal(50, result.GetProperty("chance").GetProperty("Accuracy").GetDouble());
        Assert.Contains("line 7", Assert.Single(result.GetProperty("errors").EnumerateArray()).GetString());
        Assert.Equal(13, File.ReadLines(Path.Combine(folder["out"], "animals.jsonl")).Count());
        Assert.True(File.Exists(Path.Combine(folder["out"], "run.json")) && File.Exists(Path.Combine(folder["out"], "animals.json")));
        // Another precision is another model, and so is other data.
        Assert.Contains("--output", Eval([.. arguments, "--precision", "int4"]).Reason());
        folder.Write("data/animals/test.jsonl", "{\"q\": \"farmer\", \"l\": 0}\n");
        Assert.Contains("animals.jsonl", Eval(arguments).Reason());
    }

    [Fact]
    public void Precisions_and_shots_have_folders_of_their_own()
    {
        using var folder = new TemporaryFolder();
        string yaml = folder.Write("t.yaml", "name: T\ntype: mul\npath: t\nprompt: {text: \"The {q} is\", choices: [green, old], label: \"{l}\"}\n");
        folder.Write("data/t/test.jsonl", string.Concat(Enumerable.Range(0, 4).Select(i => $"{{\"q\": \"farmer\", \"l\": {i % 2}}}\n")));
        var results = Eval("--tasks", yaml, "--data", folder["data"], "--output", folder["out"], "--precision", "bf16,int8", "--shots", "0,2", "--json").Json().GetProperty("results").EnumerateArray().ToList();
        Assert.Equal(["bf16 0", "bf16 2", "int8 0", "int8 2"], results.Select(result => $"{result.GetProperty("precision").GetString()} {result.GetProperty("shots").GetInt32()}"));
        foreach (string part in new[] { "bf16/0-shot", "bf16/2-shot", "int8/0-shot", "int8/2-shot" }) Assert.True(File.Exists(Path.Combine(folder["out"], part, "t.json")), part);
    }

    [Fact]
    public void Tasks_that_ship_are_listed_and_found_by_name()
    {
        using var folder = new TemporaryFolder();
        folder.Write("data/fewclue_bustm/dev_few_all.json", "{\"id\": 1, \"sentence1\": \"a\", \"sentence2\": \"b\", \"label\": \"0\"}\n");
        string list = CommandRun.Of("eval", "--list", "--data", folder["data"]).Success();
        foreach (string name in new[] { "mmlu", "clue-afqmc", "winogender", "ptb", "no data" }) Assert.Contains(name, list);
        Assert.Contains("test_public.json", Eval("--tasks", "bustm", "--data", folder["data"]).Reason());
        Assert.Contains("mmlu", Eval("--tasks", "mmlu", "--data", folder["data"]).Reason());
        Assert.Contains("none", Eval("--tasks", "mmlu", "--data", folder["data"], "--skip-missing").Error);
    }

    [Fact]
    public void Questions_of_the_length_wanted_are_made_of_texts()
    {
        using var folder = new TemporaryFolder();
        string book = folder.Write("book.txt", string.Join(' ', Enumerable.Range(0, 400).Select(TinyText.Document)).Replace('\n', ' '));
        Assert.Contains("3 questions", CommandRun.Of("data", "tsort", book, "--settings", "1k", "--count", "3", "--tokenizer", model.Path, "--output", folder["ada_leval_tsort"]).Success());
        var task = Eval("--tasks", "ada-leval-tsort-1k", "--data", folder[""], "--json").Json();
        Assert.Equal(3, task.GetProperty("items").GetInt32());
        Assert.Equal(100.0 / 24, task.GetProperty("chance").GetProperty("Accuracy").GetDouble(), 1e-9);
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
