using Glm.Tests;

namespace Glm.Evaluation.Tests;

public sealed class TaskFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static string[] ShippedFiles { get; } =
        [.. Directory.GetFiles(Path.Combine(TestFiles.Repository, "tasks"), "*.yaml", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(TestFiles.Repository, file)).Order()];

    public static TheoryData<string> Shipped => [.. ShippedFiles];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Task_files_of_the_original_are_read_as_they_are()
    {
        var task = Load("""
            name: "A task"
            type: "mul"
            module: "tasks.ethnic.stereoset.tasks.StereoSetTask"
            path: "some/where"
            use_task_mask: True
            file-pattern:
              validation-matched: "**/validation_matched.jsonl"
              test: "**/test.jsonl"
            max_seq-length: 896
            no-tokenized: true
            micro-batch-size: 8
            """);
        Assert.Equal(("a-task", TaskKind.MultipleChoice, OriginalModule.StereoSet, "some/where"), (task.Name, task.Kind, task.Module, task.Path));
        Assert.Equal(["validation-matched", "test"], task.Groups.Select(group => group.Name));
        Assert.Equal(["**/validation_matched.jsonl"], task.Groups[0].Patterns);
        Assert.Equal(["LMS", "SS", "ICAT"], task.Metrics);
        Assert.True(task.Reading.UseTaskMask);
        Assert.Equal(896, task.Reading.MaxSequenceLength);
    }

    [Fact]
    public void What_is_not_said_is_as_in_the_original()
    {
        var choices = Load("name: a\ntype: mul\npath: b");
        Assert.Equal(["**/*.json*"], Assert.Single(choices.Groups).Patterns);
        Assert.Equal("all", choices.Groups[0].Name);
        Assert.Equal(["Accuracy"], choices.Metrics);
        Assert.Equal(new ReadingOptions { MaxSequenceLength = 2048 }, choices.Reading);
        var generation = Load("name: a\ntype: gen\npath: b");
        Assert.Equal(["EM", "F1"], generation.Metrics);
        Assert.Equal((1, 1.0, 3, 0, 128), (generation.Generation.NumBeams, generation.Generation.LengthPenalty, generation.Generation.NoRepeatNgramSize, generation.Generation.MinNewTokens, generation.Generation.MaxNewTokens));
        Assert.Equal(4, Load("name: a\ntype: gen\npath: b\nsampling_strategy: BeamSearchStrategy").Generation.NumBeams);
        var reading = Load("name: a\ntype: lm\npath: b");
        Assert.Equal(["PPL"], reading.Metrics);
        Assert.Equal(256, reading.Stride);
    }

    /// <summary>Of the original's type for tasks with a class of their own, the class says what is asked.</summary>
    [Theory]
    [InlineData("LAMBADA", TaskKind.Generation)]
    [InlineData("Pile", TaskKind.LanguageModeling)]
    [InlineData("CrowsPairTask", TaskKind.MultipleChoice)]
    [InlineData("StereoSetTask", TaskKind.MultipleChoice)]
    public void Other_tasks_are_what_their_class_is(string module, TaskKind kind) => Assert.Equal(kind, Load($"name: a\ntype: other\npath: b\nmodule: tasks.x.{module}").Kind);

    [Theory]
    [InlineData("name: a\ntype: other\npath: b", "line 2", "module")]
    [InlineData("name: a\ntype: mul\npath: b\nbananas: 3", "line 4", "bananas")]
    [InlineData("name: a\ntype: mul\npath: b\nmodule: tasks.cot.task.ChainOfThoughtTask", "line 4", "ChainOfThoughtTask")]
    [InlineData("name: a\ntype: mul\npath: b\nmetrics: [Accuracy, Beauty]", "line 4", "Beauty")]
    [InlineData("name: a\ntype: mul\npath: ../b", "line 3", "../b")]
    [InlineData("name: a\ntype: sing\npath: b", "line 2", "sing")]
    [InlineData("name: a\ntype: gen\npath: b\nmax_gen_length: many", "line 4", "many")]
    [InlineData("name: a\ntype: gen\npath: b\nmax_gen_length: 1\nmax-gen-length: 2", "line 5", "twice")]
    [InlineData("name: a\ntype: gen\npath: b\nunidirectional: true", "line 4", "use_task_mask")]
    [InlineData("name: a\ntype: mul\npath: b\nprompt: {text: \"{a\"}", "line 4", "braces")]
    [InlineData("name: a\ntype: mul\npath: b\nprompt: {text: \"{a|shout}\"}", "line 4", "shout")]
    [InlineData("name: a\ntype: mul\npath: b\nprompt: {text: x}", "choices", "none")]
    [InlineData("name: a\ntype: mul\npath: b\nprompt: {text: x, choices: [y], colour: z}", "line 4", "colour")]
    [InlineData("name: a\ntype: mul\npath: b\nshots: 2", "line 4", "prompts")]
    [InlineData("type: mul\npath: b", "line 1", "name")]
    [InlineData("name: [a\ntype", "task.yaml", "YAML")]
    [InlineData("- a", "line 1", "fields")]
    [InlineData("", "document", "0")]
    public void Mistakes_are_told_with_their_place(string yaml, string place, string what)
    {
        string message = Assert.Throws<GlmException>(() => Load(yaml)).Message;
        Assert.Contains("task.yaml", message);
        Assert.Contains(place, message);
        Assert.Contains(what, message);
    }

    [Fact]
    public void Deep_files_are_refused()
    {
        Assert.Contains("levels", Assert.Throws<GlmException>(() => Load("name: " + new string('[', 100_000))).Message);
        Assert.Contains("levels", Assert.Throws<GlmException>(() => Load("name:\n  " + string.Concat(Enumerable.Repeat("- ", 1000)))).Message);
    }

    [Fact]
    public void A_file_may_hold_variants()
    {
        var tasks = TaskFile.Load(_folder.Write("task.yaml", "name: a $variant\ntype: gen\npath: b\nvariants: [1k, 2k]\nfile-pattern: \"x_$variant.json\""));
        Assert.Equal(["a-1k", "a-2k"], tasks.Select(task => task.Name));
        Assert.Equal(["x_1k.json", "x_2k.json"], tasks.Select(task => task.Groups[0].Patterns[0]));
    }

    [Theory]
    [MemberData(nameof(Shipped))]
    public void Shipped_tasks_are_read(string file)
    {
        foreach (var task in TaskFile.Load(Path.Combine(TestFiles.Repository, file)))
            if (task.Kind != TaskKind.LanguageModeling) Assert.NotEmpty(task.Prompts);
    }

    [Fact]
    public void Shipped_tasks_have_different_names()
    {
        string[] names = [.. ShippedFiles.SelectMany(file => TaskFile.Load(Path.Combine(TestFiles.Repository, file))).Select(task => task.Name)];
        Assert.Equal(names.Length, names.Distinct().Count());
    }

    [Fact]
    public void The_prompt_of_mmlu_is_the_originals()
    {
        _folder.Write("mmlu/dev.csv", "subject,question,A,B,C,D,answer\n" + string.Concat(Enumerable.Range(1, 6).Select(i => $"high_school_physics,e{i}?,a{i},b{i},c{i},d{i},C\n")));
        _folder.Write("mmlu/test.csv", "subject,question,A,B,C,D,answer\nhigh_school_physics,q?,a,b,c,d,D\n");
        var data = TaskData.Load(TaskFile.Load(Path.Combine(TestFiles.Repository, "tasks", "mmlu", "mmlu.yaml")).Single(), _folder.Path);
        var item = data.Files.Single().Items.Single();
        Assert.Equal(
            "The following are multiple choice questions about high school physics.\n\n" + string.Concat(Enumerable.Range(1, 5).Select(i => $"e{i}?\n(A) a{i} (B) b{i} (C) c{i} (D) d{i}\nAnswer: (C) c{i}\n\n"))
            + "q?\n(A) a (B) b (C) c (D) d\nAnswer: (", item.Prompt.Text);
        Assert.Equal(("stem", 3, "high_school_physics"), (data.Files[0].Group, item.Label, item.Category));
    }

    /// <summary>The sizes that the collection of data tells of the part that is here; of every data set, nearly all records can be used.</summary>
    [DataFact]
    public void Shipped_tasks_find_their_data()
    {
        var options = new TaskOptions { Data = Path.Combine(TestFiles.Data!, "eval"), Scorer = (_, _) => [] };
        var counts = new Dictionary<string, int>
        {
            ["mmlu"] = 11279, ["lambada"] = 4111, ["clue-afqmc"] = 3 * 3452, ["clue-cmnli"] = 2 * 9818, ["clue-cluewsc2020"] = 2 * 249, ["fewclue-chid"] = 2 * (1608 + 167), ["fewclue-eprstmt"] = 2 * (485 + 123),
            ["glue-cola"] = 2 * (417 + 399), ["glue-mnli"] = 2 * 7960, ["glue-qnli"] = 2 * 4371, ["math-qa"] = 2 * 2415, ["mc-taco"] = 2 * (3077 + 7395), ["crows-pairs"] = 1204, ["stereoset"] = 3409, ["ethos-binary"] = 779,
            ["ethos-multi"] = 8 * 341, ["winogender"] = 576, ["pubmed-qa"] = 2 * 809, ["ada-leval-bestanswer-1k"] = 790, ["bigbench-lite/winowhy"] = 2312, ["pile"] = 250,
        };
        foreach (string file in ShippedFiles)
            foreach (var task in TaskFile.Load(Path.Combine(TestFiles.Repository, file)).Where(task => TaskRunner.HasData(task, options)))
            {
                var (items, _, faults) = TaskRunner.Check(task, options);
                if (counts.Remove(task.Name, out int expected)) Assert.Equal((task.Name, expected), (task.Name, items));
                Assert.True(faults.Count <= 1 + (items / 200), $"{task.Name}: {faults.Count} faults: {faults.FirstOrDefault()}");
            }
        Assert.Empty(counts);
    }

    private TaskDefinition Load(string yaml) => TaskFile.Load(_folder.Write("task.yaml", yaml)).Single();
}
