namespace Glm.Cli.Tests;

public sealed class PretrainTests(Vocabulary vocabulary) : IClassFixture<Vocabulary>
{
    private const string Shape = """
        {"model_type": "glm-130b", "num_layers": 2, "hidden_size": 32, "inner_hidden_size": 64, "num_attention_heads": 2, "vocab_size": 480, "max_sequence_length": 64}
        """;

    private string Config(TemporaryFolder folder, int samples)
    {
        CommandRun.Of("data", "prepare", folder.Write("a.jsonl", TinyText.JsonLines(20)), "--tokenizer", vocabulary.Path, "--output", folder["data"], "--quiet").Success();
        folder.Write("shape.json", Shape);
        File.Copy(vocabulary.Path, folder["tokenizer.model"]);
        return Write(folder, samples);
    }

    private static string Write(TemporaryFolder folder, int samples) => folder.Write("run.json", $$"""
        { "model": "shape.json", "tokenizer": "tokenizer.model", "data": [{ "path": "data" }], "output": "run", "train_samples": {{samples}},
          "seq_length": 64, "length_per_sample": 60, "micro_batch": 2, "global_batch": 4, "lr": 1e-3, "min_lr": 1e-4, "save_interval": 2 }
        """);

    [Fact]
    public void A_run_ends_with_a_model_that_can_be_used()
    {
        using var folder = new TemporaryFolder();
        var run = CommandRun.Of("pretrain", "--config", Config(folder, samples: 12), "--threads", "1");
        Assert.Contains("3 steps", run.Success());
        Assert.Contains("loss", run.Error);
        Assert.Equal(3, File.ReadAllLines(folder["run/log.jsonl"]).Length);
        CommandRun.Of("generate", "--model", folder["run/model"], "--max-new-tokens", "3", "The [MASK] sea").Success();
    }

    [Fact]
    public void A_run_that_has_begun_goes_on_only_when_asked()
    {
        using var folder = new TemporaryFolder();
        string config = Config(folder, samples: 8);
        Assert.Contains("checkpoint", CommandRun.Of("pretrain", "--config", config, "--resume", "--quiet").Reason());
        CommandRun.Of("pretrain", "--config", config, "--quiet").Success();
        Assert.Contains("--resume", CommandRun.Of("pretrain", "--config", config, "--quiet").Reason());
        CommandRun.Of("pretrain", "--config", config, "--resume", "--quiet").Success();
    }

    [Fact]
    public void A_truncated_checkpoint_is_passed_over_and_without_another_refused()
    {
        using var folder = new TemporaryFolder();
        string config = Config(folder, samples: 16);
        CommandRun.Of("pretrain", "--config", config, "--quiet").Success();
        string[] checkpoints = [.. Directory.GetFiles(folder["run/checkpoints"], "rank-00000.safetensors", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        Assert.Equal(2, checkpoints.Length);
        Truncate(checkpoints[1]);
        var resumed = CommandRun.Of("pretrain", "--config", config, "--resume", "--quiet");
        Assert.Contains("4 steps", resumed.Success());
        Assert.Contains("step-00000004", resumed.Error);
        foreach (string file in Directory.GetFiles(folder["run/checkpoints"], "rank-00000.safetensors", SearchOption.AllDirectories)) Truncate(file);
        var refused = CommandRun.Of("pretrain", "--config", config, "--resume", "--quiet");
        Assert.Equal(CommandLine.Failure, refused.Code);
        Assert.Contains("checkpoint", refused.Error.TrimEnd('\n').Split('\n')[^1]);

        static void Truncate(string file) => File.WriteAllBytes(file, File.ReadAllBytes(file)[..^100]);
    }

    [Fact]
    public void An_interrupted_run_saves_and_is_130()
    {
        using var folder = new TemporaryFolder();
        string config = Config(folder, samples: 8);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        CommandRun.With("", interactive: false, cancelled.Token, "pretrain", "--config", config, "--quiet").Reason(CommandLine.Interrupted);
        Assert.False(Directory.Exists(folder["run/model"]));
    }

    [Theory]
    [InlineData("\"lr\": 1e-3", "\"lr\": -1", "lr")]
    [InlineData("\"lr\": 1e-3", "\"rate\": 1", "rate")]
    [InlineData("\"path\": \"data\"", "\"path\": \"nowhere\"", "nowhere")]
    [InlineData("\"micro_batch\": 2", "\"micro_batch\": 3", "global_batch")]
    [InlineData("shape.json", "glm-0", "glm-0")]
    [InlineData("tokenizer.model", "other.model", "other.model")]
    public void Impossible_configurations_are_refused(string was, string becomes, string named)
    {
        using var folder = new TemporaryFolder();
        string config = Config(folder, samples: 8), text = File.ReadAllText(config);
        Assert.Contains(was, text);
        File.WriteAllText(config, text.Replace(was, becomes));
        Assert.Contains(named, CommandRun.Of("pretrain", "--config", config, "--quiet").Reason());
    }

    [Theory]
    [InlineData("manifest.json", 30)]
    [InlineData("shard-00000.bin", 100)]
    [InlineData("shard-00000.bin", -1)]
    public void Truncated_and_missing_training_data_is_refused(string name, int length)
    {
        using var folder = new TemporaryFolder();
        string config = Config(folder, samples: 8), file = folder["data/" + name];
        if (length < 0) File.Delete(file);
        else File.WriteAllBytes(file, File.ReadAllBytes(file)[..length]);
        Assert.Contains(name, CommandRun.Of("pretrain", "--config", config, "--quiet").Reason());
    }

    [Fact]
    public void Data_of_another_vocabulary_is_refused()
    {
        using var folder = new TemporaryFolder();
        string config = Config(folder, samples: 8);
        using var other = new Vocabulary(TinyText.VocabularySize - 8);
        File.Copy(other.Path, folder["tokenizer.model"], overwrite: true);
        CommandRun.Of("pretrain", "--config", config, "--quiet").Reason();
    }
}
