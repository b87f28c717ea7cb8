using Glm.Tensors;

namespace Glm.Training;

/// <summary>AdamW with decoupled decay on matrices alone, and clipping by the global gradient norm (spec 4.1).</summary>
public sealed class AdamW
{
    private readonly Workers _workers;
    private readonly TrainableWeights _weights;
    private readonly TrainingConfig _config;

    /// <summary>An optimiser that has seen no gradient.</summary>
    public AdamW(Workers workers, TrainableWeights weights, TrainingConfig config)
    {
        _workers = workers;
        _weights = weights;
        _config = config;
        foreach (var (name, master) in weights.Masters)
        {
            Means[name] = Tensor.Zeros(DType.Float32, master.Shape);
            Variances[name] = Tensor.Zeros(DType.Float32, master.Shape);
        }
    }

    /// <summary>Running means of the gradients.</summary>
    public Dictionary<string, Tensor> Means { get; } = [];

    /// <summary>Running means of the squared gradients.</summary>
    public Dictionary<string, Tensor> Variances { get; } = [];

    /// <summary>One step with the gradients that have been added up.</summary>
    /// <param name="number">Number of the step, from 1, without those that were not taken.</param>
    /// <param name="rate">Learning rate.</param>
    /// <param name="norm">Global norm of the gradients, by which they are clipped.</param>
    /// <param name="lossScale">What the loss was multiplied by, and the gradients are divided by; the norm is that of divided ones.</param>
    public void Step(long number, double rate, double norm, double lossScale = 1)
    {
        double clip = norm > _config.ClipGrad ? _config.ClipGrad / (norm + 1e-6) : 1;
        foreach (var (name, master) in _weights.Masters)
        {
            bool decays = master.Shape.Length > 1;
            TensorMath.AdamW(_workers, master, _weights.Gradient(name), Means[name], Variances[name], new AdamWStep(
                number, (float)rate, (float)_config.Beta1, (float)_config.Beta2, (float)_config.Epsilon, decays ? (float)_config.WeightDecay : 0, (float)(clip / lossScale)));
        }
        _weights.Refresh();
    }
}
