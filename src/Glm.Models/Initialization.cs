using Glm.Tensors;

namespace Glm.Models;

/// <summary>Weights that training begins from.</summary>
public static class Initialization
{
    private const double UnscaledGain = 1;

    /// <summary>
    /// DeepNorm initialisation (spec 1.3).
    /// A float32 model with Xavier-normal matrices, std = gain sqrt(2 / (fan in + fan out)): gain beta = (2 layers)^-0.5 for values, attention dense and
    /// both feed-forward matrices, 1 for the embedding, queries and keys; biases 0, layer norms (1, 0). Every tensor draws from its own random stream.
    /// Other placements of layer norms have no rule of their own for it: with Pre-LN and Sandwich-LN beta falls on what is added to the residual stream, attention
    /// dense and the last feed-forward matrix, as Megatron has it; with Post-LN on nothing.
    /// </summary>
    /// <param name="config">The shape.</param>
    /// <param name="seed">Key of the random numbers.</param>
    /// <param name="gain">Factor on beta. 1 is DeepNorm's own; a small model that trains for minutes leaves its first plateau sooner with a larger one.</param>
    /// <param name="originalQkvGain">
    /// Reproduces the original's slip: beta falls on the last third of the rows of the fused projection, that is on queries, keys and values of the last
    /// third of the heads, instead of on the values of every head.
    /// </param>
    /// <param name="part">What of the model is wanted: the numbers are those of the whole, however it is shared out; all of it if null.</param>
    public static Dictionary<string, Tensor> DeepNorm(Glm130BConfig config, ulong seed, double gain = 1, bool originalQkvGain = false, ModelPart? part = null)
    {
        bool deepNorm = config.Normalization == Normalization.DeepNorm;
        double beta = Beta(config, gain);
        return Draw(config, seed, isGated: true, part, Gain, (name, tensor) =>
        {
            if (deepNorm && IsProjection(name)) ScaleValues(tensor, config, (float)beta, originalQkvGain);
        });

        double Gain(string name) => (deepNorm ? !IsProjection(name) && !ModelPart.IsEmbedding(name) : config.NormalizesInside && EndsSublayer(name)) ? beta : UnscaledGain;
    }

    /// <summary>A float32 BLOOM-style model, initialised as a model of GLM's architecture with Pre-LN is.</summary>
    /// <param name="config">The shape.</param>
    /// <param name="seed">Key of the random numbers.</param>
    /// <param name="gain">Factor on the gain of what is added to the residual stream.</param>
    public static Dictionary<string, Tensor> PreLn(BloomConfig config, ulong seed, double gain = 1) =>
        Draw(config, seed, isGated: false, part: null, name => EndsSublayer(name) ? Beta(config, gain) : UnscaledGain, finish: null);

    private static double Beta(ModelConfig config, double gain) => gain / Math.Sqrt(2.0 * config.Shape.Layers);

    private static bool IsProjection(string name) => name.EndsWith("query_key_value.weight", StringComparison.Ordinal);

    private static bool EndsSublayer(string name) => name.EndsWith("attention.dense.weight", StringComparison.Ordinal) || name.EndsWith("dense_4h_to_h.weight", StringComparison.Ordinal);

    /// <summary>Xavier-normal matrices with gains, each drawn from its own random stream; biases 0, layer norms (1, 0).</summary>
    private static Dictionary<string, Tensor> Draw(ModelConfig config, ulong seed, bool isGated, ModelPart? part, Func<string, double> gain, Action<string, Tensor>? finish)
    {
        var tensors = new Dictionary<string, Tensor>();
        ulong stream = 0;
        foreach (var (name, shape) in config.Parameters())
        {
            stream++;
            if (part is null) tensors[name] = Whole(name, shape, stream);
            else if (part.Has(name)) tensors[name] = Sharding.Part(name, Whole(name, shape, stream), part.Tensors.Rank, part.Tensors.Size);
        }
        return tensors;

        Tensor Whole(string name, int[] shape, ulong stream)
        {
            var tensor = Tensor.Zeros(DType.Float32, shape);
            if (shape.Length == 1)
            {
                if (name.EndsWith(".weight", StringComparison.Ordinal)) TensorMath.Fill(tensor, 1);
                return tensor;
            }
            // The projections of one call count one by one: the two halves of the gated layer, and query, key and value.
            int fanOut = isGated && name.EndsWith("dense_h_to_4h.weight", StringComparison.Ordinal) ? shape[0] / 2 : IsProjection(name) ? shape[0] / 3 : shape[0];
            TensorMath.FillNormal(tensor, gain(name) * Math.Sqrt(2.0 / (fanOut + shape[1])), seed, stream);
            finish?.Invoke(name, tensor);
            return tensor;
        }
    }

    private static void ScaleValues(Tensor qkv, Glm130BConfig config, float beta, bool originalQkvGain)
    {
        int hidden = config.HiddenSize, size = config.HeadSize;
        for (int row = 0; row < qkv.Rows; row++)
        {
            bool scaled = originalQkvGain ? row >= 2 * hidden : row / size % 3 == 2;
            if (!scaled) continue;
            var values = qkv.Slice(row, 1);
            float[] scaledRow = Array.ConvertAll(values.ToArray(), x => x * beta);
            values.CopyFrom(scaledRow);
        }
    }
}
