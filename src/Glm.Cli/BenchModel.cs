using Glm.Models;
using Glm.Tensors;

namespace Glm.Cli;

/// <summary>The models that <c>glm bench</c> takes: a GGUF file, a model directory, or a named shape, which gets random weights; a quantised one on disk until the measurement is over.</summary>
internal sealed class BenchModel : IDisposable
{
    private readonly LimitedMemory _limited;
    private readonly string? _folder;

    private BenchModel(LimitedMemory limited, string? folder) => (_limited, _folder) = (limited, folder);

    /// <summary>The model.</summary>
    public LanguageModel Model => _limited.Model;

    /// <summary>What reads the weights that do not fit into memory, if any.</summary>
    public WeightStream? Stream => _limited.Stream;

    /// <summary>Bytes that every pass reads from disk.</summary>
    public long StreamedBytes => _limited.StreamedBytes;

    /// <summary>Opens a model; quantised matrices are packed for the kernels.</summary>
    /// <param name="path">The directory or file, or the name of a shape; the shipped model if null.</param>
    /// <param name="layers">Layers of a shape; all of them if null.</param>
    /// <param name="precision">What the layers of a shape are quantised to; bfloat16 if null.</param>
    /// <param name="workers">Threads to compute with.</param>
    /// <param name="memory">Bytes that the process may take (<see cref="Opening.Model"/>).</param>
    /// <param name="tokens">Tokens that will be cached.</param>
    /// <param name="cacheType">How their keys and values will be stored.</param>
    /// <param name="terminal">Where progress and warnings go.</param>
    /// <param name="quiet">No progress.</param>
    /// <param name="cancellation">Stops the packing.</param>
    /// <exception cref="GlmException">There is no such model, it cannot be read, or there is too little memory for it.</exception>
    public static BenchModel Open(
        string? path, int? layers, DType? precision, Workers workers, long? memory, int tokens, DType cacheType, Terminal terminal, bool quiet, CancellationToken cancellation)
    {
        string location = ModelLocation.OrShipped(path);
        var named = Directory.Exists(location) ? null : Presets.Shape(location);
        bool isFile = named is null && (Directory.Exists(location) || File.Exists(location));
        if (isFile && (layers ?? (object?)precision) is not null) throw new UsageException("--layers and --precision: only with the name of a shape");
        if (isFile) return new BenchModel(Opening.Model(terminal, location, workers, memory, tokens, cacheType, quiet, adapter: null, cancellation), null);
        if (named is not Glm130BConfig preset)
            throw new GlmException($"{location}: expected a GGUF file, the directory of a model, one of {string.Join(", ", Presets.All.Keys)}, or a config.json of the architecture {Glm130BConfig.Type}");
        var shape = preset with { NumLayers = layers ?? preset.NumLayers };
        if (precision is not { } type) return new BenchModel(new LimitedMemory(RandomModel.InMemory(location, shape), null, 0), null);

        string folder = Directory.CreateTempSubdirectory("glm-bench-").FullName;
        try
        {
            using (var line = new ProgressLine(terminal, quiet))
            {
                line.Show($"writing {Units.Bytes(ModelSize.WeightBytes(shape, type))} of random weights");
                RandomModel.Write(folder, shape, type, cancellation);
            }
            return new BenchModel(Opening.Model(terminal, folder, workers, memory, tokens, cacheType, quiet, adapter: null, cancellation), folder);
        }
        catch
        {
            Directory.Delete(folder, recursive: true);
            throw;
        }
    }

    public void Dispose()
    {
        _limited.Dispose();
        if (_folder is not null) Directory.Delete(_folder, recursive: true);
    }
}
