using Glm.Tensors;
using Glm.Tests;

namespace Glm.Formats.Tests;

/// <summary>Every block type against its formula in double precision (spec 10.2), value by value, rounded once.</summary>
public sealed class GgufBlockTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-gguf").FullName;

    private string Target => Path.Combine(_folder, "a.gguf");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("Q4_1", 3u, 32, 20)]
    [InlineData("Q5_0", 6u, 32, 22)]
    [InlineData("Q5_1", 7u, 32, 24)]
    [InlineData("Q4_K", 12u, 256, 144)]
    [InlineData("Q5_K", 13u, 256, 176)]
    [InlineData("Q6_K", 14u, 256, 210)]
    public void Blocks_are_decoded_to_the_values_of_their_formula(string name, uint code, int values, int bytes)
    {
        var random = new Random((int)code);
        // More blocks than one piece of work takes, in several shapes.
        foreach (int[] shape in new int[][] { [values], [3, values], [2, 3, 2 * values], [70000 / values, 3 * values] })
        {
            byte[] data = Blocks(random, name, shape.Aggregate(1, (a, b) => a * b) / values, bytes);
            File.WriteAllBytes(Target, new RawGguf().AddTensor("before", [1], 1).AddTensor("w", code, data, shape).ToArray());
            var file = GgufFile.Open(Target);
            float[] expected = [.. Enumerable.Range(0, data.Length / bytes).SelectMany(i => Enumerable.Range(0, values).Select(j => (float)Value(name, data.AsSpan(i * bytes, bytes), j)))];
            var info = file.FindInfo("w")!;
            Assert.Equal((name, name == "Q5_0" ? DType.Q8_0 : DType.Float32, (long)data.Length), (info.StoredAs, info.Type, info.Bytes));
            Assert.Equal(info.Type, file["w"].Type);
            Assert.Equal(shape, file["w"].Shape.ToArray());
            Assert.Equal(expected, file["w"].ToArray());
            var rounded = file.Read("w", DType.BFloat16);
            Assert.Equal(name == "Q5_0" ? expected : Tensor.From(expected, shape).To(DType.BFloat16).ToArray(), rounded.ToArray());
        }
    }

    [Fact]
    public void No_rows_are_no_values()
    {
        File.WriteAllBytes(Target, new RawGguf().AddTensor("w", 12, [], 0, 256).AddTensor("v", 12, [], 3, 0).ToArray());
        Assert.Empty(GgufFile.Open(Target)["w"].ToArray());
        Assert.Empty(GgufFile.Open(Target)["v"].ToArray());
        Assert.Contains("named x", Assert.Throws<GlmException>(() => GgufFile.Open(Target).Read("x", DType.BFloat16)).Message);
    }

    /// <summary>Random bytes with scales that are numbers.</summary>
    private static byte[] Blocks(Random random, string name, int count, int bytes)
    {
        byte[] data = new byte[count * bytes];
        random.NextBytes(data);
        for (int i = 0; i < count; i++)
            foreach (int at in name switch { "Q5_0" => [0], "Q6_K" => new[] { 208 }, _ => [0, 2] })
                BitConverter.GetBytes((Half)((random.NextSingle() - 0.5f) * MathF.ScaleB(1, random.Next(-20, 8)))).CopyTo(data, i * bytes + at);
        return data;
    }

    /// <summary>Value j of a block.</summary>
    private static double Value(string name, ReadOnlySpan<byte> b, int j)
    {
        double d = Number(b, name == "Q6_K" ? 208 : 0), m = Number(b, 2);
        int nibble(ReadOnlySpan<byte> bytes) => j % 32 < 16 ? bytes[j % 16] & 15 : bytes[j % 16] >> 4;
        switch (name)
        {
            case "Q4_1": return d * nibble(b[4..]) + m;
            case "Q5_0": return d * (nibble(b[6..]) + 16 * (BitConverter.ToUInt32(b[2..]) >> j & 1) - 16.0);
            case "Q5_1": return d * (nibble(b[8..]) + 16 * (BitConverter.ToUInt32(b[4..]) >> j & 1)) + m;
            case "Q4_K": case "Q5_K":
                var scales = b[4..];
                int s = j / 32, c = j / 64, l = j % 32;
                int scale = s < 4 ? scales[s] & 63 : (scales[s + 4] & 15) | (scales[s - 4] >> 6) << 4, minimum = s < 4 ? scales[s + 4] & 63 : (scales[s + 4] >> 4) | (scales[s] >> 6) << 4;
                var qs = b[(name == "Q4_K" ? 16 : 48)..];
                int q = s % 2 == 0 ? qs[32 * c + l] & 15 : qs[32 * c + l] >> 4;
                if (name == "Q5_K" && (b[16 + l] & 1 << s) != 0) q += 16;
                return d * scale * q - m * minimum;
            default:
                int k = j / 128, i = j % 128, r = i % 32;
                var (ql, qh) = (b[(64 * k)..].ToArray(), b[(128 + 32 * k)..].ToArray());
                int six = (i / 32) switch
                {
                    0 => ql[r] & 15 | (qh[r] & 3) << 4,
                    1 => ql[r + 32] & 15 | (qh[r] >> 2 & 3) << 4,
                    2 => ql[r] >> 4 | (qh[r] >> 4 & 3) << 4,
                    _ => ql[r + 32] >> 4 | (qh[r] >> 6 & 3) << 4,
                };
                return d * (sbyte)b[192 + 8 * k + r / 16 + 2 * (i / 32)] * (six - 32);
        }
    }

    private static double Number(ReadOnlySpan<byte> block, int at) => (double)BitConverter.ToHalf(block[at..]);
}
