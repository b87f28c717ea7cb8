using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>A model whose weights lie partly on disk gives the numbers of one that is all in memory.</summary>
public sealed class LimitedMemoryTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-memory-").FullName;
    private readonly Workers _workers = new(2);

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(0.5)]
    [InlineData(1.0)]
    public void Logits_do_not_depend_on_where_weights_lie(double share)
    {
        var model = Model();
        long weights = model.Parameters.Where(p => p.Tensor.IsPacked).Sum(p => p.Tensor.Bytes);
        using var limited = LimitedMemory.Spread(model, (long)(share * weights), ring: 0);
        Assert.Equal(share == 1, limited.Stream is null);
        Assert.InRange(limited.StreamedBytes, share == 1 ? 0 : 1, share == 0 ? weights : (long)((1 - share) * weights) + model.Parameters.Max(p => p.Tensor.Bytes));
        float[] expected = Logits(model);
        for (int pass = 0; pass < 3; pass++) Assert.Equal(expected, Logits(limited.Model));
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(1.0)]
    public void An_adapter_stays_with_its_weights(double share)
    {
        var plain = Model();
        var adapted = plain.With(name => plain.Parameters.First(p => p.Name == name).Tensor is { IsPacked: true } weight ? weight.With(Addition(weight)) : plain.Parameters.First(p => p.Name == name).Tensor);
        long weights = adapted.Parameters.Where(p => p.Tensor.IsPacked).Sum(p => p.Tensor.Bytes);
        using var limited = LimitedMemory.Spread(adapted, (long)(share * weights), ring: 0);
        float[] expected = Logits(adapted);
        Assert.NotEqual(Logits(plain), expected);
        Assert.Equal(expected, Logits(limited.Model));
    }

    [Fact]
    public void An_adapter_takes_memory()
    {
        var model = Model();
        long least = LimitedMemory.WorkingBytes(model.Config, DType.Float32) + (1 << 20);
        var weight = model.Parameters.First(p => p.Tensor.IsPacked);
        var large = new LowRank(Tensor.Allocate(DType.Float32, 10_000, weight.Tensor.Columns), Tensor.Allocate(DType.Float32, weight.Tensor.Rows, 10_000));
        var adapted = model.With(name => name == weight.Name ? weight.Tensor.With(large) : model.Parameters.First(p => p.Name == name).Tensor);
        using var fits = LimitedMemory.Fit(model, least, DType.Float32);
        Assert.Throws<GlmException>(() => LimitedMemory.Fit(adapted, least, DType.Float32));
        using var fitsToo = LimitedMemory.Fit(adapted, least + large.Down.Bytes + large.Up.Bytes, DType.Float32);
    }

    [Fact]
    public void Too_little_memory_is_refused()
    {
        var model = Model();
        string message = Assert.Throws<GlmException>(() => LimitedMemory.Fit(model, 100 << 20, DType.Float32)).Message;
        Assert.StartsWith("memory: expected at least ", message);
        using var limited = LimitedMemory.Fit(model, LimitedMemory.WorkingBytes(model.Config, DType.Float32) + (1 << 20), DType.Float32);
        Assert.Null(limited.Stream);
    }

    [Fact]
    public void What_lies_in_memory_alone_cannot_be_left_on_disk()
    {
        var model = GgufModel.Load(GgufFile()).Packed(_workers);
        Assert.Contains("transformer.", Assert.Throws<GlmException>(() => LimitedMemory.Spread(model, 0, 0)).Message);
    }

    private string GgufFile()
    {
        string file = Path.Combine(_folder, "model.gguf");
        File.WriteAllBytes(file, new TinyGguf { MatrixType = 2 }.ToArray());
        return file;
    }

    /// <summary>A model with its matrices in a packed file, as large ones have them.</summary>
    private LanguageModel Model()
    {
        var model = GgufModel.Load(GgufFile());
        var matrices = model.Parameters.Where(p => p.Tensor.IsQuantized && p.Tensor != model.WordEmbeddings).ToList();
        var packed = PackedWeights.Load(GgufFile(), matrices, _workers);
        Assert.NotNull(packed.File);
        return model.Config.Create(name => packed.Tensors.GetValueOrDefault(name) ?? model.Parameters.First(p => p.Name == name).Tensor);
    }

    private static LowRank Addition(Tensor weight) => new(
        Tensor.From([.. Enumerable.Range(0, 2 * weight.Columns).Select(i => MathF.Sin(i))], 2, weight.Columns),
        Tensor.From([.. Enumerable.Range(0, 2 * weight.Rows).Select(i => MathF.Cos(i))], weight.Rows, 2));

    private float[] Logits(LanguageModel model)
    {
        var context = new Context(_workers);
        var hidden = model.Forward(context, context.Integers([3, 5, 7, 11]), new Positions(context.Integers([0, 1, 2, 3])), model.Within(context, [new(0, 4, 0)]));
        return model.Logits(context, hidden).ToArray();
    }
}
