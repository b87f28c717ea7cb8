using Glm.Tensors;

namespace Glm.Tests;

/// <summary>Weights that are read from their file whenever they are multiplied give what they give in memory.</summary>
public sealed class WeightStreamTests : IDisposable
{
    private const int Columns = 96, PieceBytes = 5000;
    private readonly string _file = Path.GetTempFileName();
    private readonly Workers _workers = new(3);
    private readonly Random _random = new(4);

    public void Dispose()
    {
        _workers.Dispose();
        File.Delete(_file);
    }

    [Fact]
    public void Products_are_those_of_weights_in_memory_in_whatever_order()
    {
        Tensor[] weights = Weights();
        using var stream = new WeightStream(4 * PieceBytes, PieceBytes);
        Tensor[] streamed = [.. weights.Select(stream.Attach)], kept = [.. weights.Select(stream.Keep)];
        for (int pass = 0; pass < 6; pass++)
        {
            // The same order three times, so that it is learned; then others.
            int[] order = [.. Enumerable.Range(0, weights.Length)];
            if (pass >= 3) _random.Shuffle(order);
            foreach (int i in order)
            {
                var x = Tensor.From(Values(3 * pass + 1), 3 * pass + 1, Columns);
                var bias = Tensor.From(Values(2)[..weights[i].Rows], weights[i].Rows);
                float[] expected = new Context(_workers).Linear(x, weights[i], bias).ToArray();
                Assert.Equal(expected, new Context(_workers).Linear(x, streamed[i], bias).ToArray());
                Assert.Equal(expected, new Context(_workers).Linear(x, kept[i], bias).ToArray());
            }
        }
        Assert.True(stream.BytesRead > 6 * weights.Sum(weight => weight.Bytes));
        Assert.InRange(stream.BufferBytes, 1, 100_000);
    }

    [Fact]
    public void Rows_of_a_streamed_embedding_are_looked_up()
    {
        var weight = Weights()[0];
        using var stream = new WeightStream(0, PieceBytes);
        var context = new Context(_workers);
        Assert.Equal(
            context.Embedding(weight, context.Integers([3, 1, 70])).ToArray(), context.Embedding(stream.Attach(weight), context.Integers([3, 1, 70])).ToArray());
        Assert.Equal(0, stream.BytesRead);
    }

    [Fact]
    public void A_file_that_became_shorter_is_named()
    {
        Tensor weight = Weights()[^1];
        using var stream = new WeightStream(0, PieceBytes);
        var streamed = stream.Attach(weight);
        using (var file = new FileStream(_file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) file.SetLength(file.Length - 3000);
        var error = Assert.Throws<GlmException>(() => new Context(_workers).Linear(Tensor.From(Values(1), 1, Columns), streamed));
        Assert.Contains(_file, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_lies_in_memory_or_is_quantised_in_rows_is_refused()
    {
        using var stream = new WeightStream(0);
        Assert.Throws<ArgumentException>(() => stream.Attach(Tensor.Zeros(DType.Float32, 4, 4)));
        Assert.Throws<ArgumentException>(() => stream.Keep(Tensor.Zeros(DType.Float32, 4, 4)));
        _ = Weights();
        Assert.Throws<ArgumentException>(() => stream.Attach(Storage.Map(_file).View(DType.Q4_0, 0, 32, 32)));
    }

    /// <summary>Weights of every kind that can be read in pieces, in one file, at places that are not aligned.</summary>
    private Tensor[] Weights()
    {
        var scales = Tensor.Allocate(DType.Float16, 1, 77);
        scales.CopyFrom(Enumerable.Range(0, 77).Select(i => 0.001f * (i + 1)).ToArray());
        Tensor[] sources =
        [
            Random(DType.Float32, 77), Random(DType.BFloat16, 150), Random(DType.Float16, 31),
            Tensor.Zeros(DType.Int8, 77, Columns).AsQuantized(77, Columns, scales).Pack(_workers), Tensor.Zeros(DType.Q4_0, 100, Columns).Pack(_workers), Tensor.Zeros(DType.Q8_0, 16, Columns).Pack(_workers),
        ];
        var offsets = new List<long>();
        using (var file = File.Create(_file))
            foreach (var source in sources)
            {
                file.Write(new byte[64 * _random.Next(1, 5)]);
                offsets.Add(file.Position);
                var bytes = new byte[source.Bytes];
                if (source.IsPacked) _random.NextBytes(bytes);
                else source.CopyBytesTo(bytes);
                if (source.IsPacked && source.Scales is null) ClearScaleExponents(bytes, source);
                file.Write(bytes);
            }
        var storage = Storage.Map(_file);
        return [.. sources.Select((source, i) => source.IsPacked
            ? storage.View(DType.UInt8, offsets[i], checked((int)source.Bytes)).AsPacked(source.Type, source.Rows, Columns, source.Scales)
            : storage.View(source.Type, offsets[i], source.Shape))];
    }

    /// <summary>Random bytes as scales would be infinite now and then.</summary>
    private static void ClearScaleExponents(byte[] bytes, Tensor weight)
    {
        var layout = weight.Panels!.Value;
        for (int block = 0; block < bytes.Length; block += layout.BlockBytes)
            for (int i = 1; i < layout.ScaleBytes; i += 2) bytes[block + i] &= 0x8F;
    }

    private Tensor Random(DType type, int rows) => Tensor.From([.. Enumerable.Range(0, rows * Columns).Select(_ => _random.NextSingle() - 0.5f)], rows, Columns).To(type);

    private float[] Values(int rows) => [.. Enumerable.Range(0, rows * Columns).Select(_ => _random.NextSingle() - 0.5f)];
}
