using Glm.Distributed;
using Glm.Models;
using Glm.Tensors;

namespace Glm;

/// <summary>A model of any architecture and format, without its vocabulary.</summary>
public static class ModelFile
{
    /// <summary>Opens a directory or a GGUF file, or this process' share of a directory; quantised matrices are packed for the kernels, which progress tells of.</summary>
    /// <param name="path">The directory or file.</param>
    /// <param name="workers">Threads to compute with.</param>
    /// <param name="memory">Bytes that the process may take; weights that do not fit stay on disk. As many as the model needs if null.</param>
    /// <param name="tokens">Tokens that will be cached, where a command knows.</param>
    /// <param name="cacheType">How their keys and values will be stored.</param>
    /// <param name="adapter">Directory of an adapter to run the model with.</param>
    /// <param name="progress">Hears of the packing.</param>
    /// <param name="warn">Hears why the packed file could not be kept.</param>
    /// <param name="ranks">Processes that share the model; this one alone if null.</param>
    /// <param name="cancellation">Stops the packing.</param>
    /// <exception cref="GlmException">There is no such model, it cannot be read, or the memory is too small.</exception>
    public static LimitedMemory Open(
        string path, Workers workers, long? memory = null, int? tokens = null, DType cacheType = DType.BFloat16, string? adapter = null, IProgress<PackingProgress>? progress = null,
        Action<string>? warn = null, ProcessGroup? ranks = null, CancellationToken cancellation = default)
    {
        if (ranks is { Size: > 1 })
        {
            if (memory is not null || adapter is not null) throw new GlmException("--memory, --adapter: expected neither under mpirun, where each rank has a share of the model in memory");
            if (!Directory.Exists(path)) throw new GlmException($"{path}: expected the directory of a model to share out among {ranks.Size} ranks");
            return new LimitedMemory(ModelDirectory.Load(path, ranks).Packed(workers), null, 0);
        }
        var model = PackedModel.Load(path, workers, progress, warn, cancellation);
        // Merged matrices would be copies, and those on disk cannot be changed.
        if (adapter is not null) model = Adapter.Apply(adapter, model, workers, merge: memory is null);
        if (memory is not { } bytes) return LimitedMemory.None(model);
        // What packing worked with is given back now, not when the collector sees fit.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return LimitedMemory.Fit(model, bytes, cacheType, tokens);
    }
}
