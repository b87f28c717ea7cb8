using Glm.Tensors;
using FsCheck;
using FsCheck.Fluent;

namespace Glm.Training.Tests;

public class GlmObjectiveTests
{
    private const int Mask = 1000, Gmask = 1001, Smask = 1002, Sop = 1003, Eop = 1004, Eod = 1005, SentenceEnd = 7;

    private static readonly GlmObjectiveOptions Standard = new()
    {
        MaskId = Mask, GmaskId = Gmask, SmaskId = Smask, SopId = Sop, EopId = Eop, EodId = Eod, SentenceEndIds = new HashSet<int> { SentenceEnd },
    };

    private static GlmObjectiveOptions Small(double gpt, double sentences = 0) =>
        Standard with { MaxSeqLength = 512, GptProb = gpt, SentProb = sentences };

    /// <summary>Ids that tell their place: 10, 11, 12, … with some sentence ends.</summary>
    private static int[] Row(int length) => [.. Enumerable.Range(0, length).Select(i => i % 13 == 12 ? SentenceEnd : 10 + i)];

    [Theory]
    [InlineData(0.0)]
    [InlineData(1.0)]
    public void Filling_the_blanks_gives_back_the_text(double sentences) =>
        Prop.ForAll<uint>(index =>
        {
            // Parts of 128 hold a text of 64 with all its targets (at most 64 + 2 * 32), so nothing is cut off.
            int[] row = Row(256);
            TrainingSample sample = new GlmObjective(Small(gpt: 0, sentences), seed: 5).Build(row, index);
            return sample.Segments.Select((segment, part) => Fill(sample, segment, row.AsSpan(part * 64, 64).ToArray())).All(filled => filled);
        }).QuickCheckThrowOnFailure();

    /// <summary>
    /// Puts each target where its mask stands (the position tells which) and compares with the text, or its beginning where the part
    /// was cut short. Checks that short spans do not touch, that labels are the inputs one step ahead, and the loss mask.
    /// </summary>
    private static bool Fill(TrainingSample sample, AttentionSegment segment, int[] text)
    {
        int context = segment.Division;
        int[] tokens = sample.Tokens.AsSpan(segment.Start, segment.Length).ToArray(), targets = sample.Targets.AsSpan(segment.Start, segment.Length).ToArray();
        int[] positions = sample.Positions.AsSpan(segment.Start, segment.Length).ToArray();
        byte[] loss = sample.LossMask.AsSpan(segment.Start, segment.Length).ToArray();
        var blanks = new Dictionary<int, List<int>>();
        int at = context;
        while (at < tokens.Length && loss[at] == 1)
        {
            if (tokens[at] != Sop || blanks.ContainsKey(positions[at])) return false;
            List<int> blank = blanks[positions[at]] = [];
            for (; targets[at] != Eop; at++)
            {
                blank.Add(targets[at]);
                if (tokens[at + 1] != targets[at] || positions[at + 1] != positions[at] || loss[at + 1] != 1) return false;
            }
            at++;
        }
        bool paddingIsZero = tokens[at..].All(t => t == 0) && targets[at..].All(t => t == 0) && loss[at..].All(l => l == 0) && positions[at..].All(p => p == 0);
        bool contextIsPlain = Enumerable.Range(0, context).All(i => positions[i] == i && targets[i] == tokens[i] && loss[i] == 0);

        var filled = new List<int>();
        for (int i = 0; i < context; i++)
            if (tokens[i] is Mask or Smask) filled.AddRange(blanks.Remove(i, out List<int>? blank) ? blank : [-1]);
            else filled.Add(tokens[i]);
        bool touching = Enumerable.Range(1, context - 1).Any(i => tokens[i] == Mask && tokens[i - 1] == Mask);
        return paddingIsZero && contextIsPlain && !touching && blanks.Count == 0 && filled.SequenceEqual(text[..filled.Count]) && filled.Count >= Math.Min(32, text.Length);
    }

    [Fact]
    public void A_long_suffix_follows_its_prefix() =>
        Prop.ForAll<uint>(index =>
        {
            int[] row = Row(500);
            TrainingSample sample = new GlmObjective(Small(gpt: 1), seed: 5).Build(row, index);
            AttentionSegment segment = sample.Segments.Single();
            int prefix = segment.Division - 1, suffix = 500 - prefix;
            return suffix is >= 100 and <= 500
                && segment is { Start: 0, Length: 512 }
                && sample.Tokens[..501].SequenceEqual([.. row[..prefix], Gmask, Sop, .. row[prefix..^1]])
                && sample.Targets[..501].SequenceEqual([.. row[..prefix], Gmask, .. row[prefix..]])
                && sample.LossMask.Select((loss, i) => loss == (i > prefix && i < 501 ? 1 : 0)).All(right => right)
                && sample.Positions.SequenceEqual(Enumerable.Range(0, 512));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_row_of_the_130B_run_loses_a_third_of_its_short_span_targets()
    {
        var objective = new GlmObjective(Standard with { GptProb = 0, ShortSeqProb = 0 }, seed: 3);
        int[] row = Row(2000);
        int kept = 0, drawn = 0;
        for (int index = 0; index < 200; index++)
        {
            TrainingSample sample = objective.Build(row, index);
            kept += sample.LossMask.Count(loss => loss == 1);
            foreach (AttentionSegment segment in sample.Segments)
            {
                int masks = sample.Tokens.AsSpan(segment.Start, segment.Division).Count(Mask);
                drawn += 500 - segment.Division + 2 * masks;
            }
        }
        // Spec section 3.3: 36 % are cut off.
        Assert.Equal(0.36, 1 - kept / (double)drawn, 0.02);
    }

    [Fact]
    public void Rows_are_mixed_as_set()
    {
        var objective = new GlmObjective(Standard with { MaxSeqLength = 512, GptProb = 0.6, SentProb = 0.1 }, seed: 3);
        int[] row = Row(500);
        ILookup<TrainingTask, int> tasks = Enumerable.Range(0, 4000).ToLookup(index => objective.Build(row, index).Task);
        Assert.InRange(tasks[TrainingTask.Generation].Count(), 2280, 2520);
        Assert.InRange(tasks[TrainingTask.ShortSpans].Count(), 1080, 1320);
        Assert.InRange(tasks[TrainingTask.Sentences].Count(), 330, 470);
    }

    [Fact]
    public void A_sample_depends_on_seed_and_index_alone()
    {
        var objective = new GlmObjective(Small(gpt: 0.5), seed: 11);
        int[] row = Row(500);
        int[][] forward = [.. Enumerable.Range(0, 20).Select(i => objective.Build(row, i).Tokens)];
        int[][] backward = [.. Enumerable.Range(0, 20).Reverse().Select(i => objective.Build(row, i).Tokens).Reverse()];
        Assert.Equal(forward, backward);
        Assert.NotEqual(forward[0], new GlmObjective(Small(gpt: 0.5), seed: 12).Build(row, 0).Tokens);
        Assert.Equal(20, forward.Select(tokens => string.Join(",", tokens)).Distinct().Count());
    }

    [Fact]
    public void Spans_longer_than_a_short_text_are_shortened()
    {
        var objective = new GlmObjective(Small(gpt: 0) with { MaxSeqLength = 64, MaskProb = 1, AverageBlockLength = 20 }, seed: 1);
        for (int index = 0; index < 500; index++)
            Assert.All(objective.Build(Row(32), index).Segments, segment => Assert.InRange(segment.Division, 1, 8));
    }

    /// <summary>P(X > n + 1), X Poisson with mean 5, decides whether a target of n tokens stays at the mask's position.</summary>
    [Theory]
    [InlineData(1, 0.8753)] // 1 - P(X <= 2)
    [InlineData(5, 0.2378)] // 1 - P(X <= 6)
    [InlineData(39, 0.0)]
    public void Adaptive_encoding_keeps_short_targets_at_the_mask(int targetLength, double probability)
    {
        var objective = new GlmObjective(Standard with { MaxSeqLength = 64, SamplesPerRow = 1, AdaptiveMultitaskEncoding = true }, seed: 0);
        int[] text = Row(10), target = Row(targetLength);
        int stayed = 0;
        for (int index = 0; index < 4000; index++)
        {
            TrainingSample sample = objective.BuildMultitask([(text, target)], new CounterRandomSource(4, index));
            if (sample.Positions[12] == 10) stayed++;
            else Assert.Equal([.. Enumerable.Range(0, 11), .. Enumerable.Range(10, targetLength + 1)], sample.Positions[..(12 + targetLength)]);
        }
        Assert.Equal(probability, stayed / 4000.0, 0.03);
    }

    [Fact]
    public void A_prompt_with_its_own_mask_gets_its_target_there()
    {
        var objective = new GlmObjective(Standard with { MaxSeqLength = 16, SamplesPerRow = 1 }, seed: 0);
        TrainingSample sample = objective.BuildMultitask([([20, 21, Mask, 22], [30, 31])], new CounterRandomSource(0, 0));
        Assert.Equal([20, 21, Mask, 22, Sop, 30, 31], sample.Tokens[..7]);
        Assert.Equal([20, 21, Mask, 22, 30, 31, Eop], sample.Targets[..7]);
        Assert.Equal([0, 1, 2, 3, 2, 2, 2], sample.Positions[..7]);
        Assert.Equal(new AttentionSegment(0, 16, 4), sample.Segments.Single());
    }

    [Fact]
    public void A_batch_stacks_rows_with_their_segments()
    {
        var objective = new GlmObjective(Small(gpt: 0.5), seed: 2);
        TrainingSample[] samples = [.. Enumerable.Range(0, 5).Select(i => objective.Build(Row(500), i))];
        TrainingBatch batch = TrainingBatch.Stack(samples);
        Assert.Equal(samples.SelectMany(s => s.Tokens), batch.Tokens);
        Assert.Equal(samples.SelectMany(s => s.Targets), batch.Targets);
        Assert.Equal(samples.SelectMany(s => s.Positions), batch.Positions);
        Assert.Equal(samples.SelectMany(s => s.LossMask), batch.LossMask);
        Assert.Equal(samples.Select(s => s.Task), batch.Tasks);
        Assert.Null(batch.BlockPositions);
        for (int row = 0; row < 5; row++)
            Assert.Equal(samples[row].Segments, batch.Segments[batch.SegmentOffsets[row]..batch.SegmentOffsets[row + 1]].Select(s => s with { Start = s.Start - row * 512 }));
        Assert.Throws<ArgumentException>(() => TrainingBatch.Stack([]));
        Assert.Throws<ArgumentException>(() => TrainingBatch.Stack([samples[0], new GlmObjective(Standard, 0).Build(Row(500), 0)]));
    }

    [Fact]
    public void Impossible_settings_and_rows_are_refused()
    {
        Refused("MaxSeqLength", () => new GlmObjective(Standard with { MaxSeqLength = 2047 }, 0));
        Refused("GptProb", () => new GlmObjective(Standard with { GptProb = double.NaN }, 0));
        Refused("SentProb", () => new GlmObjective(Standard with { GptProb = 0.7, SentProb = 0.4 }, 0));
        Refused("SentenceEndIds", () => new GlmObjective(Standard with { GptProb = 0.7, SentProb = 0.1, SentenceEndIds = new HashSet<int>() }, 0));
        Refused("AverageBlockLength", () => new GlmObjective(Standard with { AverageBlockLength = 0 }, 0));
        Refused("found 2048", () => new GlmObjective(Standard, 0).Build(new int[2048], 0));
        Refused("multiple of SamplesPerRow = 4", () => new GlmObjective(Standard with { GptProb = 0 }, 0).Build(new int[501], 0));
        Refused("4 pairs", () => new GlmObjective(Standard, 0).BuildMultitask([([1], [2])], new CounterRandomSource(0, 0)));
        Refused("found none", () => new GlmObjective(Standard, 0).BuildMultitaskGreedy([], new CounterRandomSource(0, 0)));
        Refused("pair 0", () => new GlmObjective(Standard, 0).BuildMultitaskGreedy([(new int[2048], [2]), ([1], [2])], new CounterRandomSource(0, 0)));
    }

    private static void Refused(string reason, Action action) => Assert.Contains(reason, Assert.Throws<GlmException>(action).Message);
}
