using Glm.Tensors;
using Glm.Tests;

namespace Glm.Formats.Tests;

public sealed class GgufWriterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-gguf").FullName;

    private string Target => Path.Combine(_folder, "a.gguf");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>The bytes of another writer, which says what the format is, for every type of metadata and tensors that need padding.</summary>
    [Fact]
    public void A_file_is_what_the_format_says()
    {
        (string, object)[] metadata =
        [
            ("general.architecture", "chatglm"), ("u8", (byte)200), ("i8", (sbyte)-100), ("u16", (ushort)60000), ("i16", (short)-3), ("u32", 4000000000u), ("i32", -2), ("f32", 1.5f), ("yes", true),
            ("u64", 1ul << 63), ("i64", long.MinValue), ("f64", 0.1), ("tokens", new[] { "a", "", "三" }), ("scores", new[] { 0.5f, -2f }), ("types", new[] { 1, -2, 3 }), ("none", Array.Empty<string>()),
        ];
        var expected = new RawGguf();
        foreach (var (key, value) in metadata) expected.Add(key, value);
        expected.AddTensor("a", [1, 2, 3], 3).AddTensor("b", 30, [0x80, 0x3f], 1, 1).AddTensor("i", 24, [1, 2, 3], 3).AddTensor("c", [4, 5, 6, 7, 8, 9], 2, 3).AddTensor("s", [1]);
        TensorEntry Entry(string name, Tensor tensor) => new(name, tensor.Type, tensor.Shape.ToArray(), () => tensor);
        var integers = Tensor.Allocate(DType.Int8, 3);
        integers.CopyBytesFrom([1, 2, 3]);
        GgufWriter.Write(Target, [.. metadata.Select(m => KeyValuePair.Create(m.Item1, m.Item2))],
            [Entry("a", Tensor.From([1, 2, 3], 3)), Entry("b", Tensor.From([1], 1, 1).To(DType.BFloat16)), Entry("i", integers), Entry("c", Tensor.From([4, 5, 6, 7, 8, 9], 2, 3)), Entry("s", Tensor.From([1]))]);
        byte[] bytes = expected.ToArray();
        Assert.Equal([.. bytes, .. new byte[-bytes.Length & 31]], File.ReadAllBytes(Target));
        Assert.Equal([Target], Directory.GetFiles(_folder));
    }

    /// <summary>Integers of the blocks by the rules of ggml, from plain arithmetic (spec 10.2).</summary>
    [Theory]
    [InlineData(DType.Q4_0)]
    [InlineData(DType.Q8_0)]
    public void Blocks_are_rounded_as_the_original_rounds(DType type)
    {
        const int rows = 7, columns = 96;
        var random = new Random(3);
        float[] values = [.. Enumerable.Range(0, rows * columns).Select(i => i < 32 ? 0 : (random.NextSingle() - 0.5f) * MathF.ScaleB(1, i / 32 % 9))];
        // Ties between two integers, and of the largest magnitude with both signs.
        for (int j = 0; j < 32; j++) values[32 + j] = type == DType.Q8_0 ? (j == 0 ? 127 : j - 16.5f) : j is 0 or 1 ? (j == 0 ? -8 : 8) : (j - 16) / 2f;
        var weights = Tensor.From(values, rows, columns);
        GgufWriter.Write(Target, [], [new TensorEntry("w", type, [rows, columns], () => weights.To(type))]);
        var read = GgufFile.Open(Target)["w"];
        Assert.Equal(type, read.Type);
        byte[] blocks = new byte[read.Bytes];
        read.CopyBytesTo(blocks);
        int size = blocks.Length / (values.Length / 32);
        for (int i = 0; i < values.Length; i += 32)
        {
            var block = values.AsSpan(i, 32);
            float extreme = 0;
            foreach (float value in block)
                if (MathF.Abs(value) > MathF.Abs(extreme)) extreme = value;
            float d = type == DType.Q4_0 ? extreme / -8 : MathF.Abs(extreme) / 127, inverse = d == 0 ? 0 : 1 / d;
            var found = blocks.AsSpan(i / 32 * size, size);
            Assert.Equal((Half)d, BitConverter.ToHalf(found));
            for (int j = 0; j < 32; j++)
            {
                if (type == DType.Q8_0) Assert.Equal((int)MathF.Round(block[j] * inverse, MidpointRounding.AwayFromZero), (sbyte)found[2 + j]);
                else Assert.Equal(Math.Min(15, (int)(block[j] * inverse + 8.5f)), found[2 + j % 16] >> (j < 16 ? 0 : 4) & 15);
            }
        }
        Assert.All(read.ToArray().Zip(values), pair => Assert.InRange(MathF.Abs(pair.First - pair.Second), 0, MathF.Abs(values.Max(MathF.Abs)) / (type == DType.Q4_0 ? 7 : 200)));
    }

    [Fact]
    public void What_the_format_cannot_hold_is_refused_and_leaves_the_old_file()
    {
        Write([], Entry("w", DType.Float32, 2));
        byte[] old = File.ReadAllBytes(Target);
        string Refused(Action write) => Assert.Throws<GlmException>(write).Message;
        Assert.Contains("found key again", Refused(() => Write([("key", 1), ("key", 2)])));
        Assert.Contains("found w again", Refused(() => Write([], Entry("w", DType.Float32, 2), Entry("w", DType.Float32, 2))));
        Assert.Contains("key: expected a type that GGUF metadata have, found Decimal", Refused(() => Write([("key", 1m)])));
        Assert.Contains("found an array of arrays", Refused(() => Write([("key", new[] { new[] { 1 } })])));
        Assert.Contains("multiple of 32 values for Q8_0, found 16", Refused(() => Write([], Entry("w", DType.Q8_0, 2, 16))));
        Assert.Contains("at most 4 dimensions", Refused(() => Write([], Entry("w", DType.Float32, 1, 1, 1, 1, 1))));
        Assert.Contains("at most 64 bytes", Refused(() => Write([], Entry(new string('w', 65), DType.Float32, 1))));
        Assert.Contains("w: expected a type that GGUF has, found Int4", Refused(() => Write([], Entry("w", DType.Int4, 2, 2))));
        Assert.Contains("expected finite numbers, found NaN", Refused(() => Tensor.From([.. new float[31], float.NaN], 32).To(DType.Q4_0)));
        Assert.Contains("expected numbers that Q8_0 can hold", Refused(() => Tensor.From([.. new float[31], 1e30f], 32).To(DType.Q8_0)));
        Assert.Contains("expected a multiple of 32 for Q4_0, found 31", Refused(() => Tensor.Zeros(DType.Float32, 31).To(DType.Q4_0)));
        Assert.Throws<OperationCanceledException>(() => GgufWriter.Write(Target, [], [Entry("w", DType.Float32, 2)], new CancellationToken(true)));
        Assert.Equal(old, File.ReadAllBytes(Target));
    }

    private void Write((string, object)[] metadata, params TensorEntry[] tensors) =>
        GgufWriter.Write(Target, [.. metadata.Select(m => KeyValuePair.Create(m.Item1, m.Item2))], tensors);

    private static TensorEntry Entry(string name, DType type, params int[] shape) => new(name, type, shape, () => Tensor.Zeros(type, shape));
}
