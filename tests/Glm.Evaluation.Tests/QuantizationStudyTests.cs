using System.Text.Json;
using Glm.Inference.Tests;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Evaluation.Tests;

/// <summary>The study of quantisation: a whole one on the shipped model and some hundred tokens, and how weights lie against their definition.</summary>
public sealed class QuantizationStudyTests : IDisposable
{
    private readonly Workers _workers = new(2);
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _workers.Dispose();
    }

    [Fact]
    public void TheShippedModelLosesLittleToInt8AndMoreToInt4()
    {
        string path = TestFiles.ShippedModel;
        var (model, tokenizer) = (ModelDirectory.Load(path), Tokenizer.Load(path));
        string[] texts =
        [
            _folder.Write("en.jsonl", Line(ShippedModelTests.English)),
            _folder.Write("zh.jsonl", Line(ShippedModelTests.Chinese)),
        ];
        var study = QuantizationStudy.Run([("shipped", model, tokenizer, _workers)], texts);
        Assert.Equal(["en", "zh"], study.Texts);
        var whole = study.Results[0];
        Assert.Equal((QuantizationStudy.AsStored, null), (whole.Method, whole.Change));
        using (var local = new LocalModel(model, _workers, tokenizer, new ModelIdentity { Name = "shipped", Location = path }))
            foreach (var (i, text) in texts.Index())
                Assert.Equal(TaskRunner.Run(BitsPerByteTask.Over(text, "*"), local, new TaskOptions { Data = "" }).Overall.Metrics["bits_per_byte"].Average, whole.BitsPerByte[i]);
        Assert.Equal(21, study.Results.Count);
        Assert.Equal(21, study.Results.Select(result => (result.Part, result.Method)).Distinct().Count());
        foreach (var result in study.Results.Skip(1))
        {
            bool isInt8 = result.Bits > 6;
            Assert.InRange(result.Bits, isInt8 ? 8 : 4, isInt8 ? 8.6 : 5);
            foreach (var (change, i) in result.Change!.Select((change, i) => (change, i)))
            {
                Assert.InRange(change, isInt8 ? -0.5 : -5, isInt8 ? 0.5 : 5);
                Assert.NotEqual(0, change);
                Assert.Equal(100 * ((result.BitsPerByte[i] / whole.BitsPerByte[i]) - 1), change, 1e-9);
            }
        }
        // The kernel whose activations have 16 bits computes what the dense matrix of the same numbers does.
        double[] dense = Change("INT4", "absmax by row"), packed = Change("absmax by row, integer activations", "INT4, activations of 16 bits");
        for (int i = 0; i < 2; i++) Assert.Equal(dense[i], packed[i], 0.05);

        string tables = QuantizationReport.Markdown(study);
        foreach (string word in new[] { "zero point, groups of 32", "Q4_0", "| en | zh |", "shipped, W2" }) Assert.Contains(word, tables);
        var plots = QuantizationReport.Plots(study).ToList();
        Assert.Equal(["quantization-en", "quantization-zh", "weights-attention-dense", "weights-w2"], plots.Select(plot => plot.Key));
        Assert.All(plots, plot => Assert.StartsWith("<svg", plot.Plot.ToSvg()));

        double[] Change(string part, string method) => [.. study.Results.Single(result => (result.Part, result.Method) == (part, method)).Change!];
    }

    [Fact]
    public void WeightsLieAsTheirMomentsSay()
    {
        var model = TinyModel.Create();
        var weights = WeightDistribution.Of("tiny", model).ToList();
        Assert.Equal(["attention dense", "W2"], weights.Select(kind => kind.Kind));
        foreach (var kind in weights)
        {
            Assert.Equal(TinyModel.Config.NumLayers, kind.Matrices.Count);
            Assert.Equal(kind.Matrices.Sum(matrix => Values(matrix.Name).Length), kind.Counts.Sum());
            foreach (var matrix in kind.Matrices)
            {
                double[] x = Values(matrix.Name);
                double mean = x.Average(), s = Math.Sqrt(x.Average(v => (v - mean) * (v - mean)));
                Assert.Equal(s, matrix.Deviation, 1e-9);
                Assert.Equal(x.Average(v => Math.Pow((v - mean) / s, 3)), matrix.Skewness, 1e-6);
                Assert.Equal(x.Average(v => Math.Pow((v - mean) / s, 4)) - 3, matrix.Kurtosis, 1e-6);
                Assert.Equal(x.Max(Math.Abs) / s, matrix.Largest, 1e-6);
                int columns = model.Parameters.Single(parameter => parameter.Name == matrix.Name).Tensor.Columns;
                Assert.Equal(x.Chunk(columns).Average(Range), matrix.LargestOfRow, 1e-6);
                Assert.Equal(Enumerable.Range(0, columns).Average(column => Range([.. x.Where((_, i) => i % columns == column)])), matrix.LargestOfColumn, 1e-6);
            }
        }
        // Random weights are normal: two thirds lie within one standard deviation.
        var counts = weights[0].Counts;
        Assert.InRange(counts.Where((_, bin) => Math.Abs(WeightDistribution.Middle(bin)) < 1).Sum() / (double)counts.Sum(), 0.64, 0.72);

        double[] Values(string name) => [.. model.Parameters.Single(parameter => parameter.Name == name).Tensor.ToArray().Select(value => (double)value)];
        static double Range(double[] line) => line.Max(Math.Abs) / Math.Sqrt(line.Average(v => v * v));
    }

    [Fact]
    public void QuantisedModelsAndTextsOfOneNameAreRefused()
    {
        var model = TinyModel.Create();
        string text = _folder.Write("a.jsonl", Line("The cat")), same = _folder.Write("other/a.jsonl", Line("The mat"));
        Assert.Contains("different names, found a twice", Assert.Throws<GlmException>(() => QuantizationStudy.Run([("m", model, TinyModel.Tokenizer, _workers)], [text, same])).Message);
        Assert.Contains("m: expected floating-point matrices", Assert.Throws<GlmException>(() => QuantizationStudy.Run([("m", Quantization.Quantize(model, 8, _workers), TinyModel.Tokenizer, _workers)], [text])).Message);
    }

    private static string Line(string text) => JsonSerializer.Serialize(new { text }) + "\n";
}
