using System.Diagnostics;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Cli;

/// <summary>A model that is ready to compute, with its vocabulary and threads.</summary>
internal sealed class LoadedModel : IDisposable
{
    private readonly LimitedMemory _limited;

    private readonly DType _cacheType;

    private LoadedModel(string path, LimitedMemory limited, DType cacheType, Tokenizer tokenizer, Workers workers, TimeSpan loadTime)
    {
        _limited = limited;
        _cacheType = cacheType;
        Path = path;
        Tokenizer = tokenizer;
        Workers = workers;
        LoadTime = loadTime;
    }

    public string Path { get; }

    public LanguageModel Model => _limited.Model;

    public Tokenizer Tokenizer { get; }

    public Workers Workers { get; }

    public TimeSpan LoadTime { get; }

    /// <summary>A session over the model, or over another one of its shape, on the same threads.</summary>
    public Session NewSession(LanguageModel? other = null) => new(other ?? Model, Workers, cacheType: _cacheType);

    /// <summary>Opens the directory or GGUF file of a model, or the shipped model.</summary>
    /// <param name="terminal">Where progress and warnings go.</param>
    /// <param name="path">The directory or file; the shipped model if null.</param>
    /// <param name="threads">Threads to compute with.</param>
    /// <param name="memory">Bytes that the process may take (<see cref="Options.Memory"/>).</param>
    /// <param name="cacheType">How sessions store keys and values (<see cref="Options.KvCache"/>).</param>
    /// <param name="ice">How GLM-130B's own tokenizer treats text.</param>
    /// <param name="quiet">No progress.</param>
    /// <param name="adapter">Directory of an adapter to run the model with.</param>
    /// <param name="cancellation">Stops the packing of weights.</param>
    /// <exception cref="GlmException">It cannot be read, or its vocabulary does not fit its weights.</exception>
    public static LoadedModel Open(
        Terminal terminal, string? path, int threads, long? memory = null, DType cacheType = Options.DefaultCacheType, IceOptions? ice = null, bool quiet = false,
        string? adapter = null, CancellationToken cancellation = default)
    {
        var clock = Stopwatch.StartNew();
        string location = ModelLocation.OrShipped(path);
        if (!Directory.Exists(location) && Presets.Find(location) is not null) throw new GlmException($"{location}: expected the directory of a model, found the name of a shape without weights");
        var workers = new Workers(threads);
        try
        {
            var limited = ModelFile.Open(location, workers, memory, tokens: null, cacheType, terminal, quiet, adapter, cancellation);
            var tokenizer = VocabularyLocation.Open(location, ice);
            if (tokenizer.VocabularySize > limited.Model.VocabSize)
                throw new GlmException($"{location}: expected a vocabulary of at most the model's {limited.Model.VocabSize} ids, found {tokenizer.VocabularySize}");
            return new LoadedModel(location, limited, cacheType, tokenizer, workers, clock.Elapsed);
        }
        catch
        {
            workers.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The model with its matrices in another precision: of a floating-point type by rounding each; int8 and int4 as the original quantises, with 16 bits for
    /// what is not quantised.
    /// </summary>
    /// <exception cref="GlmException">The model is quantised already, or its weights cannot be.</exception>
    public LanguageModel In(DType type, IProgress<double>? progress = null, CancellationToken cancellation = default)
    {
        if (Model.Parameters.Any(parameter => parameter.Tensor.Scales is not null))
            throw new GlmException($"{Path}: expected floating-point matrices, found quantised ones");
        if (Model.Parameters.Any(parameter => parameter.Tensor.Addition is not null))
            throw new GlmException($"{Path}: expected matrices that an adapter was merged into, found an adapter beside them; without --memory it is merged");
        if (type.IsFloat()) return Rounded(Model, tensor => type);
        var quantised = Quantization.Quantize(Model, type == DType.Int8 ? 8 : 4, Workers, progress, cancellation);
        return Rounded(quantised, tensor => tensor.Type == DType.Float32 ? DType.BFloat16 : tensor.Type);
    }

    private static LanguageModel Rounded(LanguageModel model, Func<Tensor, DType> type)
    {
        var tensors = model.Parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Tensor);
        return model.With(name => tensors[name] is { Shape.Length: > 1 } matrix ? matrix.To(type(matrix)) : tensors[name]);
    }

    public void Dispose()
    {
        _limited.Dispose();
        Workers.Dispose();
    }
}
