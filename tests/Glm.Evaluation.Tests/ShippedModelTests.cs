using System.Text.Json;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Evaluation.Tests;

/// <summary>
/// The bits per byte that the shipped model was measured to have, <c>measured.json</c> beside it, stay what they are: a change of kernels, tokenizer, windows or weights
/// that moves one by half a percent is found here.
/// </summary>
public sealed class ShippedModelTests : IDisposable
{
    public const string English = "The old man went to the window and looked out at the river. It was raining, and the boats lay along the bank in the grey light of the morning.";
    public const string Chinese = "中国的历史很长，有许多朝代。在这些朝代里，人们写了很多书，也建造了很多城市。";

    private const double Drift = 0.005;

    private readonly TemporaryFolder _folder = new();
    private readonly Workers _workers = new();
    private readonly LocalModel _model;
    private readonly Measured _measured;

    public ShippedModelTests()
    {
        string path = TestFiles.ShippedModel;
        _measured = JsonSerializer.Deserialize<Measured>(File.ReadAllText(Path.Combine(path, "measured.json")), new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower })!;
        Assert.Equal("bf16", _measured.Precision);
        _model = new LocalModel(ModelDirectory.Load(path), _workers, Tokenizer.Load(path), new ModelIdentity { Name = "shipped", Location = path });
    }

    public void Dispose()
    {
        _model.Dispose();
        _workers.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void OfASentence()
    {
        foreach (var (language, sentence) in new[] { ("en", English), ("zh", Chinese) })
            Holds(_measured.Sentences[language], _folder.Write($"{language}.jsonl", JsonSerializer.Serialize(new { text = sentence })), null);
    }

    [DataFact]
    public void OfTheFirstDocuments()
    {
        foreach (var (file, value) in _measured.OfFirstDocuments) Holds(value, HeldOut(file), _measured.FirstDocuments);
    }

    [LongDataFact]
    public void OfAllDocuments()
    {
        foreach (var (file, value) in _measured.OfAllDocuments) Holds(value, HeldOut(file), null);
    }

    private static string HeldOut(string file) => Path.Combine(TestFiles.Data!, "pretrain", file);

    private void Holds(double measured, string path, int? documents)
    {
        double now = TaskRunner.Run(BitsPerByteTask.Over(path, "*"), _model, new TaskOptions { Data = "", Limit = documents }).Overall.Metrics["bits_per_byte"].Average;
        Assert.InRange(now, measured * (1 - Drift), measured * (1 + Drift));
    }

    private sealed record Measured(string Precision, Dictionary<string, double> Sentences, int FirstDocuments, Dictionary<string, double> OfFirstDocuments, Dictionary<string, double> OfAllDocuments);
}
