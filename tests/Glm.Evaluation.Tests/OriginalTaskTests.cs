using System.Text.Json;
using Glm.Formats;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Evaluation.Tests;

/// <summary>Multiple choice, generation and language modelling against the original's data sets, model and metrics, in ids.</summary>
public sealed class OriginalTaskTests : IDisposable
{
    private readonly Workers _workers = new(2);

    public void Dispose() => _workers.Dispose();

    [WholeReferenceFact]
    public void Choices_are_scored_as_the_original_does()
    {
        int compared = 0;
        foreach (var (path, root) in EvaluationReference.Files(root => Groups(root).Any(group => group.TryGetProperty("cond_log_prob", out _))))
        {
            var (model, special) = Load(Path.Combine(TestFiles.Reference, "glm130b-tiny", "weights.safetensors"), root);
            using var local = new LocalModel(model, _workers, special, null, Identity);
            foreach (var group in Groups(root))
            {
                var options = Reading(group.GetProperty("config"));
                var originals = group.GetProperty("items").EnumerateArray().ToList();
                ChoiceItem[] items = [.. originals.Select(item => new ChoiceItem(item.GetProperty("inputs").Ints(), [.. item.GetProperty("choices").IntLists().Select(ids => (ItemText)ids)]))];
                bool single = group.GetProperty("is_single_token").GetBoolean();
                var reader = PromptReader.For(model, special, null);
                Assert.Equal(single, items.All(item => reader.Encode(item, options).IsSingle));
                foreach (var (item, sample) in items.Zip(group.GetProperty("samples").EnumerateArray()))
                    RequireEqual(sample, reader.Choices(reader.Encode(item, options), single, options), model, special.Blanks!);

                var answers = local.Choose(items, [.. Enumerable.Range(0, items.Length)], options).OrderBy(answer => answer.Item).Select(answer => answer.Value!).ToList();
                foreach (var (answer, expected) in answers.Zip(group.GetProperty("cond_log_prob").EnumerateArray()))
                {
                    Assert.Equal(expected.GetArrayLength(), answer.Scores!.Count);
                    foreach (var (score, original) in answer.Scores.Zip(expected.Doubles())) Assert.Equal(original, score, 1e-3);
                    compared++;
                }
                Assert.Equal(group.GetProperty("predictions").Ints(), answers.Select(answer => answer.Prediction));
                ItemResult[] results = [.. answers.Zip(originals, (answer, item) => new ItemResult { File = 0, Item = 0, Prediction = answer.Prediction, Label = item.GetProperty("label").GetInt32() })];
                Assert.Equal(group.GetProperty("Accuracy").GetDouble(), Metric.Find("Accuracy")!.Of(results), 1e-9);
                // One item alone gives what it gives among the others.
                Assert.Equal(0, answers[0].Scores!.Zip(local.Choose(items, [0], options).Single().Value!.Scores!, (a, b) => Math.Abs(a - b)).Max(), 1e-4);
            }
        }
        Assert.True(compared > 0);
    }

    [WholeReferenceFact]
    public void Texts_are_generated_as_the_original_does()
    {
        int compared = 0;
        foreach (var (path, root) in EvaluationReference.Files(root => Groups(root).Any(group => group.TryGetProperty("outputs", out _))))
        {
            var (model, special) = Load(Path.Combine(Path.GetDirectoryName(path)!, root.GetProperty("weights").GetString()!), root);
            using var local = new LocalModel(model, _workers, special, null, Identity);
            foreach (var group in Groups(root))
            {
                var config = group.GetProperty("config");
                var options = Reading(config);
                int room = config.GetProperty("max_gen_length").GetInt32();
                ItemText[] prompts = [.. group.GetProperty("items").EnumerateArray().Select(item => (ItemText)item.GetProperty("inputs").Ints())];
                var reader = PromptReader.For(model, special, null);
                foreach (var (prompt, sample) in prompts.Zip(group.GetProperty("samples").EnumerateArray()))
                {
                    var context = reader.Context(prompt, options, room);
                    Assert.Equal(sample.GetProperty("token").Ints(), context.Ids);
                    Assert.Equal(sample.GetProperty("position_id").Ints().Concat(sample.GetProperty("target_position_id").Ints()),
                        Enumerable.Range(0, context.Ids.Length + room).Select(i => model.PositionOf(i, context.Place).Token));
                    Assert.Equal(sample.GetProperty("attention_mask").EnumerateArray().Select(row => row.GetString()),
                        Enumerable.Range(0, context.Ids.Length).Select(row => string.Concat(Enumerable.Range(0, context.Ids.Length).Select(key => key < context.Place.Division || key <= row ? '1' : '0'))));
                }
                foreach (var output in group.GetProperty("outputs").EnumerateObject())
                {
                    var generation = new GenerationOptions
                    {
                        MaxNewTokens = room,
                        NumBeams = output.Name == "beam" ? config.GetProperty("num_beams").GetInt32() : 1,
                        LengthPenalty = config.GetProperty("length_penalty").GetDouble(),
                        NoRepeatNgramSize = config.GetProperty("no_repeat_ngram_size").GetInt32(),
                        MinNewTokens = config.GetProperty("min_gen_length").GetInt32(),
                    };
                    foreach (var answer in local.Generate(prompts, [.. Enumerable.Range(0, prompts.Length)], options, generation))
                    {
                        Assert.Equal(output.Value[answer.Item].IntLists(), answer.Value!.Ids!);
                        compared++;
                    }
                }
            }
        }
        Assert.True(compared > 0);
    }

    [Fact]
    public void Texts_are_read_as_the_original_does()
    {
        foreach (var (path, root) in EvaluationReference.Files(root => root.TryGetProperty("items", out var items) && items[0].TryGetProperty("windows", out _)))
        {
            var (model, special) = Load(Path.Combine(TestFiles.Reference, "glm130b-tiny", "weights.safetensors"), root);
            using var local = new LocalModel(model, _workers, special, null, Identity);
            foreach (var item in root.GetProperty("items").EnumerateArray())
            {
                var config = item.GetProperty("config");
                var answer = local.Read([item.GetProperty("text_ids").Ints()], [0], Reading(config), config.GetProperty("generation_length").GetInt32()).Single().Value!;
                Assert.Equal(item.GetProperty("loss_sum").GetDouble(), answer.Nats, 1e-2 * item.GetProperty("windows").GetArrayLength());
                var result = new ItemResult { File = 0, Item = 0, Nats = answer.Nats, Words = item.GetProperty("num_original_tokens").GetInt32() };
                Assert.Equal(1, Metric.Find("PPL")!.Of([result]) / item.GetProperty("PPL").GetDouble(), 1e-3);
            }
        }
    }

    private static ModelIdentity Identity { get; } = new() { Name = "tiny", Location = "tiny" };

    private static IEnumerable<JsonElement> Groups(JsonElement root) =>
        root.TryGetProperty("groups", out var groups) ? groups.EnumerateArray() : [];

    private static ReadingOptions Reading(JsonElement config)
    {
        bool Is(string name) => config.TryGetProperty(name, out var value) && value.GetBoolean();
        return new ReadingOptions
        {
            UseTaskMask = Is("use_task_mask"), UseMultitaskEncoding = Is("use_multitask_encoding"), Unidirectional = Is("unidirectional"), MaxSequenceLength = config.GetProperty("max_seq_length").GetInt32(),
        };
    }

    private static (Glm130B Model, SpecialTokens Special) Load(string weights, JsonElement root)
    {
        var config = Glm130BConfig.Load(Path.Combine(TestFiles.Reference, "glm130b-tiny", "config.json")) with { RotaryMode = RotaryMode.Fp16InverseFrequency };
        var file = SafetensorsFile.Open(weights);
        var ids = root.GetProperty("special_tokens").EnumerateObject().ToDictionary(token => token.Name, token => token.Value.GetInt32());
        var blanks = new BlankTokens(ids["[MASK]"], ids["[gMASK]"], ids["[sMASK]"], ids["sop"], ids["eop"], ids["eos"]);
        return (new Glm130B(config, name => file[name]), new SpecialTokens { Names = ids, End = [blanks.Eop, blanks.Eos], Blanks = blanks });
    }

    /// <summary>The original's one sequence of all choices, laid out from ours.</summary>
    private static void RequireEqual(JsonElement sample, ContextChoices ours, Glm130B model, BlankTokens blanks)
    {
        bool single = sample.GetProperty("choices")[0].ValueKind == JsonValueKind.Number;
        int[][] branches = single ? [[blanks.Sop]] : [.. ours.Choices.Select(choice => (int[])[blanks.Sop, .. choice[..^1]])];
        Assert.Equal(sample.GetProperty("token").Ints(), ours.Context.Concat(branches.SelectMany(branch => branch)));
        int length = ours.Context.Length;
        var positions = Enumerable.Range(0, length).Concat(branches.SelectMany(branch =>
            Enumerable.Range(0, branch.Length).Select(i => ours.FromMask ? ours.Place.Mask + i : model.PositionOf(length + i, ours.Place).Token)));
        Assert.Equal(sample.GetProperty("position_id").Ints(), positions);
        var owners = Enumerable.Repeat(-1, length).Concat(branches.SelectMany((branch, i) => Enumerable.Repeat(i, branch.Length))).ToArray();
        Assert.Equal(sample.GetProperty("attention_mask").EnumerateArray().Select(row => row.GetString()),
            owners.Select((owner, row) => string.Concat(owners.Select((other, key) => other < 0 || (other == owner && key <= row) ? '1' : '0'))));
        int at = length;
        int[][] targets = single ? [[length]] : [.. branches.Select(branch => Enumerable.Range((at += branch.Length) - branch.Length, branch.Length).ToArray())];
        Assert.Equal(single ? [sample.GetProperty("choice_target_ids").Ints()] : sample.GetProperty("choice_target_ids").IntLists(), targets);
    }
}
