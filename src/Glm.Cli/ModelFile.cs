using Glm.Models;
using Glm.Tensors;

namespace Glm.Cli;

/// <summary>A model of any architecture and format, without its vocabulary.</summary>
internal static class ModelFile
{
    /// <summary>Opens a directory or a GGUF file; quantised matrices are packed for the kernels.</summary>
    /// <exception cref="GlmException">There is no such model, or it cannot be read.</exception>
    public static LanguageModel Open(string path, Workers workers, IProgress<PackingProgress>? progress, Action<string>? warn, CancellationToken cancellation) =>
        Directory.Exists(path) ? ModelDirectory.Load(path).Packed(workers)
        : File.Exists(path) ? GgufModel.LoadPacked(path, workers, progress, warn, cancellation)
        : throw new GlmException($"{path}: expected the directory or GGUF file of a model, found none");
}
