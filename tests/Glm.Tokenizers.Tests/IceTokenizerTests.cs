using Glm.Tests;

namespace Glm.Tokenizers.Tests;

public sealed class IceTokenizerTests
{
    private static readonly IceOptions Extended = new() { Mode = IceMode.Extended };

    /// <summary>The examples of icetk's own documentation (spec 2.2).</summary>
    [TokenizersFact]
    public void PublishedExamples()
    {
        Tokenizer tokenizer = Real();
        Assert.Equal([39316, 20932, 20035, 20115, 20344, 22881, 35955, 20007], tokenizer.Encode("Hello World! I am icetk."));
        Assert.Equal([20005, 94874, 84097, 20035, 94947, 22881, 35955, 83823], tokenizer.Encode("你好世界！这里是 icetk。"));
        Assert.Equal("Hello World! I am icetk.", tokenizer.Decode(tokenizer.Encode("Hello World! I am icetk.")));
    }

    [TokenizersFact]
    public void ExtendedFileGivesTheIdsThatChatGlmWrites()
    {
        // Appending the extension to the first 130,000 pieces gives back the file of ChatGLM-6B.
        string file = Path.Combine(TestFiles.Tokenizers!, "chatglm-6b", "ice_text.model");
        var whole = SentencePieceTokenizer.Load(file);
        Tokenizer tokenizer = new IceTokenizer(SentencePieceModel.Load(file), Extended);
        Assert.Equal(130344, whole.VocabularySize);
        foreach (string line in SyntheticLines.All.Where(line => !line.Contains("  ") && !line.Contains('\t')))
            Assert.Equal(whole.Encode(line).Select(id => id + 20000), tokenizer.Encode(line));
    }

    [TokenizersFact]
    public void LineBreaks()
    {
        Assert.Equal(Real().Encode("a b"), Real().Encode("a\nb"));
        Tokenizer keeping = Real(new() { KeepNewlines = true });
        Assert.Contains(20004, keeping.Encode("a\nb"));
        Assert.Equal("a\nb", keeping.Decode(keeping.Encode("a\nb")));
        Assert.Equal(keeping.Encode("a b"), keeping.Encode("a\tb"));
    }

    [TokenizersFact]
    public void ExtendedModeKeepsEverything()
    {
        Tokenizer tokenizer = Real(Extended);
        string text = "if x:\n\treturn" + new string(' ', 83) + "龘\ue000 end";
        int[] ids = tokenizer.Encode(text);
        Assert.Contains(150008, ids);
        Assert.Contains(150007 + 80, ids);
        Assert.Contains(150007 + 3, ids);
        Assert.Contains(150088 + 0xEE, ids);
        Assert.Equal(text, tokenizer.Decode(ids));
    }

    [Fact]
    public void Commands()
    {
        var tokenizer = new IceTokenizer(Synthetic());
        Assert.Equal(new BlankTokens(Mask: 150000, GMask: 150001, SMask: 150002, Sop: 150004, Eop: 150005, Eos: 20002), tokenizer.Blanks);
        Assert.Equal((150003, 0), (tokenizer.Special.Eod, tokenizer.Special.Pad));
        Assert.Equal([20006, 150001, 20006, 20005], tokenizer.EncodeWithMasks("w1[gMASK]w1w1"));
        Assert.Equal("w1[[gMASK]]w1w1[sop]w1[</s>]", tokenizer.Decode([20006, 150001, 20006, 20005, 150004, 20006, 20002]));
        Assert.Equal("[pad]<image_7>[<t>][<blank_2>][<blank_80>]", tokenizer.Decode([0, 7, 150008, 150009, 150087, 150100, 150527]));
        Assert.Equal(150528, tokenizer.VocabularySize);
        Assert.Throws<GlmException>(() => tokenizer.Decode([150528]));
        Assert.Throws<GlmException>(() => tokenizer.Decode([-1]));
    }

    [Fact]
    public void ExtendedCommands()
    {
        var tokenizer = new IceTokenizer(Synthetic(), Extended);
        Assert.Equal("w1\n\t   [eop]", tokenizer.Decode([20006, 20004, 150008, 150010, 150005]));
        Assert.Equal([20006, 20004, 150008, 150010, 20005], tokenizer.Encode("w1\n\t   w1"));
        int[] blanks = [150007 + 80, 150007 + 80, 150007 + 2, 20005, 150007 + 80, 20006];
        Assert.Equal([20006, .. blanks], tokenizer.Encode("w1" + new string(' ', 162) + "w1" + new string(' ', 81) + "w1"));
        Assert.Equal([20006, 150088 + 0xC3, 150088 + 0xA9], tokenizer.Encode("w1é"));
        Assert.Equal("w1é", tokenizer.Decode([20006, 150088 + 0xC3, 150088 + 0xA9]));
    }

    [Fact]
    public void OtherModelsAreRefused() =>
        Assert.Contains("here.model", Assert.Throws<GlmException>(() => new IceTokenizer(TinyVocabulary.Model, null, "here.model")).Message);

    private static IceTokenizer Real(IceOptions? options = null) =>
        new IceTokenizer(SentencePieceModel.Load(Path.Combine(TestFiles.Tokenizers!, "chatglm-6b", "ice_text.model")), options);

    /// <summary>A model of the same shape: "w1" is 5, with a space before it 6, the rest are fillers.</summary>
    private static SentencePieceModel Synthetic() => new()
    {
        Pieces =
        [
            new("<unk>", 0, PieceType.Unknown), new("<s>", 0, PieceType.Control), new("</s>", 0, PieceType.Control), new("<pad>", 0, PieceType.Control),
            new("<n>", 0, PieceType.UserDefined), new("w1", -2), new("\u2581w1", -1),
            .. Enumerable.Range(7, 130000 - 7).Select(i => new SentencePiece($"\u2581filler{i}", -15)),
        ],
    };
}
