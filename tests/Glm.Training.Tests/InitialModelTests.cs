using Glm.Models;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Training.Tests;

/// <summary>Runs that begin with the weights of a model.</summary>
public sealed class InitialModelTests
{
    [Fact]
    public void A_checkpoint_gives_the_weights_bit_for_bit()
    {
        using var run = new TinyRun();
        string trained = Finish(run.Config);
        string checkpoint = Directory.EnumerateDirectories(run.In("run/checkpoints")).Order().Last();
        using var workers = new Workers(2);
        using var next = new Trainer(Next(run, $"run/checkpoints/{Path.GetFileName(checkpoint)}"), workers);
        Assert.Equal(trained, TinyRun.Fingerprint(next));
        Assert.Equal(0, next.State.Step);
    }

    [Fact]
    public void Rows_of_another_length_go_on_learning_from_a_published_model()
    {
        using var run = new TinyRun(""", "lr": 1e-2, "train_samples": 160""");
        using var workers = new Workers(2);
        double before, after;
        using (var first = new Trainer(run.Config, workers))
        {
            before = first.Validate()[0];
            first.Run(null, default);
            after = first.Validate()[0];
            first.Export(run.In("model"));
        }
        using var next = new Trainer(Next(run, "model", """, "seq_length": 96, "length_per_sample": 88"""), workers);
        double begun = next.Validate()[0];
        Assert.InRange(begun, 0, after + 0.5 * (before - after));
        next.Run(null, default);
        Assert.InRange(next.Validate()[0], 0, begun);
        next.Export(run.In("longer"));
        Assert.Equal(96, ModelDirectory.LoadConfig(run.In("longer")).Shape.MaxSequenceLength);
    }

    [Fact]
    public void Such_a_run_is_resumed_bit_for_bit()
    {
        using var run = new TinyRun();
        Finish(run.Config);
        string straight = Finish(Next(run, "run/model", """, "output": "straight" """));
        using var workers = new Workers(2);
        using var cancel = new CancellationTokenSource();
        using (var part = new Trainer(Next(run, "run/model"), workers)) part.Run(new Report(step => { if (step.Step == 5) cancel.Cancel(); }), cancel.Token);
        using var rest = new Trainer(Next(run, "run/model"), workers);
        rest.Resume(message => Assert.Fail(message));
        rest.Run(null, default);
        Assert.Equal(straight, TinyRun.Fingerprint(rest));
    }

    [Theory]
    [InlineData("nowhere", "", "expected a model directory with config.json, found none")]
    [InlineData("run/model", """, "normalization": "pre-ln" """, "normalization: expected pre-ln, as it is trained, found none, which is the default")]
    [InlineData("run/model", """, "model": "deeper.json" """, "num_layers: expected 3, as it is trained, found 2")]
    [InlineData("run/model", """, "model": "other.json", "objective": "causal" """, "expected the architecture that is trained, bloom, found glm-130b")]
    public void Another_model_is_refused_by_the_field_that_differs(string initial, string options, string expected)
    {
        using var run = new TinyRun();
        Finish(run.Config);
        var shape = (Glm130BConfig)ModelDirectory.LoadConfig(run.In("run/model"));
        File.WriteAllText(run.In("deeper.json"), (shape with { NumLayers = 3 }).ToJson());
        File.WriteAllText(run.In("other.json"), new BloomConfig { NLayer = 2, HiddenSize = 32, NHead = 2, VocabSize = 400 }.ToJson());
        using var workers = new Workers(1);
        var error = Assert.Throws<GlmException>(() => new Trainer(Next(run, initial, options), workers));
        Assert.Contains(expected, error.Message);
        Assert.Contains(run.In(initial), error.Message);
    }

    [Fact]
    public void Quantised_weights_are_refused()
    {
        using var run = new TinyRun();
        Finish(run.Config);
        using var workers = new Workers(1);
        ModelDirectory.Save(run.In("int8"), Quantization.Quantize(ModelDirectory.Load(run.In("run/model")), 8, workers));
        Assert.Contains("expected floating-point numbers", Assert.Throws<GlmException>(() => new Trainer(Next(run, "int8"), workers)).Message);
    }

    private static string Finish(TrainingConfig config)
    {
        using var workers = new Workers(2);
        using var trainer = new Trainer(config, workers);
        trainer.Run(null, default);
        trainer.Export(Path.Combine(config.Resolve(config.Output), "model"));
        return TinyRun.Fingerprint(trainer);
    }

    private static TrainingConfig Next(TinyRun run, string initial, string options = "")
    {
        string path = run.In($"next{options.Length}.json");
        File.WriteAllText(path, $$"""{ "base": "run.json", "initial_model": "{{initial}}"{{(options.Contains("output") ? "" : ", \"output\": \"next\"")}}{{options}} }""");
        return TrainingConfig.Load(path);
    }
}
