using System.Text.Json.Nodes;

namespace Glm.Evaluation.Tests;

public sealed class TaskDataTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("{a} and {b.c}", "x and y")]
    [InlineData("{{{a}}}", "{x}")]
    [InlineData("{list|join:, }", "one, two_three")]
    [InlineData("{under|words}", "two three")]
    [InlineData("{a|replace:x:[MASK]}", "[MASK]")]
    [InlineData("{*points}", "x")]
    [InlineData("{number|threshold:0.5}", "1")]
    [InlineData("{number|bin:0.1}", "0.7")]
    [InlineData("{list|designated:A}", "A1:\n\none\n\nA2:\n\ntwo_three\n\n")]
    public void Templates_are_filled(string template, string expected) => Assert.Equal(expected, new Template(template).Text(Fields()));

    [Fact]
    public void One_field_alone_may_be_a_list()
    {
        Assert.Equal(["one", "two_three"], new Template("{list}").List(Fields()));
        Assert.Equal(["129 , or so", "130", "124"], new Template("{options|lettered}").List(new JsonObject { ["options"] = "a ) 129 , or so , b ) 130 , c ) 124" }));
        Assert.Equal(["2 : 3", "4 : 5"], new Template("{options|lettered}").List(new JsonObject { ["options"] = "['a ) 2 : 3', 'b ) 4 : 5']" }));
        Assert.Equal(["p", "q r"], new Template("{text|choices}").List(new JsonObject { ["text"] = "Q\n  choice: p\n  choice: q r\nA:" }));
        Assert.Contains("missing", Assert.Throws<GlmException>(() => new Template("{missing}").Text(Fields())).Message);
        Assert.Contains("join", Assert.Throws<GlmException>(() => new Template("{list}").Text(Fields())).Message);
    }

    [Fact]
    public void Tables_are_read_with_their_quotes()
    {
        _folder.Write("d/a.csv", "id,text\r\n1,\"one, \"\"two\"\"\nthree\"\r\n2,four\r\n3\r\n4,\"open");
        var data = Load("type: lm\nfile-pattern: \"*.csv\"", "");
        Assert.Equal(["one, \"two\"\nthree", "four"], data.Files[0].Items.Select(item => item.Prompt.Text));
        Assert.Contains("line 5: expected 2 cells, found 1", data.Files[0].Faults[0]);
        Assert.Contains("line 6: expected a quote", data.Files[0].Faults[1]);
    }

    [Fact]
    public void Tabs_separate_without_quotes()
    {
        _folder.Write("d/a.tsv", "p\t\"q\nr\ts\n");
        var data = Load("type: gen\nfile-pattern: \"*.tsv\"\ncolumns: [x, y]\nprompt: {text: \"{x}\", targets: \"{y}\"}", "");
        Assert.Equal(["\"q", "s"], data.Files[0].Items.Select(item => item.Targets[0]));
    }

    [Fact]
    public void Examples_stand_before_the_question()
    {
        _folder.Write("d/dev.csv", "subject,question,A,B,answer\nx_y,q1,a1,b1,B\nother,q2,a2,b2,A\nx_y,q3,a3,b3,A\n");
        _folder.Write("d/test.csv", "subject,question,A,B,answer\nx_y,q4,a4,b4,A\nother,q5,a5,b5,B\n");
        var data = Load("""
            type: mul
            file-pattern: test.csv
            shots: 1
            shot-pattern: dev.csv
            shot-by: "{subject}"
            shot-order: first
            split-by: "{subject}"
            groups: {one: [x_y], two: [other]}
            prompt:
              header: "About {subject|words}.\n\n"
              text: "{question}\n(A) {A} (B) {B}\nAnswer: ("
              answer: "{answer}) {*answer}"
              choices: [A, B]
              label: "{answer}"
              labels: [A, B]
            """, "");
        Assert.Equal(["one: test.csv/x_y", "two: test.csv/other"], data.Files.Select(file => $"{file.Group}: {file.Name}"));
        Assert.Equal("About x y.\n\nq1\n(A) a1 (B) b1\nAnswer: (B) b1\n\nq4\n(A) a4 (B) b4\nAnswer: (", data.Files[0].Items[0].Prompt.Text);
        Assert.Equal((0, 1), (data.Files[0].Items[0].Label, data.Files[1].Items[0].Label));
    }

    [Fact]
    public void Examples_from_the_data_itself_are_never_the_question_and_always_the_same()
    {
        _folder.Write("d/a.jsonl", string.Concat(Enumerable.Range(0, 9).Select(i => $"{{\"q\": \"question {i}\", \"a\": \"answer {i}\"}}\n")));
        const string yaml = "type: gen\nprompt: {text: \"{q}:\", targets: \"{a}\"}";
        var items = Load(yaml, "", shots: 3).Files[0].Items;
        for (int i = 0; i < 9; i++)
        {
            string[] parts = items[i].Prompt.Text!.Split("\n\n");
            Assert.Equal(4, parts.Distinct().Count());
            Assert.Equal($"question {i}:", parts[3]);
            Assert.All(parts[..3], part => Assert.Matches(@"^question (\d): answer \1$", part));
            Assert.DoesNotContain(parts[..3], part => part.Contains($"question {i}"));
        }
        Assert.Equal(items.Select(item => item.Prompt.Text), Load(yaml, "", shots: 3).Files[0].Items.Select(item => item.Prompt.Text));
        Assert.True(items.Select(item => item.Prompt.Text!.Split("\n\n")[0]).Distinct().Count() > 3);
    }

    [Fact]
    public void Several_prompts_make_several_files()
    {
        _folder.Write("d/sub/a.jsonl", "{\"s\": \"x\", \"label\": 1}\n");
        _folder.Write("d/b.jsonl", "{\"s\": \"y\", \"label\": 0}\n");
        var data = Load("type: mul\nlabel: \"{label}\"\nchoices: [p, q]\nprompts:\n  - {name: one, text: \"{s}?\"}\n  - {name: two, text: \"{s}!\", choices: [r, s]}", "");
        Assert.Equal(["b.jsonl#one", "b.jsonl#two", "sub/a.jsonl#one", "sub/a.jsonl#two"], data.Files.Select(file => file.Name));
        Assert.Equal("r", data.Files[1].Items[0].Choices[0].Text);
    }

    [Fact]
    public void Malformed_items_are_told_with_file_and_line()
    {
        _folder.Write("d/a.jsonl", "{\"inputs_pretokenized\": \"x\", \"choices_pretokenized\": [\"a\", \"b\"], \"label\": 2}\nnonsense\n{\"inputs_pretokenized\": \"x\", \"choices_pretokenized\": [\"a\", \"b\"], \"label\": 1}\n{\"inputs\": [1, \"2\"], \"choices\": [[1]], \"label\": 0}\n[]\n");
        var file = Load("type: mul", "").Files[0];
        Assert.Single(file.Items);
        Assert.Equal(4, file.Faults.Count);
        Assert.Contains("a.jsonl: line 1: label: expected 0 to 1, found 2", file.Faults[0]);
        Assert.Contains("line 2", file.Faults[1]);
        Assert.Contains("line 4", file.Faults[2]);
        Assert.Contains("line 5", file.Faults[3]);
    }

    [Theory]
    [InlineData("type: mul\nfile-pattern: \"none.json\"", "none.json")]
    [InlineData("type: mul\nfile-pattern: \"empty.jsonl\"", "expected items")]
    [InlineData("type: mul\nfile-pattern: \"latin.jsonl\"", "UTF-8")]
    [InlineData("type: mul\nfile-pattern: \"torn.jsonl.gz\"", "torn.jsonl.gz")]
    [InlineData("type: mul\nfile-pattern: \"array.json\"\nformat: bigbench\nprompt: {text: a, choices: b}", "JSON object")]
    [InlineData("type: gen\nfile-pattern: \"good.jsonl\"\nshots: 2\nshot-pattern: examples.jsonl\nprompt: {text: \"{q}\", targets: \"{q}\"}", "examples.jsonl")]
    [InlineData("type: gen\nfile-pattern: \"good.jsonl\"\nshots: 5\nprompt: {text: \"{q}\", targets: \"{q}\"}", "5 solved examples")]
    public void Missing_and_empty_data_is_refused(string yaml, string what)
    {
        _folder.Write("d/empty.jsonl", "\n");
        File.WriteAllBytes(Path.Combine(_folder.Path, "d", "latin.jsonl"), [0x7B, 0xE9, 0x7D]);
        File.WriteAllBytes(Path.Combine(_folder.Path, "d", "torn.jsonl.gz"), [0x1F, 0x8B, 8, 0, 0]);
        _folder.Write("d/array.json", "[1]");
        _folder.Write("d/good.jsonl", "{\"q\": \"x\"}\n");
        Assert.Contains(what, Assert.Throws<GlmException>(() => Load(yaml, "")).Message);
    }

    [Theory]
    [InlineData("I think A2, or A12", AnswerExtraction.BestAnswer, 12, "A12")]
    [InlineData("I think A2, or A12", AnswerExtraction.BestAnswer, 3, "A2")]
    [InlineData("the 3rd", AnswerExtraction.BestAnswer, 5, "A3")]
    [InlineData("none", AnswerExtraction.BestAnswer, 5, "???")]
    [InlineData("Well. Answer: [4, 1, 3, 2]", AnswerExtraction.Order, 24, "4,1,3,2")]
    [InlineData("first 2, then 1, 4 and 3", AnswerExtraction.Order, 24, "2,1,4,3")]
    [InlineData("1 2 3 4 or 4 3 2 1", AnswerExtraction.Order, 24, "0,0,0,0")]
    [InlineData("\n  so it is \nand more", AnswerExtraction.Line, null, "so it is")]
    [InlineData(" He said \"no.\" And more.", AnswerExtraction.Sentence, null, "He said \"no.\"")]
    [InlineData(" without an end", AnswerExtraction.Sentence, null, "without an end")]
    public void Answers_are_found_in_texts(string text, AnswerExtraction form, int? answers, string expected) => Assert.Equal(expected, AnswerExtractor.Of(text, form, answers));

    [Theory]
    [InlineData("Answer:", "Yes", "Answer:", " ")]
    [InlineData("Answer: ", "Yes", "Answer:", " ")]
    [InlineData("Answer: (", "A", "Answer: (", "")]
    [InlineData("答案：", "相同", "答案：", "")]
    [InlineData("Answer:", "相同", "Answer:", "")]
    [InlineData("line\n", "Yes", "line\n", "")]
    [InlineData("word", " already", "word", "")]
    public void Spaces_stand_where_words_are_separated(string prompt, string answer, string trimmed, string joint) => Assert.Equal((trimmed, joint), PromptJoint.Split(prompt, answer));

    private static JsonObject Fields() => new()
    {
        ["a"] = "x", ["b"] = new JsonObject { ["c"] = "y" }, ["list"] = new JsonArray("one", "two_three"), ["under"] = "two_three", ["points"] = "a", ["number"] = 0.75,
    };

    private TaskData Load(string yaml, string more, int? shots = null) =>
        TaskData.Load(TaskFile.Load(_folder.Write("task.yaml", $"name: a\npath: d\n{yaml}\n{more}")).Single(), _folder.Path, shots);
}
