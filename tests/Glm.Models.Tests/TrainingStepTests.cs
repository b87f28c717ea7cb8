using System.Text.Json;
using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>Loss, gradients and AdamW steps against the original model, its loss and PyTorch's autograd and optimiser.</summary>
public sealed class TrainingStepTests : IDisposable
{
    private const string Embedding = "transformer.word_embeddings.weight";
    private readonly Workers _workers = new(2);
    private readonly SafetensorsFile _batch = SafetensorsFile.Open(Path.Combine(Folder, "batch_and_gradients.safetensors"));
    private readonly JsonElement _results = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, "training_step.json"))).RootElement;

    private static string Folder => Path.Combine(TestFiles.Reference, "training-step");

    public static TheoryData<string, bool, bool> Variants => new()
    {
        { "no_shrink", false, false }, { "shrink_input", true, false }, { "shrink_input_and_logit", true, true },
    };

    public void Dispose() => _workers.Dispose();

    [Theory]
    [MemberData(nameof(Variants))]
    public void Loss_and_gradients_are_the_originals(string variant, bool shrinkInput, bool shrinkOutput)
    {
        var model = Trainable(shrinkInput, shrinkOutput);
        var (loss, tokenLosses) = Step(model);
        Assert.Equal(_results.GetProperty("results").GetProperty(variant).GetProperty("loss").GetDouble(), loss, 1e-5);
        float[] expected = _batch["token_losses"].ToArray();
        foreach (var segment in ReferenceModel.Segments(_batch))
            Close.Require("token_losses", expected.AsSpan(segment.Start, segment.Length), tokenLosses.AsSpan(segment.Start, segment.Length), 1e-4);
        int compared = 0;
        foreach (var (name, tensor) in model.Parameters)
        {
            string prefix = name == Embedding && shrinkInput ? $"grad_{variant}." : "grad.";
            if (!_batch.Find(prefix + name, out var gradient)) continue;
            compared++;
            Close.Require(prefix + name, gradient.ToArray(), tensor.Gradient!.ToArray(), 1e-5, 1e-3);
        }
        Assert.Equal(_batch.Names.Count(name => name.StartsWith("grad.", StringComparison.Ordinal)), compared);
        double norm = _results.GetProperty("results").GetProperty(variant).GetProperty("grad_norm").GetDouble();
        Assert.Equal(norm, GradientNorm(model), norm * 1e-4);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Recomputation_changes_no_bit(string variant, bool shrinkInput, bool shrinkOutput)
    {
        Glm130B kept = Trainable(shrinkInput, shrinkOutput), recomputed = Trainable(shrinkInput, shrinkOutput, recompute: true);
        Assert.Equal(Step(kept).Loss, Step(recomputed).Loss);
        foreach (var ((name, a), (_, b)) in kept.Parameters.Zip(recomputed.Parameters))
            Assert.True(a.Gradient!.ToArray().AsSpan().SequenceEqual(b.Gradient!.ToArray()), $"{variant}: {name}");
    }

    [WholeReferenceFact]
    public void Parameters_after_AdamW_steps_are_the_originals()
    {
        var files = ReferenceModel.Files("training-step", "params_*.safetensors");
        Assert.NotEmpty(files);
        foreach (string file in files) RequireParameters(SafetensorsFile.Open(Path.Combine(Folder, file)), Path.GetFileNameWithoutExtension(file)["params_".Length..]);
    }

    /// <param name="expected">The parameters after the steps.</param>
    /// <param name="run">What was done, such as <c>step5_shrink_both_decay_weights_only</c>.</param>
    private void RequireParameters(SafetensorsFile expected, string run)
    {
        var model = Trainable(shrinkInput: true, shrinkOutput: run.Contains("shrink_both"));
        var history = _results.GetProperty("results").GetProperty(run).GetProperty("history");
        var moments = model.Parameters.ToDictionary(p => p.Name, p => (Tensor.Zeros(DType.Float32, p.Tensor.Shape), Tensor.Zeros(DType.Float32, p.Tensor.Shape)));
        var tiny = model.Parameters.ToDictionary(p => p.Name, p => new bool[p.Tensor.Count]);
        int steps = history.GetArrayLength();
        for (int step = 1; step <= steps; step++)
        {
            var (loss, _) = Step(model);
            double norm = GradientNorm(model), expectedNorm = history[step - 1].GetProperty("grad_norm_before_clip").GetDouble();
            Assert.Equal(history[step - 1].GetProperty("loss").GetDouble(), loss, 1e-5 * step);
            Assert.Equal(expectedNorm, norm, 1e-4 * expectedNorm);
            float clip = (float)(norm > 1 ? 1 / (norm + 1e-6) : 1);
            foreach (var (name, tensor) in model.Parameters)
            {
                bool decays = run.EndsWith("decay_all", StringComparison.Ordinal) || tensor.Shape.Length > 1;
                float[] gradient = tensor.Gradient!.ToArray();
                for (int i = 0; i < gradient.Length; i++) tiny[name][i] |= Math.Abs(gradient[i] * clip) < 1e-6;
                var (mean, variance) = moments[name];
                TensorMath.AdamW(_workers, tensor, tensor.Gradient, mean, variance, new AdamWStep(step, 1e-3f, 0.9f, 0.95f, 1e-8f, decays ? 0.1f : 0, clip));
            }
        }
        // Adam moves an entry by nearly rate x sign(gradient): where the gradient is as good as zero, its sign is an accident.
        Assert.InRange(tiny.Values.Sum(flags => flags.Count(flag => flag)), 0, model.Parameters.Sum(p => p.Tensor.Count) / 20);
        foreach (var (name, tensor) in model.Parameters)
        {
            float[] wanted = expected[name].ToArray(), found = tensor.ToArray();
            for (int i = 0; i < wanted.Length; i++)
                if (tiny[name][i] && Math.Abs(wanted[i] - found[i]) < 2e-3 * steps) found[i] = wanted[i];
            Close.Require($"{run}: {name}", wanted, found, steps == 1 ? 1e-5 : 1e-4);
        }
    }

    private static Glm130B Trainable(bool shrinkInput, bool shrinkOutput, bool recompute = false)
    {
        var weights = ReferenceModel.Weights();
        return new Glm130B(ReferenceModel.Config(), name =>
        {
            var tensor = Tensor.Allocate(DType.Float32, weights[name].Shape);
            tensor.CopyFrom(weights[name]);
            tensor.RequiresGradient = true;
            tensor.Gradient = Tensor.Zeros(DType.Float32, tensor.Shape);
            return tensor;
        })
        { EmbeddingGradientShrink = shrinkInput ? 0.1f : 1, ShrinkOutputGradient = shrinkOutput, RecomputeActivations = recompute };
    }

    private (float Loss, float[] TokenLosses) Step(Glm130B model)
    {
        foreach (var (_, tensor) in model.Parameters) tensor.Gradient!.Clear();
        var context = new Context(_workers);
        context.Record();
        var hidden = model.Forward(context, context.Integers(_batch.Integers("tokens")), context.Integers(_batch.Integers("position_ids")),
            model.Within(context, ReferenceModel.Segments(_batch)));
        float[] mask = _batch["loss_mask"].ToArray();
        float count = mask.Sum();
        var (loss, tokenLosses) = context.CrossEntropy(model.Logits(context, hidden), context.Integers(_batch.Integers("targets")),
            context.Floats(Array.ConvertAll(mask, weight => weight / count), mask.Length));
        var values = (loss.ToArray()[0], tokenLosses.ToArray());
        context.Backward(loss);
        return values;
    }

    private double GradientNorm(Glm130B model) => Math.Sqrt(model.Parameters.Sum(p => TensorMath.SumOfSquares(_workers, p.Tensor.Gradient!)));
}
