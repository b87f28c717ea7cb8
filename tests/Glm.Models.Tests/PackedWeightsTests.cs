using Glm.Models;
using Glm.Tensors;
using Xunit;

namespace Glm.Tests;

/// <summary>Packed files: made once, mapped afterwards, never taken for what they are not.</summary>
public sealed class PackedWeightsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-packed").FullName;
    private readonly Workers _workers = new(2);

    private string Source => Path.Combine(_folder, "model.gguf");

    private string Packed => Source + ".packed";

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void WeightsArePackedOnce()
    {
        File.WriteAllText(Source, "the model");
        var weights = Weights(1);
        var reports = new Reports();
        var first = PackedWeights.Load(Source, weights, _workers, reports);
        Assert.Equal(Packed, first.File);
        Assert.Null(first.Problem);
        long total = weights.Sum(w => w.Tensor.Bytes);
        Assert.Equal(new PackingProgress(total, total), reports.Last);
        var second = PackedWeights.Load(Source, weights, _workers, new Reports(refuse: true));
        foreach (var (name, tensor) in weights)
        {
            Assert.True(second.Tensors[name].IsPacked);
            Assert.Equal(Products(tensor.Pack(_workers)), Products(second.Tensors[name]));
        }
    }

    [Fact]
    public void AnotherSourceIsPackedAnew()
    {
        File.WriteAllText(Source, "the model");
        PackedWeights.Load(Source, Weights(1), _workers);
        File.WriteAllText(Source, "another model");
        var weights = Weights(2);
        var packed = PackedWeights.Load(Source, weights, _workers);
        Assert.Equal(Products(weights[0].Tensor.Pack(_workers)), Products(packed.Tensors["a"]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(5000)]
    public void ATruncatedPackedFileIsMadeAnew(int length)
    {
        File.WriteAllText(Source, "the model");
        var weights = Weights(1);
        PackedWeights.Load(Source, weights, _workers);
        File.WriteAllBytes(Packed, File.ReadAllBytes(Packed)[..length]);
        var packed = PackedWeights.Load(Source, weights, _workers);
        Assert.Equal(Packed, packed.File);
        Assert.Equal(Products(weights[1].Tensor.Pack(_workers)), Products(packed.Tensors["b"]));
    }

    private List<(string Name, Tensor Tensor)> Weights(int seed)
    {
        var random = new Random(seed);
        var block = Tensor.Allocate(DType.Q4_0, 40, 96);
        byte[] bytes = new byte[block.Bytes];
        random.NextBytes(bytes);
        for (int i = 0; i < bytes.Length; i += 18) BitConverter.TryWriteBytes(bytes.AsSpan(i), (Half)random.NextSingle());
        block.CopyBytesFrom(bytes);
        var rows = Tensor.Allocate(DType.Int8, 20, 70);
        bytes = new byte[rows.Bytes];
        random.NextBytes(bytes);
        rows.CopyBytesFrom(bytes);
        var scales = Tensor.From([.. Enumerable.Range(0, 40).Select(_ => random.NextSingle())], 2, 20).To(DType.Float16);
        return [("a", block), ("b", rows.AsQuantized(20, 70, scales))];
    }

    private float[] Products(Tensor weight)
    {
        float[] x = [.. Enumerable.Range(0, weight.Columns).Select(i => MathF.Sin(i))];
        return new Context(_workers).Linear(Tensor.From(x, 1, weight.Columns), weight).ToArray();
    }

    private sealed class Reports(bool refuse = false) : IProgress<PackingProgress>
    {
        public PackingProgress Last { get; private set; }

        public void Report(PackingProgress value)
        {
            Assert.False(refuse, "nothing was to be packed");
            Last = value;
        }
    }
}
