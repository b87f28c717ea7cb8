namespace Glm.Cli.Tests;

/// <summary>Models that are missing, truncated or impossible: one line of reason that names the file, in every command that opens one.</summary>
public sealed class DamagedModelTests(TinyModel model) : IClassFixture<TinyModel>
{
    [Theory]
    [InlineData("config.json")]
    [InlineData("model.safetensors")]
    public void Missing_files(string name)
    {
        using var folder = new TemporaryFolder();
        string copy = model.CopyTo(folder);
        File.Delete(Path.Combine(copy, name));
        Assert.Contains(name, Info(copy));
        Assert.Contains(name, Generate(copy));
    }

    [Fact]
    public void A_missing_tokenizer_is_missed_only_where_it_is_needed()
    {
        using var folder = new TemporaryFolder();
        string copy = model.CopyTo(folder);
        File.Delete(Path.Combine(copy, "tokenizer.model"));
        CommandRun.Of("info", copy).Success();
        Assert.Contains("tokenizer.model", Generate(copy));
    }

    [Theory]
    [InlineData("model.safetensors", 0)]
    [InlineData("model.safetensors", 5)]
    [InlineData("model.safetensors", 300)]
    [InlineData("model.safetensors", -1)]
    [InlineData("config.json", 0)]
    [InlineData("config.json", 40)]
    [InlineData("tokenizer.model", 0)]
    [InlineData("tokenizer.model", 500)]
    public void Truncated_files(string name, int length)
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(model.CopyTo(folder), name);
        byte[] whole = File.ReadAllBytes(file);
        File.WriteAllBytes(file, whole[..(length < 0 ? whole.Length + length : length)]);
        Assert.Contains(name, Info(folder["copy"]));
        Assert.Contains(name, Generate(folder["copy"]));
    }

    [Theory]
    [InlineData("\"num_attention_heads\": 2", "\"num_attention_heads\": 5", "num_attention_heads")]
    [InlineData("\"num_layers\": 2", "\"num_layers\": 0", "num_layers")]
    [InlineData("\"num_layers\": 2", "\"num_layers\": 3", "transformer.layers.2")]
    [InlineData("\"hidden_size\": 32", "\"hidden_size\": -32", "hidden_size")]
    [InlineData("\"hidden_size\": 32", "\"hidden_size\": 1000000000", "hidden_size")]
    [InlineData("\"hidden_size\": 32", "\"hidden_size\": \"wide\"", "hidden_size")]
    [InlineData("\"hidden_size\": 32,", "", "hidden_size")]
    [InlineData("\"model_type\": \"glm-130b\"", "\"model_type\": \"glm-5\"", "model_type")]
    public void Impossible_configurations(string was, string becomes, string named)
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(model.CopyTo(folder), "config.json"), text = File.ReadAllText(file);
        Assert.Contains(was, text);
        File.WriteAllText(file, text.Replace(was, becomes));
        Assert.Contains(named, Generate(folder["copy"]));
    }

    [Fact]
    public void A_vocabulary_larger_than_the_embedding()
    {
        using var folder = new TemporaryFolder();
        using var larger = new Vocabulary(TinyText.VocabularySize + 8);
        File.Copy(larger.Path, Path.Combine(model.CopyTo(folder), "tokenizer.model"), overwrite: true);
        Assert.Contains($"{TinyText.VocabularySize}", Generate(folder["copy"]));
    }

    [Fact]
    public void A_preset_has_no_weights() => Assert.Contains("without weights", Generate("glm-3m"));

    private static string Info(string path) => CommandRun.Of("info", path).Reason();

    private static string Generate(string path) => CommandRun.Of("generate", "--model", path, "--max-new-tokens", "2", "The [MASK].").Reason();
}
