using Glm.Tensors;

namespace Glm.Models;

/// <summary>What a configuration takes in memory, without allocating any.</summary>
public static class ModelSize
{
    /// <summary>
    /// Bytes of the parameters. For <see cref="DType.Int8"/> and <see cref="DType.Int4"/> the matrices of <see cref="ModelConfig.IsQuantizable"/> are stored so,
    /// with one float16 scale per output row, and everything else in 16 bits (spec 6.1).
    /// </summary>
    public static long WeightBytes(ModelConfig config, DType type)
    {
        bool quantised = !type.IsFloat();
        long bytes = 0;
        foreach (var (name, shape) in config.Parameters())
        {
            long count = shape.Aggregate(1L, (product, size) => product * size);
            if (!quantised) bytes += type.Bytes(count);
            else if (config.IsQuantizable(name)) bytes += type.Bytes(count) + DType.Float16.Bytes(shape[0]);
            else bytes += DType.Float16.Bytes(count);
        }
        return bytes;
    }

    /// <summary>Bytes of the parameters of a model as they are, scales included.</summary>
    public static long WeightBytes(LanguageModel model) =>
        model.Parameters.Select(parameter => parameter.Tensor).Distinct().Sum(tensor => tensor.Bytes + (tensor.Scales?.Bytes ?? 0));

    /// <summary>Bytes of keys and values, with the scales of int8, that one token adds to the cache (spec 1.9).</summary>
    public static long CacheBytesPerToken(ModelConfig config, DType type) => config.Shape.Layers * CachedAttentionOperation.TokenBytes(type, config.Shape.Heads);
}
