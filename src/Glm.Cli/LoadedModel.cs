using System.Diagnostics;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Cli;

/// <summary>A model that is ready to compute, with its vocabulary and threads.</summary>
internal sealed class LoadedModel : IDisposable
{
    private LoadedModel(string path, LanguageModel model, Tokenizer tokenizer, Workers workers, TimeSpan loadTime)
    {
        Path = path;
        Model = model;
        Tokenizer = tokenizer;
        Workers = workers;
        LoadTime = loadTime;
    }

    public string Path { get; }

    public LanguageModel Model { get; }

    public Tokenizer Tokenizer { get; }

    public Workers Workers { get; }

    public TimeSpan LoadTime { get; }

    /// <summary>Opens a model directory, or the shipped model.</summary>
    /// <exception cref="GlmException">It cannot be read, or its vocabulary does not fit its weights.</exception>
    public static LoadedModel Open(string? path, int threads, IceOptions? ice = null)
    {
        var clock = Stopwatch.StartNew();
        string directory = ModelLocation.OrShipped(path);
        if (!Directory.Exists(directory) && Presets.Find(directory) is not null) throw new GlmException($"{directory}: expected the directory of a model, found the name of a shape without weights");
        var model = ModelDirectory.Load(directory);
        var tokenizer = Tokenizer.Load(directory, ice);
        if (tokenizer.VocabularySize > model.VocabSize)
            throw new GlmException($"{Tokenizer.FileOf(directory)}: expected at most the model's {model.VocabSize} ids, found {tokenizer.VocabularySize}");
        var workers = new Workers(threads);
        return new LoadedModel(directory, model.Packed(workers), tokenizer, workers, clock.Elapsed);
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
        if (type.IsFloat()) return Rounded(Model, tensor => type);
        var quantised = Quantization.Quantize(Model, type == DType.Int8 ? 8 : 4, Workers, progress, cancellation);
        return Rounded(quantised, tensor => tensor.Type == DType.Float32 ? DType.BFloat16 : tensor.Type);
    }

    private static LanguageModel Rounded(LanguageModel model, Func<Tensor, DType> type)
    {
        var tensors = model.Parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Tensor);
        return model.Config.Create(name => tensors[name] is { Shape.Length: > 1 } matrix ? matrix.To(type(matrix)) : tensors[name]);
    }

    public void Dispose() => Workers.Dispose();
}
