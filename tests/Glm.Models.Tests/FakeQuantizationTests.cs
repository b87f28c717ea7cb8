using Glm.Tensors;

namespace Glm.Models.Tests;

/// <summary>Quantisation that is only pretended, against the one that packs, and against the formulas number by number.</summary>
public sealed class FakeQuantizationTests : IDisposable
{
    private readonly Workers _workers = new(2);

    public void Dispose() => _workers.Dispose();

    [Theory]
    [InlineData(70, 46, 1)]
    [InlineData(3, 2, 1)]
    [InlineData(129, 48, 3)]
    public void Absmax_by_row_gives_the_bits_of_packed_matrices(int rows, int columns, int segments)
    {
        var weight = Random(rows, columns, zeroRow: 2);
        foreach (var (bits, type) in new[] { (8, DType.Int8), (4, DType.Int4) })
        {
            var expected = Quantization.Dequantize(Quantization.Quantize("w", weight, type, _workers, segments), _workers);
            var found = FakeQuantization.Round("w", weight, new(QuantizationScheme.Absmax, QuantizationAxis.Row, bits, segments == 1 ? null : columns / segments), _workers);
            Assert.Equal(Bits(expected), Bits(found));
        }
    }

    [Theory]
    [InlineData(QuantizationScheme.Absmax)]
    [InlineData(QuantizationScheme.ZeroPoint)]
    public void Columns_are_the_rows_of_the_transposed_matrix(QuantizationScheme scheme)
    {
        const int Rows = 130, Columns = 67;
        var weight = Random(Rows, Columns, zeroRow: 5);
        foreach (int? group in new int?[] { null, 32 })
        {
            var byRow = FakeQuantization.Round("w", Transposed(weight), new(scheme, QuantizationAxis.Row, 4, group), _workers);
            var byColumn = FakeQuantization.Round("w", weight, new(scheme, QuantizationAxis.Column, 4, group), _workers);
            Assert.Equal(Bits(Transposed(byRow)), Bits(byColumn));
        }
    }

    [Theory]
    [InlineData(8, 45)]
    [InlineData(4, 45)]
    [InlineData(4, 7)]
    public void A_zero_point_is_that_of_the_formula(int bits, int group)
    {
        const int Rows = 20, Columns = 45;
        var weight = Random(Rows, Columns, zeroRow: 3, shift: 0.02f);
        float[] x = weight.To(DType.Float16).ToArray(), found = FakeQuantization.Round("w", weight, new(QuantizationScheme.ZeroPoint, QuantizationAxis.Row, bits, group), _workers).ToArray();
        for (int row = 0; row < Rows; row++)
            for (int start = 0; start < Columns; start += group)
            {
                var part = x[((row * Columns) + start)..((row * Columns) + Math.Min(Columns, start + group))];
                double most = Math.Pow(2, bits - 1) - 1, scale = (double)(Half)((part.Max() - part.Min()) / (2 * most));
                double zero = Nearest(part.Min(), scale) + most;
                for (int i = 0; i < part.Length; i++)
                {
                    double q = Math.Clamp(Nearest(part[i], scale) - zero, -most, most);
                    Assert.Equal(scale == 0 ? part[i] : (float)(Half)((q + zero) * scale), found[(row * Columns) + start + i]);
                    if (scale > 0) Assert.InRange(Math.Abs(found[(row * Columns) + start + i] - part[i]), 0, 1.1 * scale);
                }
            }

        static double Nearest(double value, double scale) => scale == 0 ? 0 : Math.Round((double)(Half)(value / scale), MidpointRounding.ToEven);
    }

    [Fact]
    public void Bits_count_scales_and_zero_points()
    {
        Assert.Equal(4 + (16 / 64.0), new QuantizationMethod(QuantizationScheme.Absmax, QuantizationAxis.Row, 4).BitsOf(32, 64) / (32 * 64));
        Assert.Equal(8 + (24 / 32.0), new QuantizationMethod(QuantizationScheme.ZeroPoint, QuantizationAxis.Column, 8).BitsOf(32, 64) / (32 * 64));
        Assert.Equal((4 * 70) + (3 * 20), new QuantizationMethod(QuantizationScheme.ZeroPoint, QuantizationAxis.Row, 4, 32).BitsOf(1, 70));
    }

    [Fact]
    public void What_cannot_be_quantised_is_refused()
    {
        var absmax = new QuantizationMethod(QuantizationScheme.Absmax, QuantizationAxis.Row, 8);
        Assert.Contains("expected 2 to 8 bits", Assert.Throws<GlmException>(() => FakeQuantization.Round("w", Random(2, 2), absmax with { Bits = 9 }, _workers)).Message);
        Assert.Contains("groups of at least 1", Assert.Throws<GlmException>(() => FakeQuantization.Round("w", Random(2, 2), absmax with { Group = 0 }, _workers)).Message);
        Assert.Contains("w: expected weights that are finite", Assert.Throws<GlmException>(() => FakeQuantization.Round("w", Tensor.From([1e6f, 1], 1, 2), absmax, _workers)).Message);
        Assert.Contains("w: expected floating-point weights", Assert.Throws<GlmException>(() => FakeQuantization.Round("w", Quantization.Quantize("w", Random(2, 2), DType.Int8, _workers), absmax, _workers)).Message);
    }

    private static Tensor Random(int rows, int columns, int zeroRow = -1, float shift = 0)
    {
        var weight = Tensor.Zeros(DType.Float32, rows, columns);
        TensorMath.FillNormal(weight, 0.05, seed: 9, stream: (ulong)rows);
        float[] values = weight.ToArray();
        for (int i = 0; i < values.Length; i++) values[i] = i / columns == zeroRow ? 0 : values[i] + shift;
        weight.CopyFrom(values);
        return weight;
    }

    private static Tensor Transposed(Tensor weight)
    {
        int rows = weight.Rows, columns = weight.Columns;
        float[] values = weight.ToArray(), turned = new float[values.Length];
        for (int i = 0; i < values.Length; i++) turned[(i % columns * rows) + (i / columns)] = values[i];
        return Tensor.From(turned, columns, rows).To(weight.Type);
    }

    private static byte[] Bits(Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        tensor.CopyBytesTo(bytes);
        return bytes;
    }
}
