using Glm.Tests;

namespace Glm.Evaluation.Tests;

/// <summary>Tasks whose data sets are not at hand: they say what belongs where, and read made-up records of that form.</summary>
public sealed class AbsentDataTests : IDisposable
{
    private static readonly TaskDefinition[] Tasks =
        [.. Directory.GetFiles(Path.Combine(TestFiles.Repository, "tasks"), "*.yaml", SearchOption.AllDirectories).SelectMany(TaskFile.Load).Where(task => task.Data is not null)];

    private const string BigBench = """{"name": "t", "preferred_score": "multiple_choice_grade", "examples": [{"input": "2 + 2?", "target_scores": {"4": 1, "5": 0}}, {"input": "1 + 1?", "target_scores": {"2": 1, "3": 0}}]}""";

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, string, string, string> Samples => new()
    {
        { "bigbench-lite/auto_debugging", "task.json", """{"name": "t", "examples": [{"input": "x = 1\nWhat is x?", "target": "1"}, {"input": "y", "target": "2"}]}""", "1" },
        { "bigbench-lite/misconceptions_russian", "task.json", BigBench, "4" },
        { "bigbench-lite/play_dialog_same_or_different", "task.json", BigBench, "4" },
        { "bigbench-lite/symbol_interpretation", "plain/task.json", BigBench, "4" },
        { "glue-mnli-mismatched", "validation_mismatched.jsonl", """{"premise": "It rains.", "hypothesis": "It is dry.", "label": "contradiction"}""", "No" },
        { "superglue-ax-b", "AX-b.jsonl", """{"sentence1": "It rains.", "sentence2": "It is wet.", "idx": 0, "label": "entailment"}""", "Yes" },
        { "superglue-ax-g", "AX-g.jsonl", """{"premise": "It rains.", "hypothesis": "It is dry.", "idx": 0, "label": "not_entailment"}""", "No" },
        { "glue-mrpc", "validation.jsonl", """{"sentence1": "It rains.", "sentence2": "Rain falls.", "label": 1}""", "Yes" },
        { "natural-questions", "NQ-open.dev.jsonl", """{"question": "who wrote it", "answer": ["Ann", "Ann Lee"]}""", "Ann|Ann Lee" },
        { "triviaqa", "validation.jsonl", """{"question": "Who?", "question_id": "q1", "answer": {"value": "Ann", "aliases": ["Ann", "A."]}}""", "Ann|A." },
        { "web-questions", "test.jsonl", """{"question": "who?", "answers": ["Ann"]}""", "Ann" },
        { "webnlg", "test.jsonl", """{"input": ["Ann | born | 1900", "Ann | city | Rome"], "target": "Ann is from Rome.", "references": ["Ann is from Rome.", "Born in 1900, Ann."]}""", "Ann is from Rome.|Born in 1900, Ann." },
        { "e2e", "test.jsonl", """{"meaning_representation": "name[Inn], food[fish]", "target": "The Inn has fish.", "references": ["The Inn has fish."]}""", "The Inn has fish." },
        { "wikilingua", "test.jsonl", """{"source": "Take water. Boil it.", "target": "Boil water.", "references": ["Boil water."]}""", "Boil water." },
        { "chain-of-thought/coin_flip", "test.jsonl", """{"question": "Heads?", "rationale": "It was flipped once.", "answer": "no"}""", "no" },
        { "chain-of-thought/gsm8k", "test.jsonl", """{"question": "2 apples and 3?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"}""", "5" },
        { "commonsense-qa", "validation.jsonl", """{"id": "1", "question": "Where?", "choices": {"label": ["A", "B", "C"], "text": ["here", "there", "away"]}, "answerKey": "B"}""", "there" },
        { "winograd273", "test.jsonl", """{"text": "The cup did not fit into the box, because it was too big.", "pronoun": "it", "options": ["the cup", "the box"], "label": 0}""", "the cup" },
    };

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Every_task_without_data_has_a_sample_here() =>
        Assert.Empty(Tasks.Select(task => task.Name).Where(name => !name.StartsWith("chain-of-thought/", StringComparison.Ordinal)).Except(Samples.Select(sample => (string)sample[0])));

    [Theory]
    [MemberData(nameof(Samples))]
    public void Records_of_its_form_become_items(string name, string file, string record, string answers)
    {
        var task = Tasks.Single(task => task.Name == name);
        string message = Assert.Throws<GlmException>(() => TaskRunner.Check(task, Options)).Message;
        foreach (string part in new[] { Path.Combine(_folder.Path, task.Path), Path.GetFileName(file), task.Data! }) Assert.Contains(part, message);
        _folder.Write($"{task.Path}/{file}", record + "\n");
        if (task.ShotPattern is { } pattern)
        {
            Assert.Contains(pattern, Assert.Throws<GlmException>(() => TaskRunner.Check(task, Options)).Message);
            _folder.Write($"{task.Path}/{pattern}", string.Concat(Enumerable.Repeat(record + "\n", task.Shots)));
        }
        var data = TaskData.Load(task, _folder.Path);
        Assert.Equal(Math.Max(1, task.Prompts.Count), data.Files.Count);
        Assert.All(data.Files, items => Assert.Empty(items.Faults));
        var item = data.Files[0].Items[0];
        Assert.Equal(answers, task.Kind == TaskKind.Generation ? string.Join('|', item.Targets) : item.Choices[item.Label!.Value].Text);
    }

    [Fact]
    public void Examples_reason_in_one_prompt_and_answer_at_once_in_the_other()
    {
        var task = Tasks.Single(task => task.Name == "chain-of-thought/gsm8k");
        foreach (string file in new[] { "test.jsonl", "train.jsonl" }) _folder.Write($"{task.Path}/{file}", """{"question": "2 and 3?", "answer": "It is 2 + 3.\n#### 5"}""" + "\n");
        var files = TaskData.Load(task, _folder.Path, shots: 1).Files;
        Assert.Equal("Question: 2 and 3?\nAnswer: The answer is 5.\n\nQuestion: 2 and 3?\nAnswer:", files[0].Items[0].Prompt.Text);
        Assert.Equal("Question: 2 and 3?\nAnswer: It is 2 + 3. The answer is 5.\n\nQuestion: 2 and 3?\nAnswer:", files[1].Items[0].Prompt.Text);
    }

    [Theory]
    [InlineData("Two and three make five. The answer is 5.", "5")]
    [InlineData("The answer is 4. No, the answer is: 3.5. And so on", "3.5")]
    [InlineData("So the answer is yes", "yes")]
    [InlineData("It is 5.", "")]
    public void The_answer_is_what_is_said_to_be_it(string text, string answer) => Assert.Equal(answer, AnswerExtractor.Of(text, AnswerExtraction.Stated, null));

    private TaskOptions Options => new() { Data = _folder.Path };
}
