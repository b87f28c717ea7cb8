using System.Security.Cryptography;
using Glm.Models;
using Glm.Tokenizers;
using Glm.Training;

namespace Glm.Tests;

/// <summary>A training run small enough for tests: a vocabulary, prepared ids and a configuration in a temporary folder.</summary>
internal sealed class TinyRun : IDisposable
{
    private static readonly string[] Words = "the cat sat on a mat and saw old dogs run over green hills while rain fell softly 春天 来了 山上 有花".Split(' ');

    /// <param name="options">Fields that are added to the configuration or stand in for others.</param>
    /// <param name="shape">The model; a small GLM if null.</param>
    public TinyRun(string options = "", ModelConfig? shape = null)
    {
        Directory.CreateDirectory(Folder);
        string text = string.Join('\n', Enumerable.Range(0, 400).Select(Line));
        var vocabulary = UnigramTrainer.Train([text], new UnigramTrainerOptions { VocabularySize = 400, Threads = 1 });
        vocabulary.Save(In("tokenizer.model"));
        File.WriteAllText(In("text.txt"), text);
        Prepare("text.txt", "data");
        shape ??= new Glm130BConfig { NumLayers = 2, HiddenSize = 32, InnerHiddenSize = 80, NumAttentionHeads = 2, VocabSize = 400, MaxSequenceLength = 64 };
        File.WriteAllText(In("shape.json"), shape.ToJson());
        File.WriteAllText(In("run.json"), $$"""
            {
              "model": "shape.json", "tokenizer": "tokenizer.model", "data": [{ "path": "data" }], "validation": [{ "path": "data" }], "output": "run",
              "seq_length": 64, "length_per_sample": 56, "train_samples": 48, "micro_batch": 2, "global_batch": 4, "lr": 3e-3, "min_lr": 3e-4,
              "warmup_samples": 8, "hidden_dropout": 0.1, "attention_dropout": 0.1, "save_interval": 3, "eval_interval": 4, "eval_samples": 4{{options}}
            }
            """);
    }

    public string Folder { get; } = Directory.CreateTempSubdirectory("glm-run-").FullName;

    public string In(string name) => Path.Combine(Folder, name);

    /// <summary>Options of a run one in twenty of whose samples is noise, at which the loss rises once the others have been learned.</summary>
    public const string Noisy = """, "data": [{ "path": "data", "weight": 0.95 }, { "path": "noise", "weight": 0.05 }], "lr": 1e-2, "train_samples": 200""";

    /// <summary>A run with such options.</summary>
    public static TinyRun WithNoise(string options)
    {
        var run = new TinyRun(Noisy + options);
        var random = new CounterRandom(8, 0);
        File.WriteAllText(run.In("noise.txt"), string.Concat(Enumerable.Range(0, 4000).Select(_ => (char)('!' + random.NextInt(90)))));
        run.Prepare("noise.txt", "noise");
        return run;
    }

    public TrainingConfig Config => TrainingConfig.Load(In("run.json"));

    /// <summary>All master weights, bit by bit.</summary>
    public static string Fingerprint(Trainer trainer)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (_, tensor) in trainer.Weights)
        {
            byte[] bytes = new byte[tensor.Bytes];
            tensor.CopyBytesTo(bytes);
            hash.AppendData(bytes);
        }
        return System.Convert.ToHexString(hash.GetHashAndReset());
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private void Prepare(string text, string output)
    {
        var tokenizer = Tokenizer.Load(In("tokenizer.model"));
        new DataPreparer(new DataPrepareOptions
        {
            Encode = tokenizer.Encode,
            VocabularySize = tokenizer.VocabularySize,
            EodId = tokenizer.Special.Eod!.Value,
            TokenizerHash = System.Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(In("tokenizer.model")))),
        }).Prepare([In(text)], In(output));
    }

    private static string Line(int number)
    {
        var random = new CounterRandom(7, (ulong)number);
        return string.Join(' ', Enumerable.Range(0, 12).Select(_ => Words[random.NextInt(Words.Length)])) + ".";
    }
}
