using Glm.Tensors;

namespace Glm.Models.Tests;

/// <summary>Our quantisation, its way through a file, and what it refuses; that its bytes are the original's is tested with the original's files (<see cref="ShardingTests"/>).</summary>
public sealed class QuantizationTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-models").FullName;
    private readonly Workers _workers = new(2);

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Temporary tensors live as long as their memory is read, however often the collector runs meanwhile.</summary>
    [Fact]
    public async Task Blocks_are_quantised_beside_a_busy_collector()
    {
        var weight = Tensor.Zeros(DType.Q4_0, 4096, 1024);
        using var stop = new CancellationTokenSource();
        var collector = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        });
        for (int round = 0; round < 4; round++)
            Assert.Equal(0, Quantization.Dequantize(Quantization.Quantize("weight", weight, DType.Int4, _workers), _workers).ToArray().Max());
        await stop.CancelAsync();
        await collector;
    }

    [Theory]
    [InlineData(8, DType.Float32, 0.05)]
    [InlineData(4, DType.BFloat16, 0.7)]
    public void A_quantised_model_survives_its_file(int bits, DType stored, double loss)
    {
        ModelDirectory.Save(Path.Combine(_folder, "dense"), ReferenceModel.Load(), stored);
        var dense = ModelDirectory.Load(Path.Combine(_folder, "dense"));
        var quantized = Quantization.Quantize(dense, bits, _workers);
        ModelDirectory.Save(Path.Combine(_folder, "quantized"), quantized);
        var loaded = ModelDirectory.Load(Path.Combine(_folder, "quantized"));
        foreach (var ((name, expected), (_, found)) in quantized.Parameters.Zip(loaded.Parameters)) OriginalCheckpoints.RequireEqual(name, expected, found);
        float[] before = Logits(quantized);
        Assert.Equal(before, Logits(loaded));
        // What quantisation costs on this random model: small against the spread of its logits, and not nothing.
        double error = Math.Sqrt(Logits(dense).Zip(before, (a, b) => (double)(a - b) * (a - b)).Average());
        Assert.InRange(error, 1e-4, loss);
    }

    [Fact]
    public void What_cannot_be_quantised_is_refused()
    {
        var model = ReferenceModel.Load();
        Assert.Contains("8 or 4 bits, found 3", Assert.Throws<GlmException>(() => Quantization.Quantize(model, 3, _workers)).Message);
        Assert.Contains("expected floating-point weights", Assert.Throws<GlmException>(() => Quantization.Quantize(Quantization.Quantize(model, 8, _workers), 4, _workers)).Message);
        var large = Tensor.Zeros(DType.Float32, 70, 2);
        large.Slice(69, 1).CopyFrom([1, 70000]);
        Assert.Contains("w, rows from 64: ", Assert.Throws<GlmException>(() => Quantization.Quantize("w", large, DType.Int8, _workers)).Message);
        Assert.Throws<GlmException>(() => Quantization.Quantize("w", Tensor.Zeros(DType.Float32, 2, 3), DType.Int4, _workers));
        Assert.Throws<OperationCanceledException>(() => Quantization.Quantize(model, 8, _workers, cancel: new CancellationToken(true)));
    }

    private float[] Logits(LanguageModel model)
    {
        var context = new Context(_workers);
        int[] ids = [5, 77, 201, 204, 9];
        var hidden = model.Forward(context, context.Integers(ids), context.Integers([0, 1, 2, 3, 4]), model.Within(context, [new(0, 5, 3)]));
        return model.Logits(context, hidden).ToArray();
    }
}
