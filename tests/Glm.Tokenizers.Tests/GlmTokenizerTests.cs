using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Glm.Tests;

namespace Glm.Tokenizers.Tests;

public sealed class GlmTokenizerTests
{
    private static readonly GlmTokenizer Tokenizer = TinyVocabulary.Tokenizer;

    [Fact]
    public void EveryStringComesBack()
    {
        // Any 16-bit units at all, often the ones with a role of their own.
        Gen<char> unit = Gen.Frequency(
            (4, Gen.Choose(0, 0xFFFF).Select(code => (char)code)),
            (4, Gen.Choose(' ', '~').Select(code => (char)code)),
            (2, Gen.Elements(' ', '\n', '\t', '\u2581', '\ud83d', '\ude00', '\ufffd', '\0', '讲', '师')));
        Prop.ForAll(unit.ArrayOf().Select(units => new string(units)).ToArbitrary(), text =>
            Tokenizer.Decode(Tokenizer.Encode(text)) == WithoutLoneSurrogates(text)).QuickCheckThrowOnFailure();
        foreach (string line in SyntheticLines.All)
            Assert.Equal(WithoutLoneSurrogates(line), Tokenizer.Decode(Tokenizer.Encode(line)));
    }

    [DataFact]
    public void ValidationTextComesBack()
    {
        foreach (string text in Documents.Read("valid-en").Concat(Documents.Read("valid-zh")))
            Assert.Equal(text, Tokenizer.Decode(Tokenizer.Encode(text)));
    }

    [Fact]
    public void SpecialTokens()
    {
        SpecialTokens special = Tokenizer.Special;
        Assert.Equal(new BlankTokens(Mask: 4, GMask: 5, SMask: 6, Sop: 8, Eop: 9, Eos: 2), special.Blanks);
        Assert.Equal((7, 3), (special.Eod, special.Pad));
        Assert.Equal([9, 2, 7], special.End);
        Assert.Null(special.Roles);
        Assert.Equal(["<unk>", "<s>", "</s>", "<pad>", "[MASK]", "[gMASK]", "[sMASK]", "eod", "sop", "eop", "ENC", "dBLOCK", "<0x00>"],
            Enumerable.Range(0, 13).Select(Tokenizer.PieceText));
        Assert.Equal(TinyVocabulary.Size, Tokenizer.VocabularySize);
        Assert.Throws<GlmException>(() => Tokenizer.PieceText(TinyVocabulary.Size));
        Assert.Throws<GlmException>(() => Tokenizer.Decode([-1]));
    }

    [Fact]
    public void NamesOfSpecialTokensAreText()
    {
        string text = "[MASK] [gMASK] sop eop eod ENC dBLOCK </s> <pad> <unk> <0x41>";
        int[] ids = Tokenizer.Encode(text);
        Assert.All(ids, id => Assert.True(id >= GlmTokenizer.SpecialPieces.Length));
        Assert.Equal(text, Tokenizer.Decode(ids));
    }

    [Fact]
    public void Masks()
    {
        int[] a = Tokenizer.Encode("The "), b = Tokenizer.Encode(" teacher"), c = Tokenizer.Encode("。");
        (int mask, int gMask, int sMask) = (Tokenizer.Blanks.Mask, Tokenizer.Blanks.GMask!.Value, Tokenizer.Blanks.SMask!.Value);
        Assert.Equal([.. a, mask, .. b, gMask], Tokenizer.EncodeWithMasks("The [MASK] teacher[gMASK]"));
        Assert.Equal([sMask, sMask, .. c], Tokenizer.EncodeWithMasks("[sMASK][sMASK]。"));
        Assert.Equal(Tokenizer.Encode("[mask]"), Tokenizer.EncodeWithMasks("[mask]"));
        Assert.Empty(Tokenizer.EncodeWithMasks(""));
        Assert.Equal("The [MASK] teacher[gMASK]", Tokenizer.Decode(Tokenizer.EncodeWithMasks("The [MASK] teacher[gMASK]")));
    }

    [Fact]
    public void StreamingGivesTheSameTextInWholeCharacters()
    {
        Gen<int[]> ids = Gen.OneOf(Gen.Choose(0, TinyVocabulary.Size - 1), Gen.Choose(12, 267)).ArrayOf();
        Prop.ForAll(ids.ToArbitrary(), line =>
        {
            var decoder = new StreamingDecoder(Tokenizer);
            string[] parts = [.. line.Select(decoder.Append), decoder.Finish()];
            return string.Concat(parts) == Tokenizer.Decode(line) && parts.All(part => part == WithoutLoneSurrogates(part));
        }).QuickCheckThrowOnFailure();
        var emoji = new StreamingDecoder(Tokenizer);
        Assert.Equal(["", "", "", "😀", "\ufffda"], [.. Encoding.UTF8.GetBytes("😀").Select(b => emoji.Append(12 + b)), emoji.Append(12 + 0xF0) + emoji.Append(Tokenizer.Encode("a")[0])]);
    }

    [Fact]
    public void EncodingIntoABufferLeavesNoGarbage()
    {
        string text = string.Concat(TinyVocabulary.Texts().Take(300)) + "\u2581😀";
        // One of its own: tests that run beside this one would take its kept memory.
        var tokenizer = new GlmTokenizer(TinyVocabulary.Model);
        var ids = new List<int>();
        tokenizer.Encode(text, ids);
        ids.Clear();
        long before = GC.GetAllocatedBytesForCurrentThread();
        tokenizer.Encode(text, ids);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(tokenizer.Encode(text), ids);
    }

    [Fact]
    public async Task ThreadsShareATokenizer()
    {
        string[] texts = [.. TinyVocabulary.Texts().Take(200)];
        int[][] expected = [.. texts.Select(Tokenizer.Encode)];
        int[][][] found = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => texts.Select(Tokenizer.Encode).ToArray())));
        Assert.All(found, ids => Assert.Equal(expected, ids));
    }

    [Fact]
    public void LoadRecognisesItsFile()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory();
        try
        {
            Assert.Contains("found none", Assert.Throws<GlmException>(() => Glm.Tokenizers.Tokenizer.Load(folder.FullName)).Message);
            string file = Path.Combine(folder.FullName, "tokenizer.model");
            TinyVocabulary.Model.Save(file);
            Assert.IsType<GlmTokenizer>(Glm.Tokenizers.Tokenizer.Load(folder.FullName));
            (TinyVocabulary.Model with { Pieces = [.. TinyVocabulary.Model.Pieces.Where(p => p.Text != "eop")] }).Save(file);
            Assert.Contains(file, Assert.Throws<GlmException>(() => Glm.Tokenizers.Tokenizer.Load(file)).Message);
            Assert.Throws<GlmException>(() => Glm.Tokenizers.Tokenizer.Load(file + ".missing"));
        }
        finally { folder.Delete(recursive: true); }
    }

    private static string WithoutLoneSurrogates(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
}
