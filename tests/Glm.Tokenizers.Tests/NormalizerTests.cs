using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace Glm.Tokenizers.Tests;

public sealed class NormalizerTests
{
    [Theory]
    [InlineData(true, true, true, "  a  b ", "▁a▁b")]
    [InlineData(true, false, true, "  a  b ", "▁▁▁a▁▁b▁")]
    [InlineData(false, true, true, "  a  b ", "a▁b")]
    [InlineData(false, false, true, "  a  b ", "▁▁a▁▁b▁")]
    [InlineData(false, false, false, "  a  b ", "  a  b ")]
    [InlineData(true, true, false, " a b ", " a b")]
    [InlineData(true, true, true, "   ", "")]
    [InlineData(true, true, true, "", "")]
    public void Spaces(bool prefix, bool removeExtra, bool escape, string text, string expected)
    {
        var spec = new NormalizerSpec { AddDummyPrefix = prefix, RemoveExtraWhitespaces = removeExtra, EscapeWhitespaces = escape };
        Assert.Equal(expected, Normalize(spec, text));
    }

    [Fact]
    public void LongestRuleApplies()
    {
        var spec = new NormalizerSpec { AddDummyPrefix = false, PrecompiledCharsMap = CharsMaps.FullWidthA() };
        Assert.Equal("AA▁b", Normalize(spec, "\uff21\uff21  b"));
    }

    [Fact]
    public void UserDefinedPiecesAreNotTouched()
    {
        var spec = new NormalizerSpec { AddDummyPrefix = false, PrecompiledCharsMap = CharsMaps.FullWidthA() };
        Assert.Equal("A<\uff21>A", Normalize(spec, "\uff21<\uff21>\uff21", "<\uff21>"));
    }

    [Fact]
    public void HostileMapsDoNoHarm()
    {
        Gen<uint> unit = Gen.OneOf(Gen.Choose(0, int.MaxValue).Select(i => (uint)i), Gen.Choose(0, 600).Select(i => (uint)i << 10 | 0x100 | (uint)i & 0xFF), Gen.Constant(uint.MaxValue));
        Prop.ForAll(unit.ArrayOf(256).ToArbitrary(), Arb.From(Gen.Choose(1, 127).Select(c => (char)c).ArrayOf().Select(c => new string(c))), (units, text) =>
        {
            Normalize(new NormalizerSpec { PrecompiledCharsMap = CharsMaps.Join(units, "abc"u8) }, text + "\uff21讲");
        }).QuickCheckThrowOnFailure();
    }

    private static string Normalize(NormalizerSpec spec, string text, params string[] userDefined)
    {
        var model = new SentencePieceModel { Pieces = [new("<unk>", 0, PieceType.Unknown), .. userDefined.Select(piece => new SentencePiece(piece, 0, PieceType.UserDefined))], Normalizer = spec };
        var output = new List<byte>();
        new Normalizer(model, new Vocabulary(model, "test").TrieOf(PieceType.UserDefined), "test").Normalize(Encoding.UTF8.GetBytes(text), output);
        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(output));
    }
}

/// <summary>Character maps made by hand.</summary>
internal static class CharsMaps
{
    /// <summary>One rule: U+FF21 (EF BC A1) becomes A.</summary>
    public static byte[] FullWidthA()
    {
        var units = new uint[1024];
        // Bytes lead from block to block: the place of a child is (offset of its parent's place) XOR byte.
        units[0] = 0x100 << 10;
        int first = 0x100 ^ 0xEF;
        units[first] = 0xEF | (uint)(first ^ 0x200) << 10;
        int second = 0x200 ^ 0xBC;
        units[second] = 0xBC | (uint)(second ^ 0x300) << 10;
        int third = 0x300 ^ 0xA1;
        units[third] = 0xA1 | 0x100 | (uint)(third ^ 0x3F0) << 10;
        units[0x3F0] = 0x80000000 | 2;
        return Join(units, "x\0A\0"u8);
    }

    public static byte[] Join(uint[] units, ReadOnlySpan<byte> strings)
    {
        var map = new byte[4 + 4 * units.Length + strings.Length];
        BinaryPrimitives.WriteInt32LittleEndian(map, 4 * units.Length);
        for (int i = 0; i < units.Length; i++) BinaryPrimitives.WriteUInt32LittleEndian(map.AsSpan(4 + 4 * i), units[i]);
        strings.CopyTo(map.AsSpan(4 + 4 * units.Length));
        return map;
    }
}
