using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Cli;

/// <summary>Opens models and tells the terminal how far the packing of their weights is.</summary>
internal static class Opening
{
    /// <inheritdoc cref="LoadedModel.Open"/>
    public static LoadedModel Load(
        Terminal terminal, string? path, int threads, long? memory = null, DType cacheType = Options.DefaultCacheType, IceOptions? ice = null, bool quiet = false,
        string? adapter = null, string? tokenizer = null, CancellationToken cancellation = default)
    {
        using var line = new ProgressLine(terminal, quiet);
        var options = new LoadOptions { Threads = threads, Memory = memory, CacheType = cacheType, Ice = ice, Adapter = adapter, Tokenizer = tokenizer, Ranks = terminal.World };
        return LoadedModel.Open(path, options, Packing(line), terminal.Error.WriteLine, cancellation);
    }

    /// <inheritdoc cref="ModelFile.Open"/>
    public static LimitedMemory Model(Terminal terminal, string path, Workers workers, long? memory, int? tokens, DType cacheType, bool quiet, string? adapter, CancellationToken cancellation)
    {
        using var line = new ProgressLine(terminal, quiet);
        return ModelFile.Open(path, workers, memory, tokens, cacheType, adapter, Packing(line), terminal.Error.WriteLine, terminal.World, cancellation);
    }

    /// <summary>Shows the packing on a line.</summary>
    public static IProgress<PackingProgress> Packing(ProgressLine line) =>
        new DirectProgress<PackingProgress>(state => line.Show($"packing the weights: {Units.Bytes(state.DoneBytes)} of {Units.Bytes(state.TotalBytes)}"));
}
