using System.Text;

namespace Glm.Tokenizers.Tests;

/// <summary>
/// Lines made for comparing tokenizers: ordinary words in two languages, and whatever trips a normaliser. Always the same;
/// the recorded ids in <c>vectors/</c> belong to exactly these (see <c>record-spm.sh</c>).
/// </summary>
internal static class SyntheticLines
{
    private static readonly string[] Fragments =
    [
        "the", "of", "Hello", "world", "tokenizer", "unbelievable", "electromagnetism", "I'm", "don't", "U.S.A.", "e-mail", "GPU", "naïve",
        "你好", "世界", "人工智能", "清华大学", "今天天气很好", "，", "。", "“引号”", "《书名》", "……", "——", "繁體中文", "龘靐齉",
        "日本語", "カタカナ", "ｶﾞﾊﾟ", "한국어", "\u1112\u1161\u11ab", "Привет", "Ελληνικά", "שלום", "العربية", "ไทย", "हिन्दी",
        "3.14159", "1,000,000", "2022年8月", "42", "0x1F", "٣٤٥", "①②", "Ⅷ", "½", "x²", "H₂O",
        "ＡＢＣ１２３", "，！？；：", "（全角）", "㍿", "ﬁ", "ﬂuﬀ", "Å", "A\u030a", "e\u0301", "o\u0308\u0323", "ñ", "n\u0303",
        "😀", "👩‍👩‍👧‍👦", "🇨🇳", "👍🏽", "𝒜𝓫𝖈", "𠀀", "𪚥", "\ue000", "\uf8ff", "\U000f0000", "\ufffe", "\ud800", "\udc00",
        " ", "  ", "     ", "\t", "\r", "\u3000", "\u00a0", "\u2003", "\u200b", "\u200d", "\ufeff", "\u00ad", "\u2028", "\u2581", "\u2581\u2581",
        "\0", "\u0001", "\u0007", "\u001b", "\u007f", "\u0085",
        "<n>", "<|tab|>", "<|blank_2|>", "<unk>", "<s>", "</s>", "<pad>", "[MASK]", "[gMASK]", "sop", "<0x0A>", "<", ">", "|",
        "{\"a\": [1, 2]}", "if (x != 0) return;", "def f(x):", "$\\frac{1}{2}$", "~!@#$%^&*()_+`-=", "\\", "http://example.org/a?b=c&d=1",
        "aaaaaaaaaaaaaaaaaaaaaaaa", "哈哈哈哈哈哈哈哈", "----------------", "................", "！！！！！！！！", "ababababab",
    ];

    /// <summary>All lines; none contains a newline.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Make()];

    private static IEnumerable<string> Make()
    {
        yield return "Hello World! I am icetk.";
        yield return "你好世界！这里是 icetk。";
        yield return "";
        yield return "   ";
        foreach (string fragment in Fragments) yield return fragment;
        ulong state = 20220804;
        int Next(int below)
        {
            // Linear congruence of Knuth's MMIX; the high bits are the good ones.
            state = state * 6364136223846793005 + 1442695040888963407;
            return (int)((state >> 33) % (ulong)below);
        }
        for (int line = 0; line < 220; line++)
        {
            var text = new StringBuilder();
            bool spaced = Next(2) == 0;
            for (int count = 2 + Next(20); count > 0; count--)
            {
                text.Append(Fragments[Next(Fragments.Length)]);
                if (spaced && Next(4) > 0) text.Append(' ');
            }
            yield return text.ToString();
        }
        // Characters anywhere in Unicode, a block of neighbours at a time.
        for (int line = 0; line < 40; line++)
        {
            var text = new StringBuilder();
            int block = Next(line < 25 ? 0x300 : 0x1100) << 8;
            for (int count = 0; count < 24; count++)
                if (Rune.TryCreate(block + Next(256), out Rune rune) && rune.Value != '\n') text.Append(rune);
            yield return text.ToString();
        }
    }
}
