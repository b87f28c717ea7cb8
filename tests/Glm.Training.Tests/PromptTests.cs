using System.Text.Json;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Training.Tests;

/// <summary>Prompted data sets: templates, caps and weights, their ids on disk, and their share in a run.</summary>
public sealed class PromptTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-prompts-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("{a} {{b}: {a}{n}", """{"a":"x{b}","n":7}""", "x{b} {b}: x{b}7", null)]
    [InlineData("plain", """{}""", "plain", null)]
    [InlineData("{missing}", """{"a":"x"}""", null, "no field 'missing'")]
    [InlineData("{a}", """{"a":[1]}""", null, "no string")]
    [InlineData("{a}", """{"a":"\ud800"}""", null, "surrogate")]
    public void Templates_are_filled_from_fields(string template, string record, string? expected, string? fault)
    {
        using var json = JsonDocument.Parse(record);
        var (input, _, found) = new PromptTemplate(template, "t").Render(json.RootElement, new Dictionary<string, string>());
        if (fault is null) Assert.Equal((expected, null), (input, found));
        else Assert.Contains(fault, found);
    }

    [Theory]
    [InlineData("a {b")]
    [InlineData("{")]
    public void Braces_that_do_not_close_are_refused(string template) =>
        Assert.Contains("does not close", Assert.Throws<GlmException>(() => new PromptTemplate(template, "t").Validate("file")).Message);

    [Fact]
    public void Sets_are_grouped_capped_and_their_templates_taken_in_turn()
    {
        Write("a.jsonl", """
            {"task":"x","input":"1","target":"one"}
            {"task":"y","input":"2","target":"two"}
            {"task":"x","input":"3","target":" "}
            nonsense
            {"task":"z","input":"4","target":"four"}
            {"input":"5","target":"five"}
            {"task":"x","input":"6","target":"six"}
            {"task":"x","input":"7","target":"seven"}
            """);
        var set = new PromptSet { Name = "s", Files = ["a.jsonl"], Group = "task", Cap = 2, Except = ["z"], Templates = [new("{input}?", "{target}"), new("what is {input}", "{target}")] };
        var prompts = PromptReader.Read(set, _folder).ToList();
        Assert.Equal([("x", "1?"), ("y", "2?"), ("x", "what is 6")], prompts.Where(p => p.Fault is null).Select(p => (p.Set, p.Input)));
        Assert.Equal([(3L, "empty target"), (4, "invalid JSON"), (6, "no text in a field 'task'")], prompts.Where(p => p.Fault is not null).Select(p => (p.Line, p.Fault!)));
    }

    [Fact]
    public void Texts_that_match_give_prompts_about_themselves()
    {
        Write("a.jsonl", """
            {"source":"book:1","text":"Title\nOne two. Three four. Five."}
            {"source":"law:1","text":"Title\nOne two. Three four. Five."}
            {"source":"book:2","text":"no sentences"}
            {"source":"book:3"}
            {"source":"book:4","text":"Another\n\nSix. Seven. Eight."}
            """);
        var set = new PromptSet
        {
            Name = "s", Files = ["a.jsonl"], Match = new() { ["source"] = "^book:(?<number>[0-9])", ["text"] = @"\n(?<first>[A-Z][^.]*\.) (?<rest>[^.]*\.)" },
            Templates = [new("{number}: {first}", "{rest}"), new("{text}", "{source}")],
        };
        var prompts = PromptReader.Read(set, _folder).ToList();
        Assert.Equal([("1: One two.", "Three four.", null), ("", "", "no text in a field 'text'"), ("Another\n\nSix. Seven. Eight.", "book:4", null)],
            prompts.Select(p => (p.Input, p.Target, p.Fault)));
    }

    [Fact]
    public void Records_with_held_out_text_give_no_prompts()
    {
        const string HeldOut = "The engine stops when the water in its boiler is gone.", Other = "Nobody goes to the old mill when the moon is new.";
        Write("valid.jsonl", JsonSerializer.Serialize(new { text = $"About engines\n{HeldOut}\nYes." }) + "\n");
        Write("a.jsonl", string.Concat(new[] { (Other, "没有人去"), (HeldOut, "发动机"), ("水", HeldOut), ("Yes.", "是") }.Select(pair => JsonSerializer.Serialize(new { input = pair.Item1, target = pair.Item2 }) + "\n")));
        var sets = new PromptSets { Sets = [new() { Name = "a", Files = ["a.jsonl"] }] };
        var preparer = new TaskPreparer(text => [.. text.Select(c => (int)c)], 1 << 16, "hash");
        Assert.Equal(new TaskEntry("a", 2, 2, 0, null, 2), Assert.Single(preparer.Prepare(sets, _folder, In("tasks"), [In("valid.jsonl")]).Tasks));
        Assert.Equal(new TaskEntry("a", 4, 4, 0, null, 0), Assert.Single(preparer.Prepare(sets, _folder, In("all")).Tasks));
        using var shards = TaskShards.Open(In("tasks"), "hash");
        Assert.Equal([Other, "Yes."], new[] { 0, 1 }.Select(i => string.Concat(shards.Read(i).Text.Select(id => (char)id))));
    }

    [Theory]
    [InlineData("(")]
    [InlineData("(?=a)b")]
    public void Expressions_that_cannot_be_used_are_refused(string pattern)
    {
        Write("sets.json", JsonSerializer.Serialize(new { sets = new[] { new { name = "n", files = new[] { "a.jsonl" }, match = new { text = pattern } } } }));
        Assert.Contains("n: match: expected regular expressions", Assert.Throws<GlmException>(() => PromptSets.Load(In("sets.json"))).Message);
    }

    [Fact]
    public void Prompts_come_back_from_disk_and_are_drawn_by_weight()
    {
        Write("a.jsonl", string.Concat(Enumerable.Range(0, 30).Select(i => $$"""{"input":"a{{i}}","target":"b"}""" + "\n")));
        Write("b.jsonl", string.Concat(Enumerable.Range(0, 10).Select(i => $$"""{"input":"c{{i}}","target":"d"}""" + "\n")));
        var sets = new PromptSets { Sets = [new() { Name = "a", Files = ["a.jsonl"] }, new() { Name = "b", Files = ["b.jsonl"], Weight = 9 }] };
        var manifest = new TaskPreparer(text => [.. text.Select(c => (int)c)], 128, "hash").Prepare(sets, _folder, In("tasks"));
        Assert.Equal([("a", 30, 30.0), ("b", 10, 90)], manifest.Tasks.Select(task => (task.Name, task.Samples, task.Weight)));
        using var shards = TaskShards.Open(In("tasks"), "hash");
        Assert.Equal(("c9", "d"), Text(shards.Read(39)));
        Assert.Equal(("a0", "b"), Text(shards.Read(0)));
        var drawn = Enumerable.Range(0, 4000).Select(i => Text(shards.Draw(5, i)).Item1).ToList();
        Assert.InRange(drawn.Count(text => text[0] == 'c'), 2850, 3150);
        Assert.Equal(40, drawn.Distinct().Count());
        Assert.Equal(drawn[17], Text(shards.Draw(5, 17)).Item1);
        Assert.Contains("another tokenizer", Assert.Throws<GlmException>(() => TaskShards.Open(In("tasks"), "other")).Message);
        Assert.Contains("already holds", Assert.Throws<GlmException>(() => new TaskPreparer(_ => [1], 128, "hash").Prepare(sets, _folder, In("tasks"))).Message);

        static (string, string) Text((int[] Text, int[] Target) prompt) =>
            (string.Concat(prompt.Text.Select(id => (char)id)), string.Concat(prompt.Target.Select(id => (char)id)));
    }

    [Fact]
    public void Damaged_folders_are_refused()
    {
        Write("a.jsonl", """{"input":"abc","target":"d"}""");
        var preparer = new TaskPreparer(text => [.. text.Select(c => (int)c)], 128, "hash");
        preparer.Prepare(new PromptSets { Sets = [new() { Name = "a", Files = ["a.jsonl"] }] }, _folder, In("tasks"));
        byte[] index = File.ReadAllBytes(In("tasks/prompts.index")), ids = File.ReadAllBytes(In("tasks/prompts.ids"));
        foreach (int at in new[] { 1, 7, 9, 14, 15, 23 })
        {
            byte[] damaged = (byte[])index.Clone();
            damaged[at] ^= 0x80;
            File.WriteAllBytes(In("tasks/prompts.index"), damaged);
            using var shards = TaskShards.Open(In("tasks"), "hash");
            Assert.Contains("prompts.index", Assert.Throws<GlmException>(() => shards.Read(0)).Message);
        }
        File.WriteAllBytes(In("tasks/prompts.index"), index);
        ids[3] = 1;
        File.WriteAllBytes(In("tasks/prompts.ids"), ids);
        using (var shards = TaskShards.Open(In("tasks"), "hash")) Assert.Contains("damaged", Assert.Throws<GlmException>(() => shards.Read(0)).Message);
        File.WriteAllBytes(In("tasks/prompts.ids"), ids[..^1]);
        Assert.Contains("expected 16 bytes", Assert.Throws<GlmException>(() => TaskShards.Open(In("tasks"), "hash")).Message);
        File.WriteAllText(In("tasks/tasks.json"), "{}");
        Assert.Throws<GlmException>(() => TaskShards.Open(In("tasks"), "hash"));
    }

    [Fact]
    public void Their_share_grows_along_the_ramp()
    {
        var options = new MultitaskOptions { Path = "x", Ratio = 0.4, FromSamples = 10_000, RampSamples = 10_000 };
        Assert.Equal(0, Share(0, 10_000));
        Assert.Equal(0.2, Share(14_500, 15_500), 0.05);
        Assert.Equal(0.4, Share(20_000, 30_000), 0.02);
        Assert.Equal(0.05, new MultitaskOptions { Path = "x" }.RatioAt(0));

        double Share(long from, long to) => Enumerable.Range((int)from, (int)(to - from)).Average(sample => options.IsPrompted(3, sample) ? 1.0 : 0);
    }

    [Fact]
    public void A_run_learns_prompts_beside_text()
    {
        using var run = new TinyRun(""", "multitask": { "path": "tasks", "ratio": 0.5 }, "samples_per_row": 2, "lr": 1e-2, "train_samples": 160""");
        Write("p.jsonl", string.Concat(Enumerable.Range(0, 50).Select(i => $$"""{"input":"the cat sat {{i}} on a","target":"green mat"}""" + "\n")));
        var tokenizer = Tokenizer.Load(run.In("tokenizer.model"));
        new TaskPreparer(tokenizer.Encode, tokenizer.VocabularySize, ShardManifest.HashOfTokenizer(run.In("tokenizer.model")))
            .Prepare(new PromptSets { Sets = [new() { Name = "p", Files = ["p.jsonl"] }] }, _folder, run.In("tasks"));
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        trainer.Run(null, default);
        double[] losses = [.. RunLog.Read(run.In("run/log.jsonl")).Where(step => step.MultitaskLoss is not null).Select(step => step.MultitaskLoss!.Value)];
        Assert.InRange(losses.Length, 20, 40);
        Assert.InRange(losses[^1], 0, losses[0] / 3);
    }

    private string In(string name) => Path.Combine(_folder, name);

    private void Write(string name, string text) => File.WriteAllText(In(name), text);
}
