namespace Glm.Evaluation.Tests;

public sealed class ModelHashTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ModelHashTests()
    {
        foreach (string file in (string[])["config.json", "tokenizer.model", "model.safetensors"]) _folder.Write(file, file);
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("README.md")]
    [InlineData("measured.json")]
    [InlineData("loss.svg")]
    [InlineData("log/scaling.json")]
    [InlineData("log/tensorboard/events.out.tfevents.1.host.1.0")]
    public void WhatLiesBesideAModelDoesNotChangeIt(string file)
    {
        string before = ModelHash.Of(_folder.Path);
        _folder.Write(file, "something");
        Assert.Equal(before, ModelHash.Of(_folder.Path));
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("tokenizer.model")]
    [InlineData("model.safetensors")]
    [InlineData("1/mp_rank_00_model_states.pt")]
    public void ItsWeightsConfigurationAndTokenizerDo(string file)
    {
        string before = ModelHash.Of(_folder.Path);
        _folder.Write(file, "something");
        Assert.NotEqual(before, ModelHash.Of(_folder.Path));
    }
}
