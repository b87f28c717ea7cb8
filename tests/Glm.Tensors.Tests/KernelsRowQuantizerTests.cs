using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using Glm.Tensors;

namespace Glm.Tests;

/// <summary>Against the files that the original converter wrote, and against the definition written out.</summary>
public sealed class KernelsRowQuantizerTests
{
    private static readonly string[] Names =
        ["attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"];

    [WholeReferenceFact]
    public void TheOriginalsQuantisedFilesAreReproducedBitForBit()
    {
        string folder = Path.Combine(TestFiles.Reference, "glm130b-tiny-checkpoints", "mirror");
        Dictionary<string, Array2> weights = ReadSafetensors(Path.Combine(TestFiles.Reference, "glm130b-tiny", "weights.safetensors"));
        string[] files = Directory.GetFiles(folder, "int*.mp_rank_*.safetensors");
        Assert.NotEmpty(files);
        int compared = 0;
        foreach (string file in files)
        {
            string name = Path.GetFileName(file);
            DType type = name.StartsWith("int8", StringComparison.Ordinal) ? DType.Int8 : DType.Int4;
            int shards = name[name.IndexOf("tp", StringComparison.Ordinal) + 2] - '0', rank = name[name.IndexOf("rank_", StringComparison.Ordinal) + 6] - '0';
            Dictionary<string, Array2> expected = ReadSafetensors(file);
            foreach (string key in expected.Keys.Where(key => key.EndsWith(".weight_scale", StringComparison.Ordinal)))
            {
                string weight = key[..^"_scale".Length];
                Array2 shard = Shard(weights[weight], Names.Single(n => weight.Contains($"{n}.", StringComparison.Ordinal)), shards, rank);
                Half[] halves = [.. MemoryMarshal.Cast<byte, float>(shard.Data).ToArray().Select(w => (Half)w)];
                var integers = new byte[expected[weight].Data.Length];
                var scales = new Half[shard.Rows];
                RowQuantizer.Quantize(halves, shard.Columns, 1, type, integers, scales);
                Assert.Equal(expected[key].Data, MemoryMarshal.AsBytes(scales.AsSpan()).ToArray());
                Assert.Equal(expected[weight].Data, integers);
                compared++;
            }
        }
        Assert.Equal(0, compared % Names.Length);
        Assert.NotEqual(0, compared);
    }

    [WholeReferenceFact]
    public void TheOriginalsExpandedMatricesAreReproducedBitForBit()
    {
        string folder = Path.Combine(TestFiles.Reference, "glm130b-tiny-checkpoints");
        Dictionary<string, Array2> expected = ReadSafetensors(Path.Combine(folder, "expected_logits.safetensors"));
        string[] keys = [.. expected.Keys.Where(key => key.EndsWith(".dequantized", StringComparison.Ordinal))];
        Assert.NotEmpty(keys);
        foreach (string key in keys)
        {
            string[] words = key.Split('.');
            Dictionary<string, Array2> file = ReadSafetensors(Path.Combine(folder, "mirror", $"{words[0]}.mp_rank_00.safetensors"));
            string weight = file.Keys.Single(k => k.Contains("layers.0.", StringComparison.Ordinal) && k.EndsWith($".{words[2]}.weight", StringComparison.Ordinal));
            float[] values = MemoryMarshal.Cast<byte, float>(expected[key].Data).ToArray();
            var found = new Half[values.Length];
            RowQuantizer.Dequantize(file[weight].Data, expected[key].Columns, 1, words[0].StartsWith("int8", StringComparison.Ordinal) ? DType.Int8 : DType.Int4,
                MemoryMarshal.Cast<byte, Half>(file[weight + "_scale"].Data), found);
            Assert.Equal(values, found.Select(h => (float)h));
        }
    }

    [Theory]
    [InlineData(DType.Int8, 1)]
    [InlineData(DType.Int8, 3)]
    [InlineData(DType.Int4, 1)]
    [InlineData(DType.Int4, 4)]
    public void EachSegmentFollowsTheDefinition(DType type, int segments)
    {
        var random = new Random(5);
        const int rows = 40, length = 270;
        int columns = length * segments;
        var weight = new Half[rows * columns];
        for (int i = 0; i < weight.Length; i++)
            weight[i] = (i / columns) switch
            {
                0 => (Half)0,
                1 => BitConverter.UInt16BitsToHalf((ushort)random.Next(0, 4)), // subnormal, the scale is zero
                2 => BitConverter.UInt16BitsToHalf((ushort)(random.Next(0, 3000) | random.Next(2) << 15)),
                3 => (Half)((random.NextSingle() - 0.5f) * 130000),
                _ => (Half)((random.NextSingle() - 0.5f) * 0.1f),
            };
        var integers = new byte[type.Bytes(weight.Length)];
        var scales = new Half[rows * segments];
        RowQuantizer.Quantize(weight, columns, segments, type, integers, scales);

        float range = type == DType.Int8 ? 127 : 7;
        var expanded = new Half[weight.Length];
        RowQuantizer.Dequantize(integers, columns, segments, type, scales, expanded);
        for (int i = 0; i < weight.Length; i++)
        {
            int row = i / columns, segment = i % columns / length;
            float largest = 0;
            for (int j = 0; j < length; j++) largest = Math.Max(largest, Math.Abs((float)weight[row * columns + segment * length + j]));
            Half scale = (Half)(largest / range);
            Assert.Equal(scale, scales[segment * rows + row]);
            float expected = scale == (Half)0 ? 0 : Math.Clamp(MathF.Round((float)(Half)((float)weight[i] / (float)scale)), -range, range);
            int found = type == DType.Int8 ? (sbyte)integers[i] : (sbyte)(i % 2 == 0 ? integers[i / 2] : integers[i / 2] << 4) >> 4;
            Assert.Equal((int)expected, found);
            Assert.Equal((Half)found * scale, expanded[i]);
        }
    }

    [Fact]
    public void WeightsThatAreNotFiniteAndOddWidthsAreRefused()
    {
        var scales = new Half[1];
        Assert.Contains("row 0", Assert.Throws<GlmException>(
            () => RowQuantizer.Quantize([(Half)1, Half.PositiveInfinity], 2, 1, DType.Int8, new byte[2], scales)).Message, StringComparison.Ordinal);
        Assert.Throws<GlmException>(() => RowQuantizer.Quantize([(Half)1, Half.NaN], 2, 1, DType.Int4, new byte[1], scales));
        Assert.Throws<GlmException>(() => RowQuantizer.Quantize(new Half[3], 3, 1, DType.Int4, new byte[2], scales));
        Assert.Throws<ArgumentException>(() => RowQuantizer.Quantize(new Half[4], 4, 1, DType.Int4, new byte[4], scales));
    }

    /// <summary>The part of a weight that one rank holds (README of the reference, "Sharding rule").</summary>
    private static Array2 Shard(Array2 whole, string name, int shards, int rank) => name switch
    {
        "attention.query_key_value" => RowsOf(whole, whole.Rows / shards * rank, whole.Rows / shards),
        "mlp.dense_h_to_4h" => Join(
            RowsOf(whole, whole.Rows / 2 / shards * rank, whole.Rows / 2 / shards),
            RowsOf(whole, whole.Rows / 2 + whole.Rows / 2 / shards * rank, whole.Rows / 2 / shards)),
        _ => ColumnsOf(whole, whole.Columns / shards * rank, whole.Columns / shards),
    };

    private static Array2 RowsOf(Array2 a, int first, int count) =>
        new(a.Data.AsSpan(first * a.Columns * 4, count * a.Columns * 4).ToArray(), count, a.Columns);

    private static Array2 Join(Array2 a, Array2 b) => new([.. a.Data, .. b.Data], a.Rows + b.Rows, a.Columns);

    private static Array2 ColumnsOf(Array2 a, int first, int count) => new(
        [.. Enumerable.Range(0, a.Rows).SelectMany(row => a.Data.AsSpan((row * a.Columns + first) * 4, count * 4).ToArray())], a.Rows, count);

    private sealed record Array2(byte[] Data, int Rows, int Columns);

    private static Dictionary<string, Array2> ReadSafetensors(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        int header = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        using JsonDocument json = JsonDocument.Parse(file.AsMemory(8, header));
        return json.RootElement.EnumerateObject().Where(p => p.Name != "__metadata__").ToDictionary(p => p.Name, p =>
        {
            int[] shape = [.. p.Value.GetProperty("shape").EnumerateArray().Select(e => e.GetInt32())];
            int[] offsets = [.. p.Value.GetProperty("data_offsets").EnumerateArray().Select(e => e.GetInt32())];
            int columns = shape.Length > 0 ? shape[^1] : 1;
            return new Array2(file[(8 + header + offsets[0])..(8 + header + offsets[1])], shape.Aggregate(1, (x, y) => x * y) / Math.Max(1, columns), columns);
        });
    }
}
