using Glm.Tensors;

namespace Glm.Training;

/// <summary>AdamW with decoupled decay on matrices alone, and clipping by the global gradient norm (spec 4.1).</summary>
/// <param name="workers">Threads.</param>
/// <param name="weights">What is updated: the share of this process.</param>
/// <param name="config">The run.</param>
public sealed class AdamW(Workers workers, IReadOnlyList<WeightShard> weights, TrainingConfig config)
{
    /// <summary>One step with the gradients that have been added up.</summary>
    /// <param name="number">Number of the step, from 1, without those that were not taken.</param>
    /// <param name="rate">Learning rate.</param>
    /// <param name="norm">Global norm of the gradients, by which they are clipped.</param>
    /// <param name="lossScale">What the loss was multiplied by, and the gradients are divided by; the norm is that of divided ones.</param>
    public void Step(long number, double rate, double norm, double lossScale = 1)
    {
        double clip = norm > config.ClipGrad ? config.ClipGrad / (norm + 1e-6) : 1;
        foreach (var shard in weights)
        {
            TensorMath.AdamW(workers, shard.Master, shard.Gradient, shard.Mean, shard.Variance, new AdamWStep(
                number, (float)rate, (float)config.Beta1, (float)config.Beta2, (float)config.Epsilon, shard.Decays ? (float)config.WeightDecay : 0, (float)(clip / lossScale)));
        }
    }
}
