using Glm.Distributed;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Training.Tests;

/// <summary>Pre-training of left-to-right models: samples, gradients, and whole runs of a tiny BLOOM.</summary>
public sealed class CausalTrainingTests
{
    private const string Causal = """, "objective": "causal" """;

    private static BloomConfig Shape => new() { NLayer = 2, HiddenSize = 32, NHead = 2, VocabSize = 400 };

    [Theory]
    [InlineData(9)]
    [InlineData(6)]
    public void Every_token_is_predicted_from_those_before_it(int ids)
    {
        int[] text = [.. Enumerable.Range(11, ids)];
        var sample = CausalObjective.Build(text, 8);
        Assert.Equal([.. text[..^1], .. new int[9 - ids]], sample.Tokens);
        Assert.Equal([.. text[1..], .. new int[9 - ids]], sample.Targets);
        Assert.Equal(Enumerable.Range(0, 8).Select(i => (byte)(i < ids - 1 ? 1 : 0)), sample.LossMask);
        Assert.Equal(new AttentionSegment(0, 8, 0), Assert.Single(sample.Segments));
        Assert.Throws<ArgumentException>(() => CausalObjective.Build([.. Enumerable.Range(0, 10)], 8));
    }

    /// <summary>The loss along the gradient of each parameter rises as fast as the gradient says.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Gradients_are_differences_of_the_loss(bool normalisedResidual)
    {
        using var workers = new Workers(2);
        var config = new BloomConfig { NLayer = 2, HiddenSize = 24, NHead = 3, NInner = 40, VocabSize = 50, SeqLength = 16, ApplyResidualConnectionPostLayernorm = normalisedResidual };
        var weights = new TrainableWeights(Initialization.PreLn(config, seed: 3, gain: 4), Precision.Float32);
        var model = new Bloom(config, name => weights.Compute[name]);
        var random = new CounterRandom(5, 0);
        var batch = TrainingBatch.Stack([.. Enumerable.Range(0, 3).Select(_ => CausalObjective.Build([.. Enumerable.Range(0, 14).Select(_ => random.NextInt(50))], 16))]);
        var context = new Context(workers);
        context.Record();
        context.Backward(Loss());
        foreach (var (name, weight) in weights.Masters)
        {
            float[] gradient = weights.Gradient(name).ToArray(), values = weight.ToArray();
            double norm = Math.Sqrt(gradient.Sum(g => (double)g * g));
            Assert.True(norm > 1e-3, $"{name}: {norm}");
            const double Step = 5e-3;
            double rise = At(Step) - At(-Step);
            Assert.InRange(rise / (2 * Step * norm), 0.98, 1.02);

            double At(double step)
            {
                context.Reset();
                weight.CopyFrom([.. values.Zip(gradient, (value, g) => (float)(value + (step * g / norm)))]);
                double loss = Loss().ToArray()[0];
                weight.CopyFrom(values);
                return loss;
            }
        }

        Tensor Loss() => MicroBatchLoss.Of(context, model, model.RunPart(context, context.Integers(batch.Tokens), context.Integers(batch.Positions), model.Within(context, [.. batch.Segments])), batch).Loss;
    }

    [Theory]
    [InlineData("")]
    [InlineData(""", "precision": "bfloat16", "length_per_sample": 65""")]
    [InlineData(""", "precision": "float16", "recompute": true""")]
    public void Loss_falls(string options)
    {
        using var run = new TinyRun(Causal + options + """, "lr": 1e-2, "train_samples": 160""", Shape);
        using var workers = new Workers(2);
        using var trainer = new Trainer(run.Config, workers);
        double before = trainer.Validate()[0];
        trainer.Run(null, default);
        Assert.InRange(trainer.Validate()[0], 0, before - 1);
    }

    [Theory]
    [InlineData("")]
    [InlineData(""", "precision": "bfloat16" """)]
    public void A_resumed_run_continues_bit_for_bit_and_is_exported_whole(string options)
    {
        using TinyRun straight = new(Causal + options, Shape), interrupted = new(Causal + options, Shape);
        using var workers = new Workers(2);
        using var expected = new Trainer(straight.Config, workers);
        expected.Run(null, default);
        using (var first = new Trainer(interrupted.Config, workers))
        using (var cancel = new CancellationTokenSource())
            first.Run(new Stop(cancel, after: 4), cancel.Token);
        using var second = new Trainer(interrupted.Config, workers);
        second.Resume(message => Assert.Fail(message));
        Assert.Equal(4, second.State.Step);
        second.Run(null, default);
        Assert.Equal(TinyRun.Fingerprint(expected), TinyRun.Fingerprint(second));

        second.Export(interrupted.In("model"));
        var model = Assert.IsType<Bloom>(ModelDirectory.Load(interrupted.In("model")));
        Assert.Equal(64, model.MaxSequenceLength);
        foreach (var (name, tensor) in model.Parameters) Assert.Equal(second.Weights[name].To(tensor.Type).ToArray(), tensor.ToArray());
        string checkpoint = Directory.GetDirectories(interrupted.In("run/checkpoints")).Order(StringComparer.Ordinal).Last();
        Assert.Equal(second.Weights["transformer.ln_f.weight"].ToArray(), ModelDirectory.OpenStore(checkpoint)["transformer.ln_f.weight"].ToArray());
    }

    /// <summary>Two ranks see different data and come to the weights of one, but for the order of sums.</summary>
    [Fact]
    public void Ranks_share_the_data()
    {
        using TinyRun one = new(Causal, Shape), two = new(Causal, Shape);
        using var workers = new Workers(1);
        using var alone = new Trainer(one.Config, workers);
        alone.Run(null, default);
        float[] expected = alone.Weights["transformer.word_embeddings_layernorm.weight"].ToArray();
        InProcessJob.Run(2, world =>
        {
            using var mine = new Workers(1);
            using var trainer = new Trainer(two.Config, mine, world);
            trainer.Run(null, default);
            float[] found = trainer.Weights["transformer.word_embeddings_layernorm.weight"].ToArray();
            for (int i = 0; i < found.Length; i++) Assert.Equal(expected[i], found[i], 1e-4f);
        });
    }

    [Theory]
    [InlineData("", "objective: expected causal for bloom, found Blanks")]
    [InlineData(Causal + """, "length_per_sample": 66""", "length_per_sample: expected 2 to 65")]
    [InlineData(Causal + """, "tensor_parallel": 2""", "expected 1, 1 for bloom")]
    [InlineData(Causal + """, "normalization": "pre-ln" """, "normalization: expected none for bloom")]
    [InlineData(Causal + """, "precision": "float16", "softmax": "float16" """, "softmax: expected float32 for bloom")]
    [InlineData(Causal + """, "multitask": { "path": "tasks", "ratio": 0.1 }""", "multitask: expected none")]
    public void What_a_left_to_right_model_cannot_have_is_refused(string options, string message)
    {
        using var run = new TinyRun(options, Shape);
        Assert.Contains(message, Assert.Throws<GlmException>(() => run.Config).Message);
    }

    [Fact]
    public void Blanks_need_a_model_that_sees_both_sides()
    {
        using TinyRun glm = new(Causal), opt = new();
        Assert.Contains("objective: expected blanks for glm-130b", Assert.Throws<GlmException>(() => glm.Config).Message);
        File.WriteAllText(opt.In("shape.json"), """{ "model_type": "opt", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 64, "vocab_size": 400, "word_embed_proj_dim": 32, "max_position_embeddings": 64 }""");
        Assert.Contains("expected an architecture that is trained from nothing", Assert.Throws<GlmException>(() => opt.Config).Message);
    }

    private sealed class Stop(CancellationTokenSource cancel, long after) : IProgress<StepLog>
    {
        public void Report(StepLog value)
        {
            if (value.Step == after) cancel.Cancel();
        }
    }
}
