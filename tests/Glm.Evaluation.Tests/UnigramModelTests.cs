using Glm.Inference.Tests;

namespace Glm.Evaluation.Tests;

public sealed class UnigramModelTests
{
    [Fact]
    public void CountsWithOneMoreOfEach()
    {
        var model = new UnigramModel(4);
        model.Add([1, 1, 2]);
        model.Add([1]);
        Assert.Equal(4, model.Tokens);
        Assert.Equal(-Math.Log(4.0 / 8), model.Nats([1]), 1e-12);
        Assert.Equal(-Math.Log(2.0 / 8) - Math.Log(1.0 / 8), model.Nats([2, 3]), 1e-12);
    }

    [Fact]
    public void ReadsTextFiles()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("a.txt", "The cat sat on the mat.");
        int[] ids = TinyModel.Tokenizer.Encode("The cat sat on the mat.");
        var counted = new UnigramModel(TinyModel.Tokenizer.VocabularySize);
        counted.Add(ids);
        var read = UnigramModel.FromTexts([path], TinyModel.Tokenizer);
        Assert.Equal(ids.Length, read.Tokens);
        Assert.Equal(counted.Nats(ids), read.Nats(ids), 1e-12);
    }
}
