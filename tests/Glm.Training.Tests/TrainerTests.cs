using Glm.Models;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Training.Tests;

/// <summary>Whole runs on a tiny model: learning, resuming, stopping, and what can go wrong.</summary>
public sealed class TrainerTests
{
    [Theory]
    [InlineData("")]
    [InlineData(""", "precision": "bfloat16" """)]
    [InlineData(""", "precision": "float16" """)]
    [InlineData(""", "precision": "float16", "softmax": "float16", "recompute": true""")]
    [InlineData(""", "normalization": "post-ln" """)]
    [InlineData(""", "normalization": "pre-ln" """)]
    [InlineData(""", "normalization": "sandwich-ln", "precision": "float16" """)]
    [InlineData(""", "recompute": true, "ramp_start": 2, "ramp_increment": 2, "ramp_samples": 16""")]
    public void Loss_falls(string options)
    {
        using var run = new TinyRun(options + """, "lr": 1e-2, "train_samples": 160""");
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        double before = trainer.Validate()[0];
        trainer.Run(null, default);
        Assert.True(trainer.Finished);
        Assert.InRange(trainer.Validate()[0], 0, before - 1);
    }

    [Fact]
    public void A_folder_is_trained_in_by_one_run_at_a_time()
    {
        using var run = new TinyRun();
        using var workers = new Workers(1);
        using var trainer = new Trainer(run.Config, workers);
        string? refused = null, before = null, after = null;
        trainer.Run(new Report(step =>
        {
            if (step.Step != 3) return;
            using var second = new Trainer(run.Config, workers);
            before = File.ReadAllText(run.In(Path.Combine("run", RunLog.FileName)));
            refused = Assert.Throws<GlmException>(() => second.Run(null, default)).Message;
            after = File.ReadAllText(run.In(Path.Combine("run", RunLog.FileName)));
        }), default);
        Assert.Contains("the only one who trains in this folder", refused);
        Assert.Equal(before, after);
        using var third = new Trainer(run.Config, workers);
        third.Resume(message => Assert.Fail(message));
        third.Run(null, default);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Weights_do_not_depend_on_the_number_of_threads(int threads)
    {
        using var run = new TinyRun();
        Assert.Equal(Trained(run, 2), Trained(run, threads));
    }

    [Theory]
    [InlineData("")]
    [InlineData(""", "precision": "float16" """)]
    public void Recomputation_changes_no_bit(string options)
    {
        using TinyRun kept = new(options), recomputed = new(options + """, "recompute": true""");
        Assert.Equal(Trained(kept, 2), Trained(recomputed, 2));
    }

    [Theory]
    [InlineData("")]
    [InlineData(""", "precision": "bfloat16" """)]
    [InlineData(""", "precision": "float16", "loss_scale": 1e12, "loss_scale_window": 3""")]
    [InlineData(TinyRun.Noisy + """, "spikes": { "reaction": "rollback", "window": 6, "loss_rise": 0.4 }, "skip": [{ "from": 5, "to": 9 }]""")]
    [InlineData(TinyRun.Noisy + """, "spikes": { "reaction": "skip", "window": 6, "loss_rise": 0.4 }""")]
    public void A_resumed_run_continues_bit_for_bit(string options)
    {
        bool noisy = options.Contains("noise");
        using TinyRun straight = noisy ? TinyRun.WithNoise(options) : new(options), interrupted = noisy ? TinyRun.WithNoise(options) : new(options);
        using var workers = new Workers(2);
        for (int stop = 2; ; stop += noisy ? 11 : 3)
        {
            using var cancel = new CancellationTokenSource();
            using var part = new Trainer(interrupted.Config, workers);
            if (part.CanResume) part.Resume(message => Assert.Fail(message));
            part.Run(new Report(step =>
            {
                if (step.Step == stop) cancel.Cancel();
            }), cancel.Token);
            if (!part.Finished) continue;
            Assert.Equal(Trained(straight, 2), TinyRun.Fingerprint(part));
            break;
        }
        var straightLog = RunLog.Read(straight.In("run/log.jsonl"));
        var log = RunLog.Read(interrupted.In("run/log.jsonl"));
        Assert.Equal(straightLog.Select(s => (s.Step, s.Loss, s.GradientNorm)), log.Select(s => (s.Step, s.Loss, s.GradientNorm)));
    }

    [Fact]
    public void A_damaged_checkpoint_is_passed_over()
    {
        using var run = new TinyRun();
        string expected = Trained(run, 2);
        string newest = Directory.GetDirectories(run.In("run/checkpoints")).Order(StringComparer.Ordinal).Last();
        string file = Path.Combine(newest, "rank-00000.safetensors");
        byte[] bytes = File.ReadAllBytes(file);
        bytes[^5] ^= 1;
        File.WriteAllBytes(file, bytes);
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        var warnings = new List<string>();
        trainer.Resume(warnings.Add);
        Assert.Contains(newest, Assert.Single(warnings));
        Assert.Equal(9, trainer.State.Step);
        trainer.Run(null, default);
        Assert.Equal(expected, TinyRun.Fingerprint(trainer));
    }

    [Fact]
    public void Without_a_whole_checkpoint_resuming_says_so()
    {
        using var run = new TinyRun();
        using var workers = new Workers(1);
        using var trainer = new Trainer(run.Config, workers);
        Directory.CreateDirectory(run.In("run/checkpoints/step-00000003"));
        Assert.Contains("expected a whole checkpoint", Assert.Throws<GlmException>(() => trainer.Resume(_ => { })).Message);
    }

    [Fact]
    public void A_loss_that_is_not_a_number_stops_the_run_and_leaves_the_checkpoints()
    {
        using var run = new TinyRun(""", "lr": 1e38, "min_lr": 1e38, "save_interval": 1""");
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        Assert.Contains("NaN", Assert.Throws<GlmException>(() => trainer.Run(null, default)).Message);
        using var again = new Trainer(run.Config, workers);
        again.Resume(message => Assert.Fail(message));
        Assert.Equal(trainer.State.Step, again.State.Step);
    }

    [Fact]
    public void A_full_disk_leaves_the_older_checkpoint()
    {
        using var run = new TinyRun();
        using var workers = new Workers(2);
        Directory.CreateDirectory(run.In("run"));
        using var trainer = new Trainer(run.Config, workers);
        trainer.Step();
        // A file stands where the folder of checkpoints should be: what a write error looks like to the trainer.
        File.WriteAllText(run.In("run/checkpoints"), "");
        Assert.Throws<GlmException>(() => trainer.Run(null, default));
        Assert.Equal("", File.ReadAllText(run.In("run/checkpoints")));
    }

    [Fact]
    public void The_exported_model_is_the_trained_one()
    {
        using var run = new TinyRun();
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        trainer.Run(null, default);
        trainer.Export(run.In("model"));
        var model = ModelDirectory.Load(run.In("model"));
        foreach (var (name, tensor) in model.Parameters)
            Assert.Equal(trainer.Weights[name].To(tensor.Type).ToArray(), tensor.ToArray());
        Assert.True(File.ReadAllBytes(run.In("tokenizer.model")).SequenceEqual(File.ReadAllBytes(run.In("model/tokenizer.model"))));
    }

    private static string Trained(TinyRun run, int threads)
    {
        using var workers = new Workers(threads);
        using var trainer = new Trainer(run.Config, workers);
        trainer.Run(null, default);
        return TinyRun.Fingerprint(trainer);
    }
}
