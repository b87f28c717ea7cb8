using Glm.Tensors;
using System.Text.Json;
using Glm.Tests;

namespace Glm.Training.Tests;

/// <summary>
/// Samples equal, number by number, those of the original code (<c>training-data-glm130b</c>, <c>training-data-glm</c>), given the
/// random draws that it recorded.
/// </summary>
public class ReferenceSampleTests
{
    public static TheoryData<string, string> Groups(string folder, string file)
    {
        var data = new TheoryData<string, string>();
        string path = Path.Combine(TestFiles.Reference, folder, file);
        if (!File.Exists(path)) throw new FileNotFoundException("the reference vectors are missing", path);
        foreach (JsonElement group in Read(path).GetProperty("groups").EnumerateArray())
            data.Add(path, group.GetProperty("name").GetString()!);
        return data;
    }

    [Theory]
    [MemberData(nameof(Groups), "training-data-glm130b", "pretraining_samples.json")]
    public void Pretraining_rows_equal_the_original(string path, string name)
    {
        JsonElement root = Read(path), group = Group(root, name);
        var objective = new GlmObjective(Options130B(root, group.GetProperty("config")), seed: 0);
        foreach (JsonElement call in group.GetProperty("calls").EnumerateArray())
        {
            var random = new ReplayedRandom(call.GetProperty("rng_trace"));
            TrainingSample sample = objective.Build(Ints(call, "input_ids"), random);
            random.AssertFinished();
            AssertEqual(call, sample);
            Assert.Equal(call.GetProperty("task_type").GetInt32(), (int)sample.Task);
        }
    }

    [Theory]
    [MemberData(nameof(Groups), "training-data-glm130b", "multitask_samples.json")]
    public void Multitask_rows_equal_the_original(string path, string name)
    {
        JsonElement root = Read(path), group = Group(root, name);
        var objective = new GlmObjective(Options130B(root, group.GetProperty("config")), seed: 0);
        List<(int[], int[])> pairs = [.. group.GetProperty("inputs").EnumerateArray().Select(pair => (Ints(pair, "text"), Ints(pair, "target")))];
        var random = new ReplayedRandom(group.GetProperty("rng_trace"));
        TrainingSample sample = group.GetProperty("greedy").GetBoolean() ? objective.BuildMultitaskGreedy(pairs, random) : objective.BuildMultitask(pairs, random);
        random.AssertFinished();
        AssertEqual(group, sample);
        Assert.Equal(TrainingTask.Multitask, sample.Task);
    }

    [Theory]
    [MemberData(nameof(Groups), "training-data-glm", "block_masking.json")]
    public void Batches_of_the_small_models_equal_the_original(string path, string name)
    {
        JsonElement root = Read(path), group = Group(root, name);
        var objective = new GlmBlockObjective(OptionsSmall(root, group.GetProperty("config")));
        foreach (JsonElement call in group.GetProperty("calls").EnumerateArray())
        {
            var random = new ReplayedRandom(call.GetProperty("rng_trace"));
            List<DocumentSample> samples = [.. call.GetProperty("samples").EnumerateArray().Select(s => new DocumentSample(Ints(s, "text"), Bytes(Ints(s, "loss_mask"))))];
            TrainingBatch batch = objective.Build(samples, random);
            random.AssertFinished();
            AssertEqual(call, batch);
        }
    }

    private static void AssertEqual(JsonElement expected, TrainingSample sample)
    {
        Assert.Equal(Ints(expected, "tokens"), sample.Tokens);
        Assert.Equal(Ints(expected, "targets"), sample.Targets);
        Assert.Equal(Bytes(Ints(expected, "loss_masks")), sample.LossMask);
        JsonElement positions = expected.GetProperty("position_ids");
        if (positions[0].ValueKind == JsonValueKind.Array)
        {
            Assert.Equal(positions[0].Deserialize<int[]>(), sample.Positions);
            Assert.Equal(positions[1].Deserialize<int[]>(), sample.BlockPositions);
        }
        else
        {
            Assert.Equal(positions.Deserialize<int[]>(), sample.Positions);
            Assert.Null(sample.BlockPositions);
        }
        JsonElement divisions = expected.GetProperty("division");
        if (divisions[0].ValueKind == JsonValueKind.Array)
        {
            Assert.Equal(divisions[1].Deserialize<int[]>(), sample.Segments.Select(s => s.Length));
            divisions = divisions[0];
        }
        Assert.Equal(divisions.Deserialize<int[]>(), sample.Segments.Select(s => s.Division));
        if (expected.TryGetProperty("attention_mask_blocked", out JsonElement blocked))
            Assert.Equal(blocked.Deserialize<string[]>(), BlockedRows(sample));
    }

    private static void AssertEqual(JsonElement expected, TrainingBatch batch)
    {
        Assert.Equal(Rows(expected, "text"), batch.Tokens);
        Assert.Equal(Rows(expected, "target"), batch.Targets);
        Assert.Equal(Bytes(Rows(expected, "loss_mask")), batch.LossMask);
        JsonElement[] positions = [.. expected.GetProperty("position_id").EnumerateArray()];
        Assert.Equal(positions.SelectMany(row => row[0].Deserialize<int[]>()!), batch.Positions);
        Assert.Equal(positions.SelectMany(row => row[1].Deserialize<int[]>()!), batch.BlockPositions!);
        Assert.Equal(Ints(expected, "attention_mask_sep"), batch.Segments.Select(s => s.Division));
        Assert.Equal(Enumerable.Range(0, batch.Rows).Select(row => (row * batch.SequenceLength, batch.SequenceLength)), batch.Segments.Select(s => (s.Start, s.Length)));
        TrainingTask task = expected.GetProperty("mode").GetString() switch
        {
            "bert" => TrainingTask.ShortSpans,
            "sentence" => TrainingTask.Sentences,
            "gpt" => TrainingTask.Generation,
            string other => throw new InvalidDataException($"unknown mode {other}"),
            null => throw new InvalidDataException("no mode"),
        };
        Assert.All(batch.Tasks, found => Assert.Equal(task, found));
    }

    /// <summary>The dense mask of a row, "1" where a query (row) must not see a key (column).</summary>
    private static string[] BlockedRows(TrainingSample sample)
    {
        var rows = new string[sample.Length];
        foreach (AttentionSegment segment in sample.Segments)
            for (int i = segment.Start; i < segment.Start + segment.Length; i++)
                rows[i] = string.Concat(Enumerable.Range(0, sample.Length).Select(j =>
                    j >= segment.Start && j < segment.Start + segment.Length && (j < segment.Start + segment.Division || j <= i) ? '0' : '1'));
        return rows;
    }

    private static GlmObjectiveOptions Options130B(JsonElement root, JsonElement config)
    {
        Assert.False(config.GetProperty("relative_pos_encoding").GetBoolean());
        int Int(string name) => config.GetProperty(name).GetInt32();
        double Number(string name) => config.GetProperty(name).GetDouble();
        bool Flag(string name) => config.GetProperty(name).GetBoolean();
        return new GlmObjectiveOptions
        {
            MaskId = Int("mask_id"), GmaskId = Int("gmask_id"), SmaskId = Int("smask_id"), SopId = Int("sop_id"), EopId = Int("eop_id"), EodId = Int("eod_id"),
            SentenceEndIds = SentenceEnds(root),
            MaxSeqLength = Int("max_seq_length"), SamplesPerRow = Int("aggregated_samples_per_sequence"),
            GptProb = Number("gpt_prob"), SentProb = Number("sent_prob"), ShortSeqProb = Number("short_seq_prob"), SingleSpanProb = Number("single_span_prob"),
            MaskProb = Number("mask_ratio"), AverageBlockLength = Number("average_block_length"), MinGmaskRatio = Number("min_gmask_ratio"),
            No2dEncoding = Flag("no_2d_encoding"), AggregateGptSample = Flag("aggregate_gpt_sample"),
            UnifiedMultitaskEncoding = Flag("unified_multitask_encoding"), AdaptiveMultitaskEncoding = Flag("adaptive_multitask_encoding"),
            AdaptiveMultitaskEncodingLength = Number("adaptive_multitask_encoding_length"),
        };
    }

    private static GlmBlockOptions OptionsSmall(JsonElement root, JsonElement config)
    {
        JsonElement commands = root.GetProperty("command_ids");
        int Id(string name) => commands.GetProperty(name).GetInt32();
        var options = new GlmBlockOptions
        {
            MaskId = Id("MASK"), GmaskId = Id("gMASK"), SmaskId = Id("sMASK"), SopId = Id("sop"), EopId = Id("eop"), EncId = Id("ENC"), EosId = Id("eos"),
            SentenceEndIds = SentenceEnds(root),
            Sentinels = [.. Enumerable.Range(1, 7).Select(i => (Id($"MASK{i}"), Id($"sop{i}")))],
        };
        foreach (JsonProperty setting in config.EnumerateObject())
            options = setting.Name switch
            {
                "max_seq_length" => options with { MaxSeqLength = setting.Value.GetInt32() },
                "bert_prob" => options with { BertProb = setting.Value.GetDouble() },
                "gap_sentence_prob" => options with { GapSentenceProb = setting.Value.GetDouble() },
                "gpt_infill_prob" => options with { GptInfillProb = setting.Value.GetDouble() },
                "gpt_min_ratio" => options with { GptMinRatio = setting.Value.GetDouble() },
                "bert_ratio" => options with { BertRatio = setting.Value.GetDouble() },
                "gap_sentence_ratio" => options with { GapSentenceRatio = setting.Value.GetDouble() },
                "average_block_length" => options with { AverageBlockLength = setting.Value.GetDouble() },
                "single_span_prob" => options with { SingleSpanProb = setting.Value.GetDouble() },
                "short_seq_prob" => options with { ShortSeqProb = setting.Value.GetDouble() },
                "block_position_encoding" => options with { BlockPositionEncoding = setting.Value.GetBoolean() },
                "shuffle_blocks" => options with { ShuffleBlocks = setting.Value.GetBoolean() },
                "sentinel_token" => options with { SentinelToken = setting.Value.GetBoolean() },
                "task_mask" => options with { TaskMask = setting.Value.GetBoolean() },
                _ => throw new InvalidDataException($"unknown setting {setting.Name}"),
            };
        return options;
    }

    private static HashSet<int> SentenceEnds(JsonElement root) =>
        root.TryGetProperty("sentence_end_ids", out JsonElement ids) ? [.. ids.EnumerateObject().Select(id => int.Parse(id.Name))] : [];

    private static JsonElement Read(string path) => JsonDocument.Parse(File.ReadAllBytes(path)).RootElement;

    private static JsonElement Group(JsonElement root, string name) =>
        root.GetProperty("groups").EnumerateArray().Single(group => group.GetProperty("name").GetString() == name);

    private static int[] Ints(JsonElement element, string name) => element.GetProperty(name).Deserialize<int[]>()!;

    private static int[] Rows(JsonElement element, string name) => [.. element.GetProperty(name).EnumerateArray().SelectMany(row => row.Deserialize<int[]>()!)];

    private static byte[] Bytes(int[] numbers) => [.. numbers.Select(number => checked((byte)number))];
}
