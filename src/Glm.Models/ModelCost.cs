using Glm.Tensors;

namespace Glm.Models;

/// <summary>What computing with a model takes at least: bytes to read and operations to do, to compare measured speed with what a machine could do.</summary>
public static class ModelCost
{
    /// <summary>
    /// Bytes that a step of decoding reads: all weights once, of an embedding of its own one row per sequence, and the cached keys and values of every sequence.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="sequences">Sequences that each get one token.</param>
    /// <param name="past">Cached tokens of each.</param>
    /// <param name="cacheType">How they are stored.</param>
    public static double StepBytes(LanguageModel model, int sequences, double past, DType cacheType)
    {
        var embedding = model.WordEmbeddings;
        long weights = ModelSize.WeightBytes(model);
        double rows = 0;
        if (!ReferenceEquals(embedding, model.OutputMatrix))
        {
            weights -= embedding.Bytes;
            rows = (double)sequences * embedding.Bytes / embedding.Rows;
        }
        return weights + rows + sequences * past * ModelSize.CacheBytesPerToken(model.Config, cacheType);
    }

    /// <summary>
    /// Operations of a prompt in one pass, a multiplication and an addition counting as two: every matrix with every token, the output matrix with the
    /// last one, and the scores and sums of attention.
    /// </summary>
    public static double PromptOperations(LanguageModel model, int tokens)
    {
        double inLayers = model.Parameters.Where(p => model.Config.IsQuantizable(p.Name)).Sum(p => (double)p.Tensor.Count);
        double pairs = model.IsCausal ? tokens * (tokens + 1.0) / 2 : (double)tokens * tokens;
        double attention = 2 * pairs * model.NumLayers * model.Heads.Heads * model.Heads.HeadSize;
        return 2 * (inLayers * tokens + model.OutputMatrix.Count + attention);
    }
}
