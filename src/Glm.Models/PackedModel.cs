using Glm.Tensors;

namespace Glm.Models;

/// <summary>Models of any architecture and format with their quantised matrices in the order of the fastest kernels, as inference wants them.</summary>
public static class PackedModel
{
    /// <summary>Less than this is packed in memory each time: it takes no noticeable time, and leaves no file behind.</summary>
    private const long LeastFileBytes = 64 << 20;

    /// <summary>Loads a model from a directory or a GGUF file. Large quantised matrices come out of its packed file, which is made if there is none (<see cref="PackedWeights"/>).</summary>
    /// <param name="path">The directory or file.</param>
    /// <param name="workers">Threads to pack with.</param>
    /// <param name="progress">Hears of the packing, if there is any.</param>
    /// <param name="warn">Hears why the packed file could not be kept.</param>
    /// <param name="cancel">Stops the packing.</param>
    /// <exception cref="GlmException">There is no model, or it cannot be read.</exception>
    public static LanguageModel Load(
        string path, Workers workers, IProgress<PackingProgress>? progress = null, Action<string>? warn = null, CancellationToken cancel = default)
    {
        LanguageModel model = Directory.Exists(path) ? ModelDirectory.Load(path)
            : File.Exists(path) ? GgufModel.Load(path)
            : throw new GlmException($"{path}: expected the directory or GGUF file of a model, found none");
        // Of an embedding that is not the output matrix, rows are looked up; nothing is multiplied with it.
        (string Name, Tensor Tensor)[] matrices =
            [.. model.Parameters.Where(p => p.Tensor.IsQuantized && (p.Tensor != model.WordEmbeddings || p.Tensor == model.OutputMatrix)).DistinctBy(p => p.Tensor)];
        if (matrices.Sum(m => m.Tensor.Bytes) < LeastFileBytes) return model.Packed(workers);
        var packed = PackedWeights.Load(path, matrices, workers, progress, cancel);
        if (packed.Problem is not null) warn?.Invoke($"{path}: packed in memory, for this run alone: {packed.Problem}");
        var byTensor = matrices.ToDictionary(m => m.Tensor, m => packed.Tensors[m.Name]);
        var byName = model.Parameters.ToDictionary(p => p.Name, p => byTensor.GetValueOrDefault(p.Tensor, p.Tensor));
        return model.With(name => byName[name]);
    }
}
