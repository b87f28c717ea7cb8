using Glm.Distributed;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Training.Tests;

/// <summary>A run over several ranks equals that of one, whatever the layout; its checkpoints go on at any other.</summary>
public sealed class ParallelTrainerTests
{
    /// <summary>20 steps of 4 micro-batches, in float32 without dropout.</summary>
    private const string Options = """, "train_samples": 160, "global_batch": 8, "hidden_dropout": 0, "attention_dropout": 0, "save_interval": 100, "eval_interval": 10""";

    private static readonly Lazy<(TinyRun Run, IReadOnlyList<StepLog> Log)> One = new(() =>
    {
        var run = new TinyRun(Options);
        Train(run, 1);
        return (run, RunLog.Read(run.In("run/log.jsonl")));
    });

    /// <summary>Tensor ranks, stages, data ranks, other options.</summary>
    public static TheoryData<int, int, int, string> Layouts => new()
    {
        { 2, 1, 1, "" },
        { 1, 2, 1, "" },
        { 1, 1, 2, "" },
        { 1, 2, 1, """, "pipeline_schedule": "gpipe" """ },
        { 1, 4, 1, "" },
        { 1, 1, 3, "" }, // shares of unequal size, and of micro-batches
        { 2, 2, 2, "" },
        { 2, 2, 2, """, "recompute": true, "pipeline_schedule": "gpipe" """ },
    };

    [Theory]
    [MemberData(nameof(Layouts))]
    public void A_parallel_run_equals_that_of_one_process(int tensors, int stages, int data, string options)
    {
        using var run = new TinyRun($"{Options}, \"tensor_parallel\": {tensors}, \"pipeline_parallel\": {stages}{options}");
        Train(run, tensors * stages * data);
        RequireSame(One.Value.Log, RunLog.Read(run.In("run/log.jsonl")));
        RequireSameModel(One.Value.Run, run);
    }

    [Theory]
    [InlineData(2, 1, 1)]
    [InlineData(1, 2, 1)]
    [InlineData(1, 1, 2)]
    [InlineData(2, 2, 2)]
    public void First_gradients_are_those_of_one_process(int tensors, int stages, int data)
    {
        // The moments after one step are the gradients, clipped by the same norm: mean = (1 - beta1) g.
        using TinyRun one = new(Options + """, "train_samples": 8, "warmup_samples": 0, "clip_grad": 1e9"""), run = new($"{Options}, \"train_samples\": 8, \"warmup_samples\": 0, \"clip_grad\": 1e9, \"tensor_parallel\": {tensors}, \"pipeline_parallel\": {stages}");
        Train(one, 1);
        Train(run, tensors * stages * data);
        TrainingCheckpoint expected = Newest(one), found = Newest(run);
        foreach (string name in expected.Names)
        {
            float[] a = expected.Read("mean", name).ToArray(), b = found.Read("mean", name).ToArray();
            for (int i = 0; i < a.Length; i++) Assert.InRange(Math.Abs(a[i] - b[i]) * 10, 0, 1e-5 + (1e-3 * Math.Abs(a[i]) * 10));
        }
    }

    [Fact]
    public void Dropout_does_not_depend_on_the_layout()
    {
        const string dropout = Options + """, "train_samples": 24, "hidden_dropout": 0.1, "attention_dropout": 0.1""";
        using TinyRun one = new(dropout), parallel = new(dropout + """, "tensor_parallel": 2, "pipeline_parallel": 2""");
        Train(one, 1);
        Train(parallel, 8);
        RequireSame(RunLog.Read(one.In("run/log.jsonl")), RunLog.Read(parallel.In("run/log.jsonl")));
    }

    [Theory]
    [InlineData(2, 2, 2, 1, 1, 1)]
    [InlineData(1, 1, 1, 2, 2, 1)]
    [InlineData(2, 1, 2, 1, 2, 3)]
    public void A_run_goes_on_at_another_layout(int tensors, int stages, int data, int otherTensors, int otherStages, int otherData)
    {
        const string half = Options + """, "decay_samples": 160, "train_samples": """;
        using var run = new TinyRun($"{half} 80, \"tensor_parallel\": {tensors}, \"pipeline_parallel\": {stages}");
        Train(run, tensors * stages * data);
        var config = run.Config with { TrainSamples = 160, TensorParallel = otherTensors, PipelineParallel = otherStages };
        Train(config, otherTensors * otherStages * otherData, resume: true);
        RequireSame(One.Value.Log, RunLog.Read(run.In("run/log.jsonl")));
        RequireSameModel(One.Value.Run, run);
    }

    [Fact]
    public void A_parallel_run_repeats_and_resumes_bit_for_bit()
    {
        const string options = Options + """, "train_samples": 48, "save_interval": 2, "hidden_dropout": 0.1, "tensor_parallel": 2, "pipeline_parallel": 2""";
        using TinyRun straight = new(options), stopped = new(options);
        Train(straight, 8);
        Train(stopped.Config with { TrainSamples = 24, DecaySamples = 48 }, 8);
        Train(stopped.Config, 8, resume: true);
        foreach (string name in Newest(straight).Names) Assert.Equal(Newest(straight)[name].ToArray(), Newest(stopped)[name].ToArray());
    }

    /// <summary>Ranks go back together, and to the same place, under a loss scale as well.</summary>
    [Theory]
    [InlineData("")]
    [InlineData(""", "precision": "float16" """)]
    public void Ranks_roll_back_together(string precision)
    {
        const string options = """, "spikes": { "reaction": "rollback", "window": 6, "loss_rise": 0.4 }, "hidden_dropout": 0, "attention_dropout": 0, "global_batch": 8, "tensor_parallel": """;
        using TinyRun one = TinyRun.WithNoise($"{options} 1{precision}"), four = TinyRun.WithNoise($"{options} 2{precision}");
        Train(one, 1);
        Train(four, 4);
        Assert.Contains(RunEvents.Read(four.In("run/events.jsonl")), happened => happened.Kind == "rollback");
        if (precision.Length == 0) Assert.Equal(RunEvents.Read(one.In("run/events.jsonl")).Select(happened => (happened.Kind, happened.Step)), RunEvents.Read(four.In("run/events.jsonl")).Select(happened => (happened.Kind, happened.Step)));
    }

    [Fact]
    public void A_checkpoint_is_a_model()
    {
        using var run = new TinyRun(Options + """, "train_samples": 16, "tensor_parallel": 2, "pipeline_parallel": 2""");
        Train(run, 8);
        string checkpoint = Newest(run).Path, converted = run.In("converted");
        var model = ModelDirectory.Load(checkpoint);
        using var workers = new Workers(1);
        ModelConversion.Run(checkpoint, converted, new ConversionOptions { Format = ConversionFormat.Sat, TensorParallel = 2 }, workers);
        foreach (var ((name, a), (_, b)) in model.Parameters.Zip(ModelDirectory.Load(converted).Parameters)) Assert.True(a.To(b.Type).ToArray().SequenceEqual(b.ToArray()), name);
    }

    [Theory]
    [InlineData("{}", "layout")]
    [InlineData("""{ "layout": { "tensor_parallel": 2000000, "data_parallel": 2000000, "pipeline_parallel": 2 } }""", "layout")]
    [InlineData("""{ "layout": { "tensor_parallel": 2, "data_parallel": 1, "pipeline_parallel": 1 } }""", "expected at most")]
    [InlineData("not json", "not the state of a checkpoint")]
    public void A_checkpoint_that_is_not_whole_is_refused(string state, string reason)
    {
        using var run = new TinyRun(Options + """, "train_samples": 16""");
        Train(run, 1);
        string checkpoint = Newest(run).Path;
        File.WriteAllText(Path.Combine(checkpoint, TrainingCheckpoint.StateFile), state);
        Assert.Contains(reason, Assert.Throws<GlmException>(() => ModelDirectory.Load(checkpoint)).Message);
    }

    [Fact]
    public void Some_checkpoints_are_kept()
    {
        using var run = new TinyRun(Options + """, "train_samples": 80, "save_interval": 1, "keep_checkpoints": 3, "keep_interval": 4""");
        Directory.CreateDirectory(run.In("run/checkpoints/.step-00000099.tmp"));
        Train(run, 2);
        Assert.Equal([4, 8, 9, 10], Directory.GetDirectories(run.In("run/checkpoints"), "step-*").Select(path => int.Parse(Path.GetFileName(path)[5..])).Order());
        Train(run.Config with { TrainSamples = 96, DecaySamples = 80 }, 1, resume: true);
        Assert.Empty(Directory.GetDirectories(run.In("run/checkpoints"), ".step-*"));
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        using var run = new TinyRun(Options + """, "tensor_parallel": 2""");
        Assert.Contains("expected a divisor of the 3 ranks", Assert.Throws<GlmException>(() => Train(run, 3)).Message);
    }

    /// <summary>Losses equal to 1e-4, the first one and its gradient's norm to 1e-6.</summary>
    private static void RequireSame(IReadOnlyList<StepLog> expected, IReadOnlyList<StepLog> found)
    {
        Assert.Equal(expected.Count, found.Count);
        for (int i = 0; i < expected.Count; i++)
        {
            double tolerance = i == 0 ? 1e-6 : 1e-4;
            Close(expected[i].Loss, found[i].Loss, tolerance);
            Close(expected[i].SpanLoss ?? 0, found[i].SpanLoss ?? 0, tolerance);
            Close(expected[i].SuffixLoss ?? 0, found[i].SuffixLoss ?? 0, tolerance);
            Close(expected[i].GradientNorm, found[i].GradientNorm, i == 0 ? 1e-5 : 1e-2);
            Assert.Equal(expected[i].Validation?.Length, found[i].Validation?.Length);
            if (expected[i].Validation is { } losses) Close(losses[0], found[i].Validation![0], 1e-4);
        }

        static void Close(double a, double b, double tolerance) => Assert.InRange(b, a - (tolerance * Math.Abs(a)), a + (tolerance * Math.Abs(a)));
    }

    private static void RequireSameModel(TinyRun expected, TinyRun found)
    {
        TrainingCheckpoint a = Newest(expected), b = Newest(found);
        foreach (string name in a.Names)
        {
            float[] x = a[name].ToArray(), y = b[name].ToArray();
            Assert.Equal(x.Length, y.Length);
            // Adam moves an element by the rate, whatever the size of its gradient: where that is rounding alone, its sign is an accident.
            Assert.InRange(x.Zip(y, (u, v) => Math.Abs(u - v)).Average(), 0, 1e-4);
        }
    }

    private static TrainingCheckpoint Newest(TinyRun run) => TrainingCheckpoint.At(Directory.GetDirectories(run.In("run/checkpoints"), "step-*").Order(StringComparer.Ordinal).Last());

    private static void Train(TinyRun run, int ranks) => Train(run.Config, ranks);

    private static void Train(TrainingConfig config, int ranks, bool resume = false) => InProcessJob.Run(ranks, world =>
    {
        using var workers = new Workers(1);
        using var trainer = new Trainer(config, workers, world);
        if (resume) trainer.Resume(message => Assert.Fail(message));
        trainer.Run(null, default);
    });
}
