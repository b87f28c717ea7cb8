using FsCheck;
using FsCheck.Fluent;
using Glm.Tests;

namespace Glm.Formats.Tests;

/// <summary>Valid files are read back; damaged ones are refused with a reason: never another exception, never memory for a length that nobody checked.</summary>
public sealed class GgufPropertyTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-gguf").FullName;
    private readonly byte[] _whole = new RawGguf()
        .Add("general.architecture", "chatglm").Add("general.alignment", 32u).Add("flag", true).Add("scores", new[] { 0.5f, -1f }).Add("tokens", new[] { "a", "bc", "väl" })
        .AddTensor("a", [1, 2, 3, 4, 5, 6], 2, 3).AddTensor("q", 2, new byte[36], 2, 32).AddTensor("k", 12, new byte[144], 256).ToArray();

    private string Target => Path.Combine(_folder, "a.gguf");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_was_written_is_read_back()
    {
        object[] scalars = [(byte)7, (sbyte)-7, (ushort)7, (short)-7, 7u, -7, 1.5f, true, "väl", 7ul, -7L, 1.5];
        var value = Gen.OneOf(Gen.Elements(scalars), ArbMap.Default.GeneratorFor<NonNull<string>[]>().Select(texts => (object)texts.Select(t => Valid(t.Get)).ToArray()),
            ArbMap.Default.GeneratorFor<int[]>().Select(integers => (object)integers));
        var shape = Gen.Choose(0, 5).ListOf(3).Select(sizes => sizes.ToArray());
        var file = value.ListOf().Zip(shape.ListOf()).Zip(Gen.Elements(1, 8, 32, 256));
        Check.QuickThrowOnFailure(Prop.ForAll(file.ToArbitrary(), given =>
        {
            var ((values, shapes), alignment) = given;
            var writer = new RawGguf { Alignment = alignment }.Add("general.alignment", (uint)alignment);
            for (int i = 0; i < values.Count; i++) writer.Add($"key.{i}", values[i]);
            for (int i = 0; i < shapes.Count; i++) writer.AddTensor($"tensor.{i}", Numbers(i, shapes[i]), shapes[i]);
            File.WriteAllBytes(Target, writer.ToArray());
            var read = GgufFile.Open(Target);
            Assert.Equal(Enumerable.Range(0, shapes.Count).Select(i => $"tensor.{i}"), read.Names);
            for (int i = 0; i < values.Count; i++) RequireEqual(read.Metadata, $"key.{i}", values[i]);
            for (int i = 0; i < shapes.Count; i++)
            {
                Assert.Equal(shapes[i], read[$"tensor.{i}"].Shape.ToArray());
                Assert.Equal(Numbers(i, shapes[i]), read[$"tensor.{i}"].ToArray());
            }
        }));
    }

    [Fact]
    public void Every_truncation_is_refused()
    {
        for (int length = 0; length < _whole.Length; length++)
        {
            File.WriteAllBytes(Target, _whole[..length]);
            Assert.Throws<GlmException>(() => GgufFile.Open(Target));
        }
    }

    [Fact]
    public void Changed_bytes_give_a_file_or_a_reason()
    {
        var change = Gen.OneOf(ArbMap.Default.GeneratorFor<byte>(), Gen.Elements<byte>(0, 1, 0x7f, 0x80, 0xff)).Zip(Gen.Choose(0, _whole.Length - 1));
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(1000), Prop.ForAll(change.NonEmptyListOf().ToArbitrary(), changes =>
        {
            byte[] bytes = [.. _whole];
            foreach (var (value, at) in changes) bytes[at] = value;
            return ReadsOrRefuses(bytes);
        }));
    }

    [Fact]
    public void Any_single_changed_byte_gives_a_file_or_a_reason()
    {
        for (int at = 0; at < _whole.Length; at++)
            foreach (byte value in new byte[] { 0, 0x80, 0xff, (byte)(_whole[at] + 1) })
            {
                byte[] bytes = [.. _whole];
                bytes[at] = value;
                Assert.True(ReadsOrRefuses(bytes));
            }
    }

    [Fact]
    public void Any_bytes_give_a_file_or_a_reason() =>
        Check.QuickThrowOnFailure(Prop.ForAll<byte[]>(bytes => ReadsOrRefuses(bytes) && ReadsOrRefuses([.. _whole.AsSpan(0, 24), .. bytes])));

    private bool ReadsOrRefuses(byte[] bytes)
    {
        File.WriteAllBytes(Target, bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            var file = GgufFile.Open(Target);
            foreach (string key in file.Metadata.Keys) Try(() => Ask(file.Metadata, key));
            foreach (string name in file.Names) Try(() => file[name].ToString());
        }
        catch (GlmException error)
        {
            Assert.DoesNotContain('\n', error.Message);
        }
        return GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20;
    }

    private static void Try(Action read)
    {
        try
        {
            read();
        }
        catch (GlmException)
        {
            // A reason, as it should be.
        }
    }

    private static object? Ask(GgufMetadata metadata, string key) => (metadata.TypeOf(key), metadata.ElementTypeOf(key)) switch
    {
        (GgufValueType.Array, GgufValueType.String) => metadata.FindStrings(key),
        (GgufValueType.Array, _) => metadata.FindNumbers(key),
        (GgufValueType.String, _) => metadata.FindString(key),
        (GgufValueType.Bool, _) => metadata.FindBool(key),
        _ => metadata.FindNumber(key),
    };

    private static void RequireEqual(GgufMetadata metadata, string key, object expected)
    {
        object? found = Ask(metadata, key);
        if (expected is string[] or string or bool) Assert.Equal(expected, found);
        else if (expected is int[] integers) Assert.Equal(Array.ConvertAll(integers, i => (double)i), Assert.IsType<double[]>(found));
        else Assert.Equal(Convert.ToDouble(expected), found);
    }

    private static float[] Numbers(int seed, int[] shape) => [.. Enumerable.Range(0, shape.Aggregate(1, (a, b) => a * b)).Select(i => seed + i / 8f)];

    /// <summary>The text without lone surrogates, which UTF-8 cannot say.</summary>
    private static string Valid(string text) => string.Concat(text.EnumerateRunes());
}
