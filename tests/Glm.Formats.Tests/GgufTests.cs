using Glm.Tensors;
using Glm.Tests;

namespace Glm.Formats.Tests;

public sealed class GgufTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-gguf").FullName;

    private string Target => Path.Combine(_folder, "a.gguf");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Metadata_of_every_type_are_read()
    {
        var metadata = Open(new RawGguf()
            .Add("u8", (byte)200).Add("i8", (sbyte)-100).Add("u16", (ushort)60000).Add("i16", (short)-30000).Add("u32", 4000000000u).Add("i32", -2000000000)
            .Add("f32", 1.5f).Add("yes", true).Add("no", false).Add("text", "väl 三").Add("u64", 1ul << 62).Add("i64", -(1L << 62)).Add("f64", 0.1)
            .Add("strings", new[] { "a", "", "三" }).Add("floats", new[] { 0.5f, -2f }).Add("integers", new[] { 1, -2, 3 }).Add("none", Array.Empty<string>())).Metadata;
        Assert.Equal([200, -100, 60000, -30000, 4000000000, -2000000000, 1L << 62, -(1L << 62)],
            new[] { "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64" }.Select(key => metadata.FindInteger(key)!.Value));
        Assert.Equal([1.5, 0.1, 200.0], new[] { "f32", "f64", "u8" }.Select(metadata.GetNumber));
        Assert.Equal([true, false], new[] { "yes", "no" }.Select(key => metadata.FindBool(key)!.Value));
        Assert.Equal("väl 三", metadata.GetString("text"));
        Assert.Equal(["a", "", "三"], metadata.FindStrings("strings")!);
        Assert.Equal([0.5, -2], metadata.FindNumbers("floats")!);
        Assert.Equal([1, -2, 3], metadata.FindNumbers("integers")!);
        Assert.Empty(metadata.FindStrings("none")!);
        Assert.Equal((GgufValueType.Array, GgufValueType.Float32), (metadata.TypeOf("floats"), metadata.ElementTypeOf("floats")));
        Assert.Null(metadata.FindInteger("absent"));
        Assert.Null(metadata.FindString("absent"));
        Assert.Null(metadata.FindStrings("absent"));
    }

    [Fact]
    public void Metadata_of_another_type_than_is_asked_for_are_an_error_that_names_the_key()
    {
        var metadata = Open(new RawGguf().Add("text", "a").Add("number", 1.5f).Add("large", ulong.MaxValue).Add("list", new[] { 1, 2 })).Metadata;
        foreach (Action ask in new Action[]
        {
            () => metadata.FindInteger("text"), () => metadata.FindNumber("list"), () => metadata.FindInteger("number"), () => metadata.FindInteger("large"),
            () => metadata.FindBool("number"), () => metadata.FindString("number"), () => metadata.FindStrings("list"), () => metadata.FindStrings("text"),
            () => metadata.FindNumbers("text"), () => metadata.GetInteger("absent"), () => metadata.GetString("absent"), () => metadata.GetNumber("absent"),
        })
            Assert.Matches("text|number|large|list|absent", Assert.Throws<GlmException>(ask).Message);
    }

    [Theory]
    [InlineData(2u, 32)]
    [InlineData(3u, 32)]
    [InlineData(3u, 64)]
    public void Tensors_are_views_outermost_dimension_first(uint version, int alignment)
    {
        var writer = new RawGguf { Version = version, Alignment = alignment };
        if (alignment != 32) writer.Add("general.alignment", (uint)alignment);
        var file = Open(writer.AddTensor("a", [1, 2, 3, 4, 5, 6], 2, 3).AddTensor("h", 1, [0, 0x3c, 0, 0x40], 2).AddTensor("b", 30, [0x80, 0x3f], 1, 1));
        Assert.Equal(["a", "h", "b"], file.Names);
        Assert.Equal(new int[] { 2, 3 }, file["a"].Shape.ToArray());
        Assert.Equal([1, 2, 3, 4, 5, 6], file["a"].ToArray());
        Assert.Equal([1, 2], file["h"].ToArray());
        Assert.Equal([1], file["b"].ToArray());
        Assert.Equal((DType.Float16, DType.BFloat16, (int)version), (file["h"].Type, file["b"].Type, file.Version));
    }

    [Fact]
    public void Blocks_are_read_as_they_lie()
    {
        byte[] q4 = [0, 0x3c, .. Enumerable.Repeat((byte)0x9f, 16)], q8 = [0, 0x40, .. Enumerable.Range(0, 32).Select(i => (byte)(sbyte)(i - 16))];
        var file = Open(new RawGguf().AddTensor("q4", 2, [.. q4, .. q4], 2, 32).AddTensor("q8", 8, q8, 1, 32));
        Assert.Equal((DType.Q4_0, DType.Q8_0), (file["q4"].Type, file["q8"].Type));
        Assert.Equal([.. Enumerable.Repeat(7f, 16), .. Enumerable.Repeat(1f, 16)], file["q4"].ToArray()[..32]);
        Assert.Equal(Enumerable.Range(0, 32).Select(i => 2f * (i - 16)), file["q8"].ToArray());
    }

    [Fact]
    public void A_type_without_tensors_is_an_error_only_when_asked_for()
    {
        var file = Open(new RawGguf().AddTensor("k", 10, new byte[84], 1, 256).AddTensor("future", 77, new byte[5], 5).AddTensor("a", [1], 1));
        Assert.Equal([1], file["a"].ToArray());
        Assert.Matches("k: expected one of the types F32.*found Q2_K", Assert.Throws<GlmException>(() => file["k"]).Message);
        Assert.Matches("future: .*found type 77", Assert.Throws<GlmException>(() => file["future"]).Message);
        Assert.Contains("absent", Assert.Throws<GlmException>(() => file["absent"]).Message);
    }

    [Theory]
    [InlineData("magic", 0, 0x47474D4Cu)]
    [InlineData("version", 4, 1u)]
    [InlineData("version", 4, 0x03000000u)]
    [InlineData("tensor count", 8, uint.MaxValue)]
    [InlineData("key count", 16, uint.MaxValue)]
    public void A_wrong_head_is_refused(string field, int at, uint value)
    {
        byte[] bytes = new RawGguf().Add("key", 1u).AddTensor("a", [1], 1).ToArray();
        BitConverter.GetBytes(value).CopyTo(bytes, at);
        Assert.Contains(field, Refused(bytes));
    }

    [Fact]
    public void Wrong_infos_are_refused()
    {
        Assert.Contains("general.alignment", Refused(new RawGguf().Add("general.alignment", 48u).ToArray()));
        Assert.Contains("general.alignment", Refused(new RawGguf().Add("general.alignment", "32").ToArray()));
        Assert.Contains("twice", Refused(new RawGguf().Add("key", 1u).Add("key", 2u).ToArray()));
        Assert.Contains("twice", Refused(new RawGguf().AddTensor("a", [1], 1).AddTensor("a", [2], 1).ToArray()));
        Assert.Contains("dimensions", Refused(new RawGguf().AddTensor("a", [1], 1, 1, 1, 1, 1).ToArray()));
        Assert.Contains("inside", Refused(new RawGguf().AddTensor("a", [1], 3).ToArray()));
        Assert.Contains("2^63", Refused(new RawGguf().AddTensor("a", [1], int.MaxValue, int.MaxValue, int.MaxValue).ToArray()));
        Assert.Contains("multiple of 32 values", Refused(new RawGguf().AddTensor("a", 2, new byte[18], 1, 16).ToArray()));
        Assert.Contains("multiple of 64", Refused(new RawGguf { Alignment = 32 }.Add("general.alignment", 64u).AddTensor("a", [1], 1).AddTensor("b", [1], 1).ToArray()));
        Assert.Contains("at most 64 bytes", Refused(new RawGguf().AddTensor(new string('a', 65), [1], 1).ToArray()));
        Assert.Contains("Array of Array", Refused(new RawGguf().Add("key", new[] { new[] { 1 } }).ToArray()));
    }

    private GgufFile Open(RawGguf writer)
    {
        File.WriteAllBytes(Target, writer.ToArray());
        return GgufFile.Open(Target);
    }

    private string Refused(byte[] bytes)
    {
        File.WriteAllBytes(Target, bytes);
        string message = Assert.Throws<GlmException>(() => GgufFile.Open(Target)).Message;
        Assert.StartsWith(Target, message);
        return message;
    }
}
