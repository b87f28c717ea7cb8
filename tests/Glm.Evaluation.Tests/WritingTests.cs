using System.Text.Json;
using System.Text.Json.Nodes;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Evaluation.Tests;

/// <summary>Tasks about what a model writes: units of text, spans and passages of held-out text, and what is counted of the answers.</summary>
public sealed class WritingTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("The cat's tail, don't you see?", "The|cat's|tail|don't|you|see")]
    [InlineData("在2024年，GLM-130B 有1300亿参数。", "在|2024|年|GLM|130B|有|1300|亿|参|数")]
    [InlineData("cafe\u0301 ok' '猫😀 x𠀀y", "cafe\u0301|ok|猫|x|𠀀|y")]
    [InlineData(" … ", "")]
    public void Words_and_characters_are_units(string text, string expected)
    {
        Assert.Equal(expected.Split('|', StringSplitOptions.RemoveEmptyEntries), TextUnits.Words(text));
        int count = TextUnits.Of(text).Count;
        Assert.Equal(text, TextUnits.First(text, count));
        if (count > 2) Assert.Equal(TextUnits.Words(text)[..2], TextUnits.Words(TextUnits.First(text, 2)));
    }

    [Fact]
    public void Variety_is_counted_in_runs()
    {
        string[] words = "a b a b c".Split(' ');
        Assert.Equal((0.6, 0.75, 1), (TextUnits.Distinct(words, 1), TextUnits.Distinct(words, 2), TextUnits.Distinct(words, 3)));
        Assert.Equal((0.8, 0), (TextUnits.Repeated(words, 2), TextUnits.Repeated(words, 4)));
        string[] loop = [.. Enumerable.Range(0, 10).Select(i => $"{i % 3}")];
        Assert.Equal((1, 0.3), (TextUnits.Repeated(loop, 4), TextUnits.Distinct(loop, 1)));
        Assert.Equal((1, 0), (TextUnits.Distinct(["a"], 2), TextUnits.Repeated([], 4)));
        // As many words of the text as were written.
        Assert.Equal((1, 0.5), (VarietyMetrics.Of("distinct_1", "x y.", "a a b c"), VarietyMetrics.Of("distinct_1_text", "x y.", "a a b c")));
    }

    [Fact]
    public void Spans_are_cut_out_of_lines_of_documents()
    {
        var documents = Enumerable.Range(0, 12).Select(Document).ToList();
        documents[4] = documents[4] with { Fields = new JsonObject { ["text"] = "too short" } };
        documents[5] = new DataRecord(null, "line 6", "no JSON");
        documents[6] = documents[6] with { Fields = new JsonObject { ["text"] = "[MASK] " + Text(documents[6]) } };
        var records = HeldOutPassages.Blanks(documents, seed: 3).ToList();
        Assert.Equal("line 6", Assert.Single(records, record => record.Fault is not null).Place);
        Assert.DoesNotContain(records, record => record.Place is "line 5" or "line 7");
        var lengths = new Dictionary<string, (int Least, int Most)> { ["1"] = (1, 1), ["2"] = (2, 2), ["3-4"] = (3, 4), ["5-8"] = (5, 8), ["9-16"] = (9, 16) };
        foreach (var record in records.Where(record => record.Fault is null))
        {
            string Field(string name) => record.Fields![name]!.GetValue<string>();
            string text = Text(documents.Single(document => document.Place == record.Place)), span = Field("span");
            Assert.True(text.Contains(Field("left") + span + Field("right")) || text.Contains($"{Field("left")} {span}{Field("right")}"));
            var (least, most) = lengths[Field("length")];
            int count = TextUnits.Of(span).Count;
            Assert.InRange(count, least, most);
            Assert.DoesNotContain('\n', span);
            Assert.InRange(TextUnits.Of(Field("left")).Count, 16, 128);
            Assert.InRange(TextUnits.Of(Field("right")).Count, 8, 64);
            Assert.Equal(count, TextUnits.Of(Field("guess")).Count);
        }
        foreach (string length in lengths.Keys) Assert.InRange(records.Count(record => record.Fields?["length"]?.GetValue<string>() == length), 18, 27);
        // The word that every document has most often.
        Assert.All(records.Where(record => record.Fields?["length"]?.GetValue<string>() == "1"), record => Assert.Equal("the", record.Fields!["guess"]!.GetValue<string>()));
        Assert.Equal(Json(records), Json(HeldOutPassages.Blanks(documents, seed: 3)));
        Assert.NotEqual(Json(records), Json(HeldOutPassages.Blanks(documents, seed: 4)));
    }

    [Fact]
    public void Passages_follow_one_another_in_the_text()
    {
        DataRecord[] documents = [Document(0), new(new JsonObject { ["text"] = "too short" }, "line 2"), new(new JsonObject { ["words"] = "x" }, "line 3")];
        var records = HeldOutPassages.Passages(documents, seed: 1).ToList();
        Assert.Contains("expected some text in the field text", Assert.Single(records, record => record.Fault is not null).Fault);
        var passage = Assert.Single(records, record => record.Fault is null);
        string left = passage.Fields!["left"]!.GetValue<string>(), right = passage.Fields["right"]!.GetValue<string>();
        Assert.Contains(left + right, Text(documents[0]));
        Assert.Equal((64, 160), (TextUnits.Of(left).Count, TextUnits.Of(right).Count));
    }

    /// <summary>The tasks that ship, on a model that knows the spans and one that says the most frequent one.</summary>
    [Theory]
    [InlineData("fill", "fill-en")]
    [InlineData("fill-length", "fill-length-en")]
    [InlineData("fill-left", "fill-left-en")]
    public void Blanks_are_right_to_the_letter_or_by_chance(string file, string name)
    {
        WriteValidation();
        var task = Task(file, name);
        var options = new TaskOptions { Data = _folder.Path, Limit = 20 };
        // A continuation goes on after the span; a blank ends with it, where nobody cuts it.
        string after = file == "fill" ? "" : " and then the rest";
        using var knowing = new Answering(item => [$" {item.Targets[0]}{after}"], task, options);
        var right = TaskRunner.Run(task, knowing, options);
        Assert.Equal(["length 1", "length 2", "length 3-4", "length 5-8", "length 9-16"], right.Groups.Select(group => group.Name));
        Assert.Equal((100, 100), (right.Overall.Items, right.Overall.Metrics["exact"].Average));
        using var guessing = new Answering(item => [item.Guess + after], task, options);
        var guess = TaskRunner.Run(task, guessing, options);
        Assert.All(guess.Groups, group => Assert.Equal(group.Chance["exact"], group.Metrics["exact"].Average, 1e-9));
        Assert.InRange(guess.Groups[0].Chance["exact"], 20, 60);
        Assert.Equal(right.Overall.Chance, guess.Overall.Chance);
        if (file != "fill-left") Assert.All(knowing.Prompts, prompt => Assert.Contains("[MASK]", prompt));
        else Assert.All(knowing.Prompts, prompt => Assert.DoesNotContain("[MASK]", prompt));
    }

    [Theory]
    [InlineData("continuation", "continuation-en", 0.9)]
    [InlineData("continuation-greedy", "continuation-greedy-en", 0)]
    public void Continuations_are_compared_with_as_much_of_the_text(string file, string name, double topP)
    {
        WriteValidation();
        var task = Task(file, name);
        Assert.Equal(topP, task.Generation.TopP);
        var options = new TaskOptions { Data = _folder.Path };
        using var copying = new Answering(item => [item.Targets[0]], task, options);
        var same = TaskRunner.Run(task, copying, options).Overall.Metrics;
        foreach (string metric in new[] { "distinct_1", "distinct_2", "distinct_3", "repetition" }) Assert.Equal(same[metric + "_text"], same[metric]);
        using var looping = new Answering(_ => [string.Join(' ', Enumerable.Repeat("so it goes", 20))], task, options);
        var loop = TaskRunner.Run(task, looping, options).Overall.Metrics;
        Assert.Equal((5, 100), (loop["distinct_1"].Average, loop["repetition"].Average));
        Assert.InRange(loop["distinct_1_text"].Average, 20, 90);
    }

    [Fact]
    public void ASmallModelDoesAllOfThem()
    {
        WriteValidation();
        using var workers = new Workers(2);
        using var model = TinyLocal.Create(workers);
        foreach (string file in new[] { "fill", "fill-length", "fill-left", "continuation", "continuation-greedy" })
            foreach (var task in TaskFile.Load(Path.Combine(TestFiles.Repository, "tasks", "writing", file + ".yaml")).Where(task => task.Name.EndsWith("en", StringComparison.Ordinal)))
            {
                var result = TaskRunner.Run(task with { Generation = task.Generation with { MaxNewTokens = 8 } }, model, new TaskOptions { Data = _folder.Path, Limit = 1 });
                Assert.Empty(result.Errors);
                Assert.All(result.Overall.Metrics.Values, value => Assert.InRange(value.Average, 0, 100));
            }
    }

    private static TaskDefinition Task(string file, string name) => TaskFile.Load(Path.Combine(TestFiles.Repository, "tasks", "writing", file + ".yaml")).Single(task => task.Name == name);

    private void WriteValidation() => _folder.Write("valid-en.jsonl", string.Concat(Enumerable.Range(0, 12).Select(i => JsonSerializer.Serialize(new { text = Text(Document(i)) }) + "\n")));

    private static string Text(DataRecord record) => record.Fields!["text"]!.GetValue<string>();

    private static string[] Json(IEnumerable<DataRecord> records) => [.. records.Select(record => record.Fields?.ToJsonString() ?? "")];

    /// <summary>A text of 20 lines in which every other word is "the".</summary>
    private static DataRecord Document(int number)
    {
        var random = new CounterRandom(11, (ulong)number);
        string Line() => string.Join(' ', Enumerable.Range(0, 24).Select(i => i % 2 == 0 ? "the" : $"w{random.NextInt(50)}")) + ".";
        return new DataRecord(new JsonObject { ["text"] = string.Join('\n', Enumerable.Range(0, 20).Select(_ => Line())) }, $"line {number + 1}");
    }

    /// <summary>A model that is told the items, and says of each what a test wants.</summary>
    private sealed class Answering(Func<TaskItem, string[]> answer, TaskDefinition task, TaskOptions options) : EvaluatedModel
    {
        private readonly IReadOnlyList<ItemFile> _files = TaskData.Load(task, options.Data, limit: options.Limit).Files;

        public List<string> Prompts { get; } = [];

        public override ModelIdentity Identity { get; } = new() { Name = "answers", Location = "answers" };

        public override long Tokens => 0;

        public override IEnumerable<Answer<Generation>> Generate(
            IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions reading, GenerationOptions generation, CancellationToken cancellation = default)
        {
            var file = _files.Single(file => file.Items.Select(item => item.Prompt).SequenceEqual(items));
            foreach (int item in wanted)
            {
                Prompts.Add(items[item].Text!);
                yield return new Answer<Generation>(item, new Generation(answer(file.Items[item])));
            }
        }

        public override IEnumerable<Answer<ChoiceScores>> Choose(IReadOnlyList<ChoiceItem> items, IReadOnlyList<int> wanted, ReadingOptions reading, CancellationToken cancellation = default) => throw new NotSupportedException();

        public override IEnumerable<Answer<TextLikelihood>> Read(IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions reading, int? stride, CancellationToken cancellation = default) => throw new NotSupportedException();
    }
}
