using Glm.Models;

namespace Glm.Cli.Tests;

/// <summary>A model of a few thousand random weights with a tiny vocabulary, in a directory.</summary>
public sealed class TinyModel : IDisposable
{
    public const int MaxSequenceLength = 128;

    private readonly TemporaryFolder _folder = new();
    private readonly Vocabulary _vocabulary = new();

    public TinyModel()
    {
        var config = new Glm130BConfig
        {
            NumLayers = 2,
            HiddenSize = 32,
            InnerHiddenSize = 64,
            NumAttentionHeads = 2,
            VocabSize = TinyText.VocabularySize,
            MaxSequenceLength = MaxSequenceLength,
        };
        ModelDirectory.Save(Path, config, Initialization.DeepNorm(config, seed: 1).Select(tensor => (tensor.Key, tensor.Value)), tokenizer: _vocabulary.Path);
    }

    public string Path => _folder["model"];

    /// <summary>A copy that a test may damage.</summary>
    internal string CopyTo(TemporaryFolder folder)
    {
        Directory.CreateDirectory(folder["copy"]);
        foreach (string file in Directory.GetFiles(Path)) File.Copy(file, System.IO.Path.Combine(folder["copy"], System.IO.Path.GetFileName(file)));
        return folder["copy"];
    }

    public void Dispose()
    {
        _folder.Dispose();
        _vocabulary.Dispose();
    }
}
