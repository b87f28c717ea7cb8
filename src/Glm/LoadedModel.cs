using System.Diagnostics;
using Glm.Distributed;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm;

/// <summary>How a model is opened.</summary>
public sealed record LoadOptions
{
    /// <summary>Threads to compute with.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Bytes that the process may take; weights that do not fit are read from disk for every token. As many as it needs if null.</summary>
    public long? Memory { get; init; }

    /// <summary>How keys and values of past tokens are stored.</summary>
    public DType CacheType { get; init; } = DType.BFloat16;

    /// <summary>Bytes for the keys and values of requests that share the model; an eighth of the machine's if null, but no more than a full batch could use.</summary>
    public long? KvMemory { get; init; }

    /// <summary>How GLM-130B's own tokenizer treats text.</summary>
    public IceOptions? Ice { get; init; }

    /// <summary>Where the vocabulary lies, if not with the model.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>Directory of an adapter to run the model with.</summary>
    public string? Adapter { get; init; }

    /// <summary>Directory or GGUF file of a smaller model with the same vocabulary, which guesses tokens ahead for the model to check.</summary>
    public string? Draft { get; init; }

    /// <summary>Processes that share the model; this one alone if null.</summary>
    public ProcessGroup? Ranks { get; init; }
}

/// <summary>A model that is ready to compute, with its vocabulary and threads.</summary>
public sealed class LoadedModel : IDisposable
{
    private readonly LimitedMemory _limited;

    private LoadedModel(string path, LimitedMemory limited, LanguageModel? draft, DType cacheType, Tokenizer tokenizer, Workers workers, TimeSpan loadTime)
    {
        _limited = limited;
        Draft = draft;
        CacheType = cacheType;
        Path = path;
        Tokenizer = tokenizer;
        Workers = workers;
        LoadTime = loadTime;
    }

    /// <summary>The directory or file.</summary>
    public string Path { get; }

    /// <summary>The model.</summary>
    public LanguageModel Model => _limited.Model;

    /// <summary>The model that guesses tokens ahead, if there is one (<see cref="LoadOptions.Draft"/>).</summary>
    public LanguageModel? Draft { get; }

    /// <summary>The vocabulary.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Threads to compute with.</summary>
    public Workers Workers { get; }

    /// <summary>How long it took to open.</summary>
    public TimeSpan LoadTime { get; }

    /// <summary>How sessions store keys and values.</summary>
    public DType CacheType { get; }

    /// <summary>A session over the model, or over another one of its shape, on the same threads.</summary>
    public Session NewSession(LanguageModel? other = null) => new(other ?? Model, Workers, cacheType: CacheType);

    /// <summary>Opens the directory or GGUF file of a model, or the shipped model.</summary>
    /// <param name="path">The directory or file; the shipped model if null.</param>
    /// <param name="options">How.</param>
    /// <param name="progress">Hears of the packing of weights, if there is any.</param>
    /// <param name="warn">Hears why the packed file could not be kept.</param>
    /// <param name="cancellation">Stops the packing.</param>
    /// <exception cref="GlmException">It cannot be read, or its vocabulary does not fit its weights.</exception>
    public static LoadedModel Open(
        string? path = null, LoadOptions? options = null, IProgress<PackingProgress>? progress = null, Action<string>? warn = null, CancellationToken cancellation = default)
    {
        options ??= new LoadOptions();
        var clock = Stopwatch.StartNew();
        string location = ModelLocation.OrShipped(path);
        if (!Directory.Exists(location) && Presets.Find(location) is not null) throw new GlmException($"{location}: expected the directory of a model, found the name of a shape without weights");
        var workers = new Workers(options.Threads);
        try
        {
            var limited = ModelFile.Open(location, workers, options.Memory, tokens: null, options.CacheType, options.Adapter, progress, warn, options.Ranks, cancellation);
            var tokenizer = VocabularyLocation.Open(options.Tokenizer ?? location, options.Ice);
            if (tokenizer.VocabularySize > limited.Model.VocabSize)
                throw new GlmException($"{location}: expected a vocabulary of at most the model's {limited.Model.VocabSize} ids, found {tokenizer.VocabularySize}");
            var draft = options.Draft is null ? null : OpenDraft(options, tokenizer, workers, progress, warn, cancellation);
            return new LoadedModel(location, limited, draft, options.CacheType, tokenizer, workers, clock.Elapsed);
        }
        catch
        {
            workers.Dispose();
            throw;
        }
    }

    private static LanguageModel OpenDraft(
        LoadOptions options, Tokenizer tokenizer, Workers workers, IProgress<PackingProgress>? progress, Action<string>? warn, CancellationToken cancellation)
    {
        if (options.Memory is not null) throw new GlmException("--draft-model: expected no limit of memory, in which a second model has no share");
        string location = ModelLocation.OrShipped(options.Draft);
        var model = ModelFile.Open(location, workers, progress: progress, warn: warn, cancellation: cancellation).Model;
        var other = VocabularyLocation.Open(location, options.Ice);
        if (other.VocabularySize != tokenizer.VocabularySize) throw new GlmException($"{location}: expected the vocabulary of the model, {tokenizer.VocabularySize} ids, found one of {other.VocabularySize}");
        for (int id = 0; id < tokenizer.VocabularySize; id++)
            if (!other.TokenBytes(id).AsSpan().SequenceEqual(tokenizer.TokenBytes(id))) throw new GlmException($"{location}: expected the vocabulary of the model, found one in which token {id} is another");
        return model;
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

    /// <summary>Ends the threads, and the reading of weights.</summary>
    public void Dispose()
    {
        _limited.Dispose();
        Workers.Dispose();
    }
}
