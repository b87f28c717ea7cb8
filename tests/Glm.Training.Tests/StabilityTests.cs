using System.Text.RegularExpressions;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Training.Tests;

/// <summary>Binary16 runs and their loss scale, spikes and what follows them, data that is skipped.</summary>
public sealed partial class StabilityTests
{
    [Theory]
    [InlineData("")]
    [InlineData(""", "softmax": "float16" """)]
    public void Losses_in_binary16_follow_those_in_float32(string options)
    {
        var exact = Losses("");
        var half = Losses(""", "precision": "float16" """ + options);
        Assert.Equal(exact.Length, half.Length);
        for (int i = 0; i < exact.Length; i++) Assert.InRange(half[i], exact[i] - 5e-3, exact[i] + 5e-3);
        Assert.NotEqual(exact, half);
    }

    [Fact]
    public void A_loss_scale_that_is_too_large_falls_until_nothing_overflows()
    {
        using var run = new TinyRun(""", "precision": "float16", "loss_scale": 1e12, "train_samples": 160, "lr": 1e-2""");
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        string before = TinyRun.Fingerprint(trainer);
        var first = trainer.Step();
        Assert.Equal((1, 1), (first.Overflows, trainer.State.Step));
        Assert.Equal(before, TinyRun.Fingerprint(trainer));
        Assert.Equal(1e12, trainer.State.LossScale!.Value); // hysteresis 2
        trainer.Step();
        Assert.Equal(5e11, trainer.State.LossScale!.Value);
        trainer.Run(null, default);
        var log = RunLog.Read(run.In("run/log.jsonl"));
        Assert.InRange(log[^1].Overflows, 3, 30);
        Assert.True(log[^1].Loss < first.Loss - 1);
        var events = RunEvents.Read(run.In("run/events.jsonl"));
        Assert.Equal(log[^1].Overflows - 2, events.Count(e => e.Kind == "overflow"));
        Assert.Contains("Float16", events[0].Message);
    }

    [Fact]
    public void An_overflow_at_the_least_loss_scale_ends_the_run()
    {
        using var run = new TinyRun(""", "precision": "float16", "loss_scale": 1e30, "loss_scale_min": 1e30""");
        using var workers = new Workers(1);
        using var trainer = new Trainer(run.Config, workers);
        trainer.Step();
        Assert.Contains("least loss scale", Assert.Throws<GlmException>(() => trainer.Step()).Message);
    }

    [Fact]
    public void The_loss_scale_grows_after_a_window_and_falls_after_the_hysteresis()
    {
        var scaler = new LossScaler(8, Window: 3, Hysteresis: 2, Minimum: 2);
        var scale = scaler.Begin;
        Assert.Equal([8, 8, 16, 16, 16, 8, 4, 4, 4, 8, 8, 4, 2], "...x.xx...xxx".Select(step => (scale = scaler.Next(scale, step == 'x')!).Value));
        Assert.Null(scaler.Next(scale, overflow: true));
    }

    /// <summary>Noise among the samples provokes spikes of the loss.</summary>
    [Theory]
    [InlineData("skip", 3)]
    [InlineData("rollback", 0)]
    public void A_run_past_spikes_is_one_whose_data_lacks_their_samples(string reaction, int skipSamples)
    {
        using var run = TinyRun.WithNoise($$""", "spikes": { "reaction": "{{reaction}}", "window": 6, "loss_rise": 0.4, "skip_samples": {{skipSamples}} }""");
        string found = Trained(run);
        var events = RunEvents.Read(run.In("run/events.jsonl"));
        var discarded = events.Where(e => e.Kind == reaction).Select(e => Range().Match(e.Message)).ToList();
        Assert.NotEmpty(discarded);
        Assert.Equal(discarded.Count, events.Count(e => e.Kind == "spike"));
        string ranges = string.Join(", ", discarded.Select(m => $$"""{ "from": {{m.Groups["first"].Value}}, "to": {{long.Parse(m.Groups["last"].ValueSpan) + 1}} }"""));
        using var without = TinyRun.WithNoise($""", "skip": [{ranges}]""");
        Assert.Equal(found, Trained(without));
        var log = RunLog.Read(run.In("run/log.jsonl"));
        Assert.Equal(Enumerable.Range(1, 50).Select(step => (long)step), log.Select(step => step.Step));
        Assert.True(log[^1].Discarded >= 4);
    }

    [Fact]
    public void A_spike_that_is_warned_of_changes_nothing_else()
    {
        using TinyRun warned = TinyRun.WithNoise(""", "spikes": { "window": 6, "loss_rise": 0.4 }"""), plain = TinyRun.WithNoise("");
        Assert.Equal(Trained(plain), Trained(warned));
        Assert.Contains(RunEvents.Read(warned.In("run/events.jsonl")), e => e.Kind == "spike");
    }

    [Theory]
    [InlineData("skip")]
    [InlineData("rollback")]
    public void Spikes_that_do_not_end_end_the_run(string reaction)
    {
        using var run = new TinyRun($$""", "lr": 1e38, "min_lr": 1e38, "spikes": { "reaction": "{{reaction}}", "limit": 3 }""");
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        Assert.Contains("at most 3 spikes", Assert.Throws<GlmException>(() => trainer.Run(null, default)).Message);
    }

    [Fact]
    public void Spikes_are_told_from_the_median_of_the_steps_before()
    {
        var detector = new SpikeDetector(new SpikeOptions { Window = 3, NormFactor = 4, LossRise = 0.5 });
        var recent = RecentSteps.None;
        foreach (double norm in new[] { 1.0, 100, 2 })
        {
            Assert.Null(detector.Reason(recent, 3, norm)); // the window is not full
            recent = detector.With(recent, 3, norm);
        }
        Assert.Null(detector.Reason(recent, 3.5, 8));
        Assert.Contains("4.5 times", detector.Reason(recent, 3, 9));
        Assert.Contains("0.60 above", detector.Reason(recent, 3.6, 2));
        Assert.Contains("NaN", detector.Reason(RecentSteps.None, double.NaN, 1));
        recent = detector.With(recent, 4, 2);
        Assert.Equal([3.0, 3, 4], recent.Losses);
        Assert.Equal([100.0, 2, 2], recent.Norms);
    }

    [Fact]
    public void Skipped_ranges_advance_the_data_alone()
    {
        var order = new SampleOrder([new(10, 12), new(2, 5), new(5, 6)]);
        Assert.Equal([0, 1, 6], order.Next(0, 3).Samples);
        Assert.Equal(7, order.Next(0, 3).Iterated);
        Assert.Equal([9, 12], order.Next(9, 2).Samples);
        using TinyRun skipping = new(""", "skip": [{ "from": 0, "to": 8 }]"""), plain = new();
        using var workers = new Workers(1);
        using Trainer a = new(skipping.Config, workers), b = new(plain.Config, workers);
        StepLog first = a.Step(), other = b.Step();
        Assert.Equal((other.Samples, other.Rate), (first.Samples, first.Rate));
        Assert.NotEqual(other.Loss, first.Loss);
        Assert.Equal(8, first.Discarded);
    }

    [Theory]
    [InlineData("post-ln", "post-ln")]
    [InlineData("sandwich-ln", "sandwich-ln")]
    [InlineData("deepnorm", null)]
    public void A_model_keeps_where_it_normalises(string kind, string? told)
    {
        using var run = new TinyRun($$""", "normalization": "{{kind}}" """);
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        trainer.Step();
        trainer.Export(run.In("model"));
        Assert.Equal(told, (string?)System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(run.In("model/config.json")))!["normalization"]);
        var model = (Glm130B)ModelDirectory.Load(run.In("model"));
        Assert.Equal(((Glm130BConfig)run.Config.Shape).Normalization, model.Config.Normalization);
    }

    [Fact]
    public void A_configuration_may_build_on_another()
    {
        using var run = new TinyRun(""", "seed": 7""");
        File.WriteAllText(run.In("other.json"), """{ "base": "run.json", "lr": 2e-3 /* lower */, "spikes": { "limit": 2 }, }""");
        File.WriteAllText(run.In("third.json"), """{ "base": "other.json", "normalization": "pre-ln" }""");
        var config = TrainingConfig.Load(run.In("third.json"));
        Assert.Equal((7UL, 2e-3, 2, Normalization.PreLn), (config.Seed, config.Lr, config.Spikes!.Limit, ((Glm130BConfig)config.Shape).Normalization));
        File.WriteAllText(run.In("other.json"), """{ "base": "other.json" }""");
        Assert.Contains("build on one another", Assert.Throws<GlmException>(() => TrainingConfig.Load(run.In("other.json"))).Message);
        File.WriteAllText(run.In("other.json"), """{ "base": "missing.json" }""");
        Assert.Contains("missing.json", Assert.Throws<GlmException>(() => TrainingConfig.Load(run.In("other.json"))).Message);
        File.WriteAllText(run.In("list.json"), "[1]");
        File.WriteAllText(run.In("other.json"), """{ "base": "list.json" }""");
        Assert.Contains("list.json: expected a JSON object", Assert.Throws<GlmException>(() => TrainingConfig.Load(run.In("other.json"))).Message);
        File.WriteAllText(run.In("other.json"), """{ "base": 3 }""");
        Assert.Contains("name of a file", Assert.Throws<GlmException>(() => TrainingConfig.Load(run.In("other.json"))).Message);
    }

    /// <summary>The study that ships can be read, and each of its runs says what it is named after.</summary>
    [Fact]
    public void The_stability_study_names_its_runs_apart()
    {
        string[] files = [.. Directory.GetFiles(Path.Combine(TestFiles.Repository, "configs", "experiments"), "stability*.json").Where(file => !file.EndsWith("-shape.json"))];
        var configs = files.Select(TrainingConfig.Load).ToList();
        Assert.Equal(files.Length, configs.Select(config => config.Output).Distinct().Count());
        var rounded = configs.Where(config => config.Precision == Precision.BFloat16).ToList();
        Assert.Equal(4 * 3, rounded.Select(config => (((Glm130BConfig)config.Shape).Normalization, config.Lr)).Distinct().Count());
        Assert.Single(rounded.Select(config => (config.TrainSamples, config.Seed)).Distinct());
        var half = configs.Except(rounded).ToList();
        Assert.All(half, config => Assert.Equal(Precision.Float16, config.Precision));
        Assert.Equal(3, half.Select(config => (config.Softmax, config.EmbeddingShrink)).Distinct().Count());
        Assert.Single(half.Select(config => (config.Lr, config.TrainSamples, config.Seed)).Distinct());
    }

    [Theory]
    [InlineData(""", "softmax": "float16" """, "softmax")]
    [InlineData(""", "precision": "float16", "softmax": "bfloat16" """, "softmax")]
    [InlineData(""", "loss_scale": 0""", "loss_scale")]
    [InlineData(""", "spikes": { "norm_factor": 1 }""", "spikes.norm_factor")]
    [InlineData(""", "spikes": { "reaction": "hope" }""", "reaction")]
    [InlineData(""", "skip": [{ "from": 3, "to": 3 }]""", "skip")]
    [InlineData(""", "rewarmups": [{ "from": 3, "samples": 0 }]""", "rewarmups")]
    [InlineData(""", "normalization": "none" """, "normalization")]
    [InlineData(""", "skip": [null]""", "skip")]
    [InlineData(""", "rewarmups": [null]""", "rewarmups")]
    [InlineData(""", "embedding_shrink_changes": [{ "from_step": 1, "alpha": 2 }]""", "embedding_shrink_changes")]
    [InlineData(""", "multitask": { "path": "x", "ratio": 2 }""", "multitask")]
    [InlineData(""", "multitask": { "ratio": 0.5 }""", "path")]
    public void Impossible_settings_are_refused(string options, string field)
    {
        using var run = new TinyRun(options);
        Assert.Contains(field, Assert.Throws<GlmException>(() => run.Config).Message);
    }

    private static double[] Losses(string options)
    {
        using var run = new TinyRun(options);
        Trained(run);
        return [.. RunLog.Read(run.In("run/log.jsonl")).Select(step => step.Loss)];
    }

    private static string Trained(TinyRun run)
    {
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        trainer.Run(null, default);
        return TinyRun.Fingerprint(trainer);
    }

    [GeneratedRegex(@"samples (?<first>\d+) to (?<last>\d+)$", RegexOptions.ExplicitCapture)]
    private static partial Regex Range();
}
