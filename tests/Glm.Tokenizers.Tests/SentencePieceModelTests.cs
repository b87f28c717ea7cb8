using FsCheck;
using FsCheck.Fluent;
using Glm.Tests;

namespace Glm.Tokenizers.Tests;

public sealed class SentencePieceModelTests
{
    [Fact]
    public void WhatIsWrittenIsRead()
    {
        SentencePieceModel model = TinyVocabulary.Model;
        SentencePieceModel read = SentencePieceModel.Parse(model.ToBytes(), "copy");
        Assert.Equal(model.Pieces, read.Pieces);
        Assert.Equal(model.Trainer with { OtherFields = read.Trainer.OtherFields }, read.Trainer);
        Assert.Equal(model.Normalizer with { OtherFields = read.Normalizer.OtherFields }, read.Normalizer);
        Assert.Equal(model.ToBytes(), read.ToBytes());
    }

    [Fact]
    public void UnknownFieldsAreKept()
    {
        var piece = new ProtobufWriter();
        piece.Write(1, "a");
        var trainer = new ProtobufWriter();
        trainer.Write(1000, "kept text");
        trainer.Write(43, -1);
        var writer = new ProtobufWriter();
        writer.Write(1, piece.ToArray());
        writer.Write(2, trainer.ToArray());
        writer.Write(77, 123456789);
        SentencePieceModel model = SentencePieceModel.Parse(writer.ToArray(), "file");
        Assert.Equal(-1, model.Trainer.PadId);
        byte[] written = model.ToBytes();
        Assert.True(written.AsSpan().IndexOf("kept text"u8) > 0);
        Assert.True(written.AsSpan().EndsWith(writer.ToArray().AsSpan(^6..)));
        Assert.Equal(written, SentencePieceModel.Parse(written, "file").ToBytes());
    }

    [TokenizersFact]
    public void RealFilesSurviveWriting()
    {
        foreach (string folder in new[] { "chatglm-6b", "chatglm2-6b", "glm-10b-chinese" })
        {
            string path = Assert.Single(Directory.GetFiles(Path.Combine(TestFiles.Tokenizers!, folder), "*.model"));
            SentencePieceModel model = SentencePieceModel.Load(path);
            SentencePieceModel read = SentencePieceModel.Parse(model.ToBytes(), "copy");
            Assert.Equal(model.Pieces, read.Pieces);
            Assert.True(model.Normalizer.PrecompiledCharsMap.Span.SequenceEqual(read.Normalizer.PrecompiledCharsMap.Span));
            Assert.Equal(model.ToBytes(), read.ToBytes());
        }
    }

    [Fact]
    public void DamagedFilesAreRefusedOrHarmless()
    {
        byte[] good = ModelWithEverything().ToBytes();
        for (int length = 0; length < good.Length; length++) AssertHarmless(good[..length]);
        Gen<(int, byte)[]> damage = Gen.Choose(0, good.Length - 1).SelectMany(at => Gen.Choose(0, 255).Select(value => (at, (byte)value))).NonEmptyListOf().Select(list => list.Take(4).ToArray());
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(3000), Prop.ForAll(damage.ToArbitrary(), changes =>
        {
            byte[] bad = [.. good];
            foreach ((int at, byte value) in changes) bad[at] = value;
            AssertHarmless(bad);
        }));
    }

    [Fact]
    public void RandomBytesAreRefused() => Prop.ForAll<byte[]>(bytes => AssertHarmless(bytes)).QuickCheckThrowOnFailure();

    [Fact]
    public void RefusalsNameFileAndField()
    {
        void Refused(string expected, SentencePieceModel model) =>
            Assert.Contains(expected, Assert.Throws<GlmException>(() => new SentencePieceTokenizer(SentencePieceModel.Parse(model.ToBytes(), "x.model"), "x.model")).Message);
        var unknown = new SentencePiece("<unk>", 0, PieceType.Unknown);
        var a = new SentencePiece("a", -1);
        Refused("x.model: pieces: expected one of type unknown", new() { Pieces = [a] });
        Refused("x.model: piece 2: expected one piece of type unknown", new() { Pieces = [unknown, a, unknown with { Text = "<u>" }] });
        Refused("x.model: piece 2: expected a new text", new() { Pieces = [unknown, a, a] });
        Refused("x.model: piece 1: expected a text", new() { Pieces = [unknown, a with { Text = "" }] });
        Refused("x.model: piece 1: expected a finite score", new() { Pieces = [unknown, a with { Score = float.NaN }] });
        Refused("x.model: piece 1: expected a type", new() { Pieces = [unknown, a with { Type = (PieceType)9 }] });
        Refused("x.model: piece 1: expected at most", new() { Pieces = [unknown, a with { Text = new string('a', 5000) }] });
        Refused("expected no byte pieces", new() { Pieces = [unknown, a, new("<0x00>", 0, PieceType.Byte)] });
        Refused("expected all 256 bytes", new() { Pieces = [unknown, a], Trainer = new() { ByteFallback = true } });
        Refused("expected a byte piece like", new() { Pieces = [unknown, a, new("<0xg0>", 0, PieceType.Byte)], Trainer = new() { ByteFallback = true } });
        Refused("expected some of type normal", new() { Pieces = [unknown] });
        Refused("TrainerSpec, field 3", new() { Pieces = [unknown, a], Trainer = new() { ModelType = (SentencePieceAlgorithm)3 } });
        Refused("precompiled_charsmap", new() { Pieces = [unknown, a], Normalizer = new() { PrecompiledCharsMap = new byte[] { 1, 2, 3 } } });
        Refused("replacements of at most", new() { Pieces = [unknown, a], Normalizer = new() { PrecompiledCharsMap = CharsMaps.Join(new uint[4], Enumerable.Repeat((byte)'a', 2000).ToArray()) } });
        Assert.Contains("no-such-file", Assert.Throws<GlmException>(() => SentencePieceModel.Load("no-such-file")).Message);
        Assert.Contains(Path.GetTempPath(), Assert.Throws<GlmException>(() => SentencePieceModel.Load(Path.GetTempPath())).Message);
    }

    /// <summary>Reads and uses the bytes; only a GlmException may come of it.</summary>
    private static void AssertHarmless(byte[] bytes)
    {
        try
        {
            var tokenizer = new SentencePieceTokenizer(SentencePieceModel.Parse(bytes, "damaged"), "damaged");
            foreach (string line in new[] { "ＡＢ  abc é <n> <x>", "讲讲a\u3000b\u2581c", "😀" }) tokenizer.Decode(tokenizer.Encode(line));
        }
        catch (GlmException error)
        {
            Assert.StartsWith("damaged: ", error.Message);
        }
    }

    private static SentencePieceModel ModelWithEverything() => new()
    {
        Pieces =
        [
            new("<unk>", 0, PieceType.Unknown), new("<s>", 0, PieceType.Control), new("<n>", 0, PieceType.UserDefined), new("x", 0, PieceType.Unused),
            .. Enumerable.Range(0, 256).Select(value => new SentencePiece($"<0x{value:X2}>", 0, PieceType.Byte)),
            new("a", -1), new("ab", -2), new("abc", -2.5f), new("\u2581", -3), new("讲", -4),
        ],
        Trainer = new() { ByteFallback = true },
        Normalizer = new() { Name = "half width", PrecompiledCharsMap = CharsMaps.FullWidthA() },
    };
}
