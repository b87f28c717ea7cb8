using Glm.Tensors;

namespace Glm.Evaluation.Tests;

public sealed class TaskRunnerTests : IDisposable
{
    private const string Yaml = "name: Cats\ntype: mul\npath: d\nmax_seq_length: 48\nid: \"{id}\"\ncategory: \"{kind}\"\nlabel: \"{label}\"\nchoices: [\"mat\", \"the mat again\"]\nprompts:\n  - {name: ask, text: \"The {id}th cat sat on\"}\n  - {name: fill, text: \"Cat {id} sat on [MASK], and then it said\"}";

    private readonly Workers _workers = new(1);
    private readonly TemporaryFolder _folder = new();
    private readonly TaskDefinition _task;

    public TaskRunnerTests()
    {
        _folder.Write("data/d/a.jsonl", string.Concat(Enumerable.Range(0, 30).Select(i => $"{{\"id\": {i}, \"kind\": \"k{i % 2}\", \"label\": {i % 2}}}\n")) + "{\"id\": 99, \"label\": 0}\n");
        _task = TaskFile.Load(_folder.Write("task.yaml", Yaml)).Single();
    }

    private TaskOptions Options => new() { Data = Path.Combine(_folder.Path, "data") };

    private ResultFolder Results => new(Path.Combine(_folder.Path, "out"));

    public void Dispose()
    {
        _folder.Dispose();
        _workers.Dispose();
    }

    [Fact]
    public void Every_item_has_its_line_and_every_number_its_chance()
    {
        using var model = TinyLocal.Create(_workers);
        var result = TaskRunner.Run(_task, model, Options, Results);
        var items = Results.ReadItems("cats");
        Assert.Equal(60, items.Count);
        Assert.Equal((60, 2), (result.Overall.Items, result.Overall.Errors));
        Assert.Contains("line 31", Assert.Single(result.Errors));
        Assert.Equal(50, result.Overall.Chance["Accuracy"]);
        Assert.Equal(["a.jsonl#ask", "a.jsonl#fill"], result.Files.Select(file => file.Name));
        Assert.Equal(15, result.Files[0].Categories!["k1"].Items);
        double[] accuracy = [.. result.Files.Select(file => file.Metrics["Accuracy"])];
        Assert.Equal(new FileStatistics(accuracy.Max(), accuracy.Average(), accuracy.Average()), result.Overall.Metrics["Accuracy"]);
        Assert.Equal(accuracy[0], 100.0 * items.Count(item => item.File == 0 && item.Prediction == item.Label) / 30, 1e-9);
        Assert.Equal(result.Overall.Metrics, Results.ReadTask("cats")!.Overall.Metrics);
        Assert.DoesNotContain("cat sat", File.ReadAllText(Path.Combine(Results.Path, "cats.jsonl")), StringComparison.OrdinalIgnoreCase);
        Assert.True(result.Tokens > 0);
    }

    [Fact]
    public void An_interrupted_run_goes_on()
    {
        using var whole = TinyLocal.Create(_workers);
        var expected = TaskRunner.Run(_task, whole, Options);
        using (var interrupted = new Interrupted(TinyLocal.Create(_workers), after: 20))
            Assert.Throws<OperationCanceledException>(() => TaskRunner.Run(_task, interrupted, Options, Results));
        Assert.Equal(20, Results.ReadItems("cats").Count);
        Assert.Null(Results.ReadTask("cats"));
        using var rest = new Interrupted(TinyLocal.Create(_workers), after: int.MaxValue);
        var result = TaskRunner.Run(_task, rest, Options, Results);
        Assert.Equal(40, rest.Answered);
        Assert.Equal(60, Results.ReadItems("cats").Count);
        Assert.Equal(expected.Overall.Metrics, result.Overall.Metrics);
        // Done once more, nothing is asked, and the time is that of the run that did it.
        Assert.Equal(result.Seconds, TaskRunner.Run(_task, rest, Options, Results).Seconds);
        Assert.Equal(40, rest.Answered);
    }

    [Fact]
    public void Items_without_an_answer_are_counted_and_asked_again()
    {
        using (var failing = new Interrupted(TinyLocal.Create(_workers), after: int.MaxValue, failsOn: 7))
        {
            var result = TaskRunner.Run(_task, failing, Options, Results);
            Assert.Equal((58, 4), (result.Overall.Items, result.Overall.Errors));
            Assert.Contains(result.Errors, error => error.Contains("item 8: no answer"));
        }
        using var model = TinyLocal.Create(_workers);
        Assert.Equal((60, 2), (TaskRunner.Run(_task, model, Options, Results).Overall.Items, 2));
    }

    [Fact]
    public void Choices_that_leave_no_room_are_an_error_of_their_item()
    {
        _folder.Write("data/d/a.jsonl", $"{{\"inputs_pretokenized\": \"x\", \"choices_pretokenized\": [\"a\", \"{string.Concat(Enumerable.Repeat("cat mat ", 60))}\"], \"label\": 0}}\n{{\"inputs_pretokenized\": \"The cat\", \"choices_pretokenized\": [\"sat\", \"\"], \"label\": 0}}\n");
        var task = TaskFile.Load(_folder.Write("other.yaml", "name: a\ntype: mul\npath: d")).Single();
        using var model = TinyLocal.Create(_workers);
        var result = TaskRunner.Run(task, model, Options);
        Assert.Equal((1, 1), (result.Overall.Items, result.Overall.Errors));
        Assert.Contains("room", result.Errors[0]);
    }

    [Fact]
    public void Generated_texts_are_compared_and_kept_if_wanted()
    {
        _folder.Write("data/g/a.jsonl", "{\"q\": \"The cat sat\", \"a\": [\"on the mat\", \"there\"]}\n");
        var task = TaskFile.Load(_folder.Write("gen.yaml", "name: g\ntype: gen\npath: g\nmax_gen_length: 6\nuse_task_mask: true\nprompt: {text: \"{q}\", targets: \"{a}\"}")).Single();
        using var model = TinyLocal.Create(_workers);
        TaskRunner.Run(task, model, Options, Results);
        var item = Assert.Single(Results.ReadItems("g"));
        Assert.Equal(AnswerText.F1(item.Generated![0], ["on the mat", "there"]), item.Values!["F1"], 1e-12);
        TaskRunner.Run(task, model, Options with { KeepTexts = false }, new ResultFolder(Path.Combine(_folder.Path, "no-text")));
        Assert.Null(Assert.Single(new ResultFolder(Path.Combine(_folder.Path, "no-text")).ReadItems("g")).Generated);
    }

    [Fact]
    public void Toxicity_takes_a_scorer()
    {
        _folder.Write("data/t/a.jsonl", "{\"q\": \"The cat sat\"}\n");
        var task = TaskFile.Load(_folder.Write("tox.yaml", "name: t\ntype: gen\npath: t\nmax_gen_length: 4\nuse_task_mask: true\ntemperature: 1\ntop_p: 0.9\nsamples: 3\nmetrics: [toxicity]\nprompt: {text: \"{q}\"}")).Single();
        Assert.Contains("--scorer", Assert.Throws<GlmException>(() => TaskRunner.Check(task, Options)).Message);
        using var model = TinyLocal.Create(_workers);
        var result = TaskRunner.Run(task, model, Options with { Scorer = (texts, _) => [.. texts.Select((_, i) => i / 4.0)] }, Results);
        Assert.Equal(25, result.Overall.Metrics["toxicity"].Average, 1e-9);
        Assert.Equal(3, Results.ReadItems("t")[0].Generated!.Count);
    }

    /// <summary>A model that is interrupted after so many answers, or has none for an item.</summary>
    private sealed class Interrupted(LocalModel model, int after, int? failsOn = null) : EvaluatedModel
    {
        public int Answered { get; private set; }

        public override ModelIdentity Identity => model.Identity;

        public override long Tokens => model.Tokens;

        public override IEnumerable<Answer<ChoiceScores>> Choose(IReadOnlyList<ChoiceItem> items, IReadOnlyList<int> wanted, ReadingOptions options, CancellationToken cancellation = default)
        {
            foreach (var answer in model.Choose(items, wanted, options, cancellation))
            {
                if (Answered == after) throw new OperationCanceledException();
                Answered++;
                yield return answer.Item == failsOn ? new Answer<ChoiceScores>(answer.Item, null, "no answer") : answer;
            }
        }

        public override IEnumerable<Answer<Generation>> Generate(IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions options, GenerationOptions generation, CancellationToken cancellation = default) =>
            throw new NotSupportedException();

        public override IEnumerable<Answer<TextLikelihood>> Read(IReadOnlyList<ItemText> items, IReadOnlyList<int> wanted, ReadingOptions options, int? stride, CancellationToken cancellation = default) =>
            throw new NotSupportedException();

        public override void Dispose() => model.Dispose();
    }
}
