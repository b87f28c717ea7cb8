using System.Text.Json;
using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Cli.Tests;

/// <summary>Adapters beside a GGUF file, through the commands.</summary>
public sealed class AdapterTests : IDisposable
{
    private const string Module = "base_model.model.transformer.encoder.layers.1.self_attention.query_key_value.";

    private readonly TemporaryFolder _folder = new();
    private readonly Random _random = new(9);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0u, true)]
    [InlineData(8u, true)]
    [InlineData(0u, false)]
    [InlineData(8u, false)]
    public void Every_command_runs_the_adapted_model(uint matrixType, bool lora)
    {
        string model = Model(matrixType), adapter = lora ? Lora() : Prefix();
        string[] with = ["--model", model, "--adapter", adapter];
        // What is scored in one pass is what the logits of cached tokens say.
        var tokens = CommandRun.Of(["score", .. with, "--json", "Hello you"]).Json().GetProperty("tokens").EnumerateArray().ToArray();
        int[] ids = [TinyGguf.FirstSpecial + 1, TinyGguf.FirstSpecial + 3, .. tokens.Select(token => token.GetProperty("id").GetInt32())];
        double[][] logits = Logits(with, ids);
        for (int i = 0; i < tokens.Length; i++)
        {
            double sum = Math.Log(logits[i + 1].Sum(Math.Exp));
            Assert.Equal(logits[i + 1][ids[i + 2]] - sum, tokens[i].GetProperty("log_probability").GetDouble(), 1e-3);
        }
        Assert.True(Logits(["--model", model], ids)[^1].Zip(logits[^1], (a, b) => Math.Abs(a - b)).Max() > 1e-2);
        // The first token that is generated is the most probable one.
        var generated = CommandRun.Of(["generate", .. with, "--strategy", "greedy", "--max-new-tokens", "3", "--quiet", "--json", "Hello you"]).Json();
        Assert.Equal(Array.IndexOf(logits[^1], logits[^1].Max()), generated.GetProperty("ids")[ids.Length - 2].GetInt32());
        CommandRun Chat(string input, params string[] adapted) => CommandRun.WithInput(input, ["chat", "--model", model, "--strategy", "greedy", "--max-new-tokens", "12", "--quiet", .. adapted]);
        string answers = Chat("Hi\nYou\n", "--adapter", adapter).Success();
        Assert.StartsWith(Chat("Hi\n", "--adapter", adapter).Success(), answers);
        Assert.NotEqual(Chat("Hi\nYou\n").Success(), answers);
    }

    [Fact]
    public void A_limited_memory_keeps_the_adapter_beside_the_matrices()
    {
        string model = Model(0), adapter = Lora();
        double[] merged = Logits(["--model", model, "--adapter", adapter], [1, 2, 3])[^1], beside = Logits(["--model", model, "--adapter", adapter, "--memory", "1GB"], [1, 2, 3])[^1];
        foreach (var (a, b) in merged.Zip(beside)) Assert.Equal(a, b, 1e-4);
    }

    /// <summary>Bits per byte over cached keys and values see the virtual tokens as those without a cache do.</summary>
    [Fact]
    public void Evaluation_over_a_cache_sees_virtual_tokens()
    {
        string[] eval = ["eval", "--model", Model(0), "--tasks", "bits-per-byte", "--data", _folder.Write("text.txt", "The old farmer paints the winter sea."), "--quiet", "--json"];
        double Bits(params string[] more) => CommandRun.Of([.. eval, .. more]).Json().GetProperty("metrics").GetProperty("bits_per_byte").GetDouble();
        double adapted = Bits("--adapter", Prefix());
        Assert.Equal(adapted, Bits("--adapter", _folder["prefix"], "--kv-cache", "fp32"), 1e-4);
        Assert.True(Math.Abs(Bits() - adapted) > 0.05);
    }

    [Fact]
    public void What_is_no_adapter_is_refused()
    {
        string model = Model(0);
        Assert.Contains(_folder["none"], CommandRun.Of("logits", "--model", model, "--adapter", _folder["none"], "--ids", "1").Reason());
        Assert.Contains("no *.safetensors", CommandRun.Of("logits", "--model", model, "--adapter", Directory.CreateDirectory(_folder["empty"]).FullName, "--ids", "1").Reason());
    }

    private static double[][] Logits(string[] model, int[] ids) =>
        [.. CommandRun.Of(["logits", .. model, "--ids", string.Join(',', ids), "--all", "--json"]).Json().GetProperty("logits").EnumerateArray()
            .Select(row => row.EnumerateArray().Select(value => value.GetDouble()).ToArray())];

    private string Model(uint matrixType)
    {
        File.WriteAllBytes(_folder["chat.gguf"], new TinyGguf { WithVocabulary = true, MatrixType = matrixType }.ToArray());
        return _folder["chat.gguf"];
    }

    private string Lora()
    {
        string folder = Directory.CreateDirectory(_folder["lora"]).FullName;
        File.WriteAllText(Path.Combine(folder, "adapter_config.json"), JsonSerializer.Serialize(new { peft_type = "LORA", r = 2, lora_alpha = 8 }));
        TorchWriter.Write(Path.Combine(folder, "adapter_model.bin"), [Entry(Module + "lora_A.weight", 2, TinyGguf.Hidden), Entry(Module + "lora_B.weight", (TinyGguf.Heads + 2 * TinyGguf.Groups) * TinyGguf.HeadSize, 2)]);
        return folder;
    }

    private string Prefix()
    {
        string folder = Directory.CreateDirectory(_folder["prefix"]).FullName;
        TorchWriter.Write(Path.Combine(folder, "pytorch_model.bin"), [Entry("transformer.prefix_encoder.embedding.weight", 7, 2 * TinyGguf.Layers * TinyGguf.Groups * TinyGguf.HeadSize)]);
        return folder;
    }

    private TensorEntry Entry(string name, int rows, int columns)
    {
        var tensor = Tensor.From([.. Enumerable.Range(0, rows * columns).Select(_ => 2 * _random.NextSingle() - 1)], rows, columns);
        return new TensorEntry(name, DType.Float32, [rows, columns], () => tensor);
    }
}
