using Glm.Tests;

namespace Glm.Tokenizers.Tests;

/// <summary>Ids that were published for real vocabularies (ChatGLM spec 6.4, 7.4, 12, 16).</summary>
public sealed class PublishedIdsTests
{
    private const string Code = "def main():\n    print('hello world')\t# greeting";

    [TokenizersFact]
    public void ChatGlm()
    {
        var tokenizer = Load("chatglm-6b", VocabularyKind.ChatGlm);
        Check(tokenizer, "你好", [5, 74874, 130001, 130004]);
        Check(tokenizer, "[Round 0]\n问：你好\n答：你好👋！我是人工智能助手 ChatGLM-6B，很高兴见到你，欢迎问我任何问题。\n[Round 1]\n问：晚上睡不着应该怎么办\n答：",
        [
            53, 6945, 5, 8, 42, 4, 64286, 12, 74874, 4, 67342, 12, 74874, 130328, 130247, 130233, 130227, 35, 65806, 68241, 75890, 14132, 5388, 340, 11, 21, 222,
            6, 76693, 66877, 63852, 6, 66430, 68747, 102501, 63823, 4, 52, 6945, 5, 9, 42, 4, 64286, 12, 65450, 83400, 64213, 66846, 4, 67342, 12, 130001,
            130004,
        ]);
        Check(tokenizer, Code, [1616, 594, 125936, 4, 130011, 2274, 89, 7283, 398, 125686, 130008, 61, 25672, 130001, 130004]);
        Assert.Equal(Code, tokenizer.Decode(tokenizer.EncodeInput(Code)).Replace("[gMASK]", ""));
        Assert.Equal(new BlankTokens(130000, 130001, 130002, 130004, 130005, 2), tokenizer.Blanks);
        Assert.Equal([130005], tokenizer.Special.End);
        Assert.Equal(130344, tokenizer.VocabularySize);
    }

    [TokenizersFact]
    public void ChatGlm2()
    {
        var tokenizer = Load("chatglm2-6b", VocabularyKind.ChatGlm2);
        Check(tokenizer, "你好", [64790, 64792, 36474, 54591]);
        Check(tokenizer, "[Round 1]\n\n问：你好\n\n答：", [64790, 64792, 790, 30951, 517, 30910, 30939, 30996, 13, 13, 54761, 31211, 39701, 13, 13, 55437, 31211]);
        Check(tokenizer, "[Round 1]\n\n问：你好\n\n答：你好👋！我是人工智能助手 ChatGLM2-6B，很高兴见到你，欢迎问我任何问题。\n\n[Round 2]\n\n问：晚上睡不着应该怎么办\n\n答：",
        [
            64790, 64792, 790, 30951, 517, 30910, 30939, 30996, 13, 13, 54761, 31211, 39701, 13, 13, 55437, 31211, 39701, 243, 162, 148, 142, 31404, 33030,
            34797, 42481, 22011, 10461, 30944, 30943, 30941, 30978, 30949, 31123, 48895, 35214, 54622, 31123, 32616, 39905, 31901, 31639, 31155, 13, 13, 30995,
            30951, 517, 30910, 30943, 30996, 13, 13, 54761, 31211, 32820, 54266, 31876, 35153, 13, 13, 55437, 31211,
        ]);
        Check(tokenizer, Code, [64790, 64792, 884, 1301, 9427, 13, 296, 4466, 2029, 15616, 30914, 993, 3387, 12, 31010, 30174]);
        Assert.Equal([30910, 13], tokenizer.Encode("\n"));
        Assert.Equal(Code, tokenizer.Decode(tokenizer.EncodeInput(Code)));
        Assert.Equal([2], tokenizer.Special.End);
        Assert.Null(tokenizer.Special.Roles);
        Assert.Equal(64794, tokenizer.VocabularySize);
    }

    [TokenizersFact]
    public void ChatGlm3()
    {
        var tokenizer = Load("chatglm3-6b", VocabularyKind.ChatGlm3);
        Check(tokenizer, "你好", [64790, 64792, 36474, 54591]);
        Assert.Equal([64796], tokenizer.EncodeWithSpecial("<|assistant|>"));
        Assert.DoesNotContain(64796, tokenizer.Encode("<|assistant|>"));
        Assert.Equal(new RoleTokens(64794, 64795, 64796, 64797), tokenizer.Special.Roles);
        Assert.Equal([2, 64795, 64797], tokenizer.Special.End);
        Assert.Equal(64798, tokenizer.VocabularySize);
    }

    [TokenizersFact]
    public void Glm4()
    {
        var tokenizer = Load("glm-4-9b", VocabularyKind.Glm4);
        Check(tokenizer, "你好", [151331, 151333, 109377]);
        string text = "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis concatenated) ✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 "
            + "កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ ------======= нещо на Български ''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? "
            + "'M not sure I'll make it, 'D you like some tea? We'Ve a'lL";
        int[] ids =
        [
            198, 4710, 14721, 65020, 7847, 1572, 2303, 78043, 10942, 9281, 248, 222, 320, 8251, 8, 26440, 114, 124564, 9281, 234, 104, 30423, 320, 35495, 98226,
            96714, 8, 25442, 227, 11157, 99, 247, 9281, 99, 247, 220, 18, 220, 100702, 220, 121577, 220, 121577, 18, 220, 121577, 100702, 220, 121577, 121577,
            220, 121577, 121577, 18, 220, 121577, 121577, 100702, 220, 18, 13, 18, 220, 18, 496, 18, 220, 18, 1112, 18, 220, 20833, 222, 96709, 241, 44002, 233,
            20833, 237, 44002, 224, 20833, 244, 20833, 115, 20833, 253, 44002, 223, 20833, 253, 20833, 95, 96709, 227, 74764, 223, 937, 101446, 98319, 22320,
            98538, 118901, 19, 99082, 16, 98411, 21168, 55088, 52883, 18625, 131040, 13065, 146335, 78377, 3355, 4605, 4605, 13865, 13865, 73022, 3014, 3014,
            28052, 17066, 2928, 26524, 7646, 358, 3003, 1012, 364, 83, 813, 566, 594, 1052, 11, 364, 787, 498, 2704, 30, 364, 44, 537, 2704, 358, 3278, 1281,
            432, 11, 364, 35, 498, 1075, 1045, 15231, 30, 1205, 6, 42368, 264, 63409, 43,
        ];
        Assert.Equal(ids, tokenizer.Encode(text));
        Assert.Equal(text, tokenizer.Decode(ids));
        const string code = """

            ```c++
            #include <iostream>

            int main() {
                printf("hello world\n");    // say hello
            }
            ```

            ```python
            if __name__ == '__main__':
                print('hello world')        # say hello
            ```

            """;
        Assert.Equal(
        [
            198, 73022, 66, 22879, 1067, 366, 9661, 1339, 396, 1887, 368, 341, 262, 4100, 445, 14978, 1879, 1699, 5038, 262, 442, 1977, 23745, 198, 532, 13865,
            19288, 73022, 12663, 198, 333, 1304, 606, 563, 621, 12106, 3817, 16165, 262, 1173, 492, 14978, 1879, 863, 286, 671, 1977, 23745, 198, 13865, 3989,
        ], tokenizer.Encode(code));
        Assert.Equal(151343, tokenizer.VocabularySize);
        Assert.Equal([151329, 151336, 151338], tokenizer.Special.End);
        Assert.Equal(new RoleTokens(151335, 151336, 151337, 151338), tokenizer.Special.Roles);
        Assert.Equal([198], tokenizer.Encode("\n"));
        Assert.Equal((151342, "<|end_of_video|>"), (tokenizer.Special.Names["<|end_of_video|>"], tokenizer.PieceText(151342)));
    }

    [TokenizersFact]
    public void Opt()
    {
        var tokenizer = Load("opt", VocabularyKind.Opt);
        Check(tokenizer, "Hello, I'm am conscious and", [2, 31414, 6, 38, 437, 524, 13316, 8]);
        // The example of OPT's own tests: RoBERTa's "Hello world! cécé herlolip" between <s> and </s>.
        Assert.Equal([31414, 232, 328, 740, 1140, 12695, 69, 46078, 1588], tokenizer.Encode("Hello world! cécé herlolip"));
        Assert.Equal("Hello, I'm am conscious and", tokenizer.Decode(tokenizer.EncodeInput("Hello, I'm am conscious and")));
        Assert.Equal([250], tokenizer.Encode("A"));
        Assert.Equal([1345], tokenizer.Encode(" photo"));
    }

    [TokenizersFact]
    public void Gpt2()
    {
        var tokenizer = Load("gpt2", VocabularyKind.GlmGpt2);
        Assert.Equal([15496, 995], tokenizer.Encode("Hello world"));
        Assert.Equal(new BlankTokens(50260, 50263, 50264, 50257, 50258, 50256), tokenizer.Blanks);
        // A blank takes the space before it along, and the text between [CLS] and the end of a text.
        Assert.Equal([15496, 50263], tokenizer.EncodeWithMasks("Hello [gMASK]"));
        Check(tokenizer, "Hello world", [50259, 15496, 995, 50256]);
    }

    [TokenizersFact]
    public void Bert()
    {
        var tokenizer = Load("glm-large", VocabularyKind.GlmBert);
        Assert.Equal(new BlankTokens(103, null, null, 30522, 30523, 0), tokenizer.Blanks);
        Check(tokenizer, "Hello, world!", [101, 7592, 1010, 2088, 999, 102]);
        Assert.Equal([7592, 103, 1012], tokenizer.EncodeWithMasks("HELLO [MASK]."));
        Assert.Equal("hello, world!", tokenizer.Decode(tokenizer.EncodeInput("Hello, world!")));
        Assert.Equal(tokenizer.Encode("cafe"), tokenizer.Encode("Café"));
    }

    [TokenizersFact]
    public void ChineseGlm()
    {
        var tokenizer = Load("glm-10b-chinese", VocabularyKind.GlmChinese);
        Assert.Equal(new BlankTokens(50003, 50009, 50008, 50006, 50007, 50000), tokenizer.Blanks);
        Assert.Equal(50002, tokenizer.EncodeInput("你好")[0]);
        Assert.Equal(50000, tokenizer.EncodeInput("你好")[^1]);
        Assert.Equal([.. tokenizer.Encode("你好"), 50009], tokenizer.EncodeWithMasks("你好 [gMASK]"));
    }

    private static Tokenizer Load(string folder, VocabularyKind kind)
    {
        var tokenizer = Tokenizer.Load(Path.Combine(TestFiles.Tokenizers!, folder));
        Assert.Equal(kind, tokenizer.Kind);
        return tokenizer;
    }

    private static void Check(Tokenizer tokenizer, string text, int[] ids) => Assert.Equal(ids, tokenizer.EncodeInput(text));
}
