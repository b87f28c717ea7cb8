using System.Text.Json.Serialization;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>The constants of AdamW; the defaults are GLM-130B's (spec 4.1).</summary>
public sealed record AdamWOptions
{
    /// <summary>Decay of the mean.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the squared mean.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>Added to the root.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay of matrices.</summary>
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>What moves the matrices of the layers.</summary>
    public OptimizerKind Kind { get; init; }

    /// <summary>Largest norm of all gradients together.</summary>
    public double ClipGrad { get; init; } = 1;
}

/// <summary>What moves the matrices of the layers; AdamW moves all other weights.</summary>
public enum OptimizerKind
{
    /// <summary>AdamW, as GLM-130B was trained.</summary>
    [JsonStringEnumMemberName("adamw")]
    AdamW,

    /// <summary>Muon: each matrix moves along its orthogonalised momentum, at AdamW's rates and decay. In one process alone, since it needs whole matrices.</summary>
    [JsonStringEnumMemberName("muon")]
    Muon,
}

/// <summary>AdamW with decoupled decay on matrices alone, or Muon on those of the layers, and clipping by the global gradient norm (spec 4.1).</summary>
/// <param name="workers">Threads.</param>
/// <param name="weights">What is updated: the share of this process.</param>
/// <param name="options">Its constants.</param>
public sealed class AdamW(Workers workers, IReadOnlyList<WeightShard> weights, AdamWOptions options)
{
    // Muon's decay of the sum of gradients, its authors' choice.
    private const float Momentum = 0.95f;

    private readonly Orthogonalizer _orthogonalizer = new(workers);

    /// <summary>One step with the gradients that have been added up.</summary>
    /// <param name="number">Number of the step, from 1, without those that were not taken.</param>
    /// <param name="rate">Learning rate.</param>
    /// <param name="norm">Global norm of the gradients, by which they are clipped.</param>
    /// <param name="lossScale">What the loss was multiplied by, and the gradients are divided by; the norm is that of divided ones.</param>
    public void Step(long number, double rate, double norm, double lossScale = 1)
    {
        double clip = norm > options.ClipGrad ? options.ClipGrad / (norm + 1e-6) : 1;
        foreach (var shard in weights)
        {
            if (options.Kind == OptimizerKind.Muon && shard.LayerMatrix is { } matrix)
            {
                _orthogonalizer.Step(matrix, shard.Gradient, shard.Mean, (float)rate, Momentum, (float)options.WeightDecay, (float)(clip / lossScale));
                continue;
            }
            TensorMath.AdamW(workers, shard.Master, shard.Gradient, shard.Mean, shard.Variance, new AdamWStep(
                number, (float)rate, (float)options.Beta1, (float)options.Beta2, (float)options.Epsilon, shard.Decays ? (float)options.WeightDecay : 0, (float)(clip / lossScale)));
        }
    }
}
