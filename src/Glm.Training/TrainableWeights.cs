using Glm.Tensors;

namespace Glm.Training;

/// <summary>
/// The float32 master weights of a run, their gradients, and the weights that the model multiplies by: the masters themselves, or for 16-bit types a
/// rounded copy of every matrix that is renewed after each step (paper section 2.4; spec 4.1). Vectors stay float32.
/// </summary>
public sealed class TrainableWeights
{
    private readonly List<(Tensor Master, Tensor Compute)> _copies = [];

    /// <summary>Takes over master weights by name.</summary>
    public TrainableWeights(IReadOnlyDictionary<string, Tensor> masters, Precision precision)
    {
        foreach (var (name, master) in masters)
        {
            bool rounded = precision != Precision.Float32 && master.Shape.Length > 1;
            var compute = rounded ? Tensor.Allocate(precision.ActivationType(), master.Shape) : master;
            compute.RequiresGradient = true;
            compute.Gradient = Tensor.Zeros(DType.Float32, master.Shape);
            if (rounded) _copies.Add((master, compute));
            Masters[name] = master;
            Compute[name] = compute;
        }
        Refresh();
    }

    /// <summary>Float32 weights by name, which the optimiser changes.</summary>
    public Dictionary<string, Tensor> Masters { get; } = [];

    /// <summary>The weights that the model uses, by name; their gradients are those of the masters.</summary>
    public Dictionary<string, Tensor> Compute { get; } = [];

    /// <summary>The gradient of a weight.</summary>
    public Tensor Gradient(string name) => Compute[name].Gradient!;

    /// <summary>Rounds the masters into the weights that the model uses.</summary>
    public void Refresh()
    {
        foreach (var (master, compute) in _copies) compute.CopyFrom(master);
    }

    /// <summary>Sets all gradients to zero.</summary>
    public void ClearGradients()
    {
        foreach (var tensor in Compute.Values) tensor.Gradient!.Clear();
    }
}
