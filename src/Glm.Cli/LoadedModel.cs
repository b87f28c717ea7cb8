using System.Diagnostics;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Cli;

/// <summary>A model that is ready to compute, with its vocabulary and threads.</summary>
internal sealed class LoadedModel : IDisposable
{
    private LoadedModel(string path, Glm130B model, Tokenizer tokenizer, Workers workers, TimeSpan loadTime)
    {
        Path = path;
        Model = model;
        Tokenizer = tokenizer;
        Workers = workers;
        LoadTime = loadTime;
    }

    public string Path { get; }

    public Glm130B Model { get; }

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
        if (tokenizer.VocabularySize > model.Config.VocabSize)
            throw new GlmException($"{Tokenizer.FileOf(directory)}: expected at most the model's {model.Config.VocabSize} ids, found {tokenizer.VocabularySize}");
        return new LoadedModel(directory, model, tokenizer, new Workers(threads), clock.Elapsed);
    }

    /// <summary>A session for one caller.</summary>
    public Session NewSession() => new(Model, Workers);

    public void Dispose() => Workers.Dispose();
}
