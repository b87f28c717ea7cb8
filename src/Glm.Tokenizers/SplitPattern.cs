using System.Globalization;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>
/// Cuts text into the words that byte-pair encoding never crosses. Each pattern is a published regular expression, written as a scanner that takes time
/// in proportion to the text and sees whole code points.
/// </summary>
internal abstract class SplitPattern
{
    /// <summary>GPT-2, RoBERTa, OPT (ChatGLM spec 7.4).</summary>
    public static SplitPattern Gpt2 { get; } = new Gpt2Pattern();

    /// <summary>GLM-4 (ChatGLM spec 12.5).</summary>
    public static SplitPattern Glm4 { get; } = new Glm4Pattern();

    /// <summary>BLOOM (ChatGLM spec 8.4).</summary>
    public static SplitPattern Bloom { get; } = new BloomPattern();

    private static readonly Dictionary<string, SplitPattern> Published = new(StringComparer.Ordinal)
    {
        [@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"] = Gpt2,
        [@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"] = Glm4,
        [@" ?[^(\s|[.,!?…。，、।۔،])]+"] = Bloom,
        [@" ?[^(\s|.,!?…。，、।۔،)]+"] = Bloom,
    };

    /// <summary>The scanner of a regular expression, or null for one that no model here uses.</summary>
    public static SplitPattern? Of(string expression) => Published.GetValueOrDefault(expression);

    /// <summary>Length of the word that a text, which is not empty, begins with.</summary>
    public abstract int NextLength(ReadOnlySpan<char> text);

    private enum Class { End, Letter, Number, Space, Newline, Other }

    private static Class ClassAt(ReadOnlySpan<char> text, out int length)
    {
        if (text.IsEmpty)
        {
            length = 0;
            return Class.End;
        }
        char first = text[0];
        length = 1;
        if (first < 0x80)
            return char.IsAsciiLetter(first) ? Class.Letter : char.IsAsciiDigit(first) ? Class.Number
                : first is '\n' or '\r' ? Class.Newline : first is ' ' or >= '\t' and <= '\f' ? Class.Space : Class.Other;
        // A lone surrogate is U+FFFD, as it will be in the bytes.
        Rune.DecodeFromUtf16(text, out var rune, out length);
        return Rune.GetUnicodeCategory(rune) switch
        {
            UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
                or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => Class.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Class.Number,
            _ => Rune.IsWhiteSpace(rune) ? Class.Space : Class.Other,
        };
    }

    private static int LengthOfRun(ReadOnlySpan<char> text, Class wanted, int most = int.MaxValue)
    {
        int end = 0;
        for (int count = 0; count < most && ClassAt(text[end..], out int length) == wanted; count++) end += length;
        return end;
    }

    // 's, 't, 're, 've, 'm, 'll, 'd at the begin; in any case, the long s (U+017F) is an s, too.
    private static int LengthOfContraction(ReadOnlySpan<char> text, bool anyCase)
    {
        if (text.Length < 2 || text[0] != '\'') return 0;
        char first = Folded(text[1], anyCase), second = text.Length > 2 ? Folded(text[2], anyCase) : '\0';
        return first is 's' or 't' or 'm' or 'd' ? 2 : (first, second) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }

    private static char Folded(char c, bool anyCase) => !anyCase ? c : c == '\u017F' ? 's' : char.IsAsciiLetterUpper(c) ? (char)(c | 0x20) : c;

    // Of a run of whitespace before something else, the last character is left to it, unless it is the only one.
    private static int LengthOfSpaces(ReadOnlySpan<char> text, int run) => run == text.Length ? run : Math.Max(1, run - 1);

    private static int LengthOfWhitespace(ReadOnlySpan<char> text, out int afterLastNewline)
    {
        int end = 0;
        afterLastNewline = 0;
        while (ClassAt(text[end..], out int length) is (Class.Space or Class.Newline) and var kind)
        {
            end += length;
            if (kind == Class.Newline) afterLastNewline = end;
        }
        return end;
    }

    private sealed class Gpt2Pattern : SplitPattern
    {
        public override int NextLength(ReadOnlySpan<char> text)
        {
            if (LengthOfContraction(text, anyCase: false) is > 0 and var contraction) return contraction;
            int space = text[0] == ' ' ? 1 : 0;
            var next = ClassAt(text[space..], out _);
            if (next is Class.Letter or Class.Number or Class.Other) return space + LengthOfRun(text[space..], next);
            return LengthOfSpaces(text, LengthOfWhitespace(text, out _));
        }
    }

    private sealed class Glm4Pattern : SplitPattern
    {
        public override int NextLength(ReadOnlySpan<char> text)
        {
            if (LengthOfContraction(text, anyCase: true) is > 0 and var contraction) return contraction;
            var first = ClassAt(text, out int length);
            if (first == Class.Letter) return LengthOfRun(text, Class.Letter);
            if (first is Class.Space or Class.Other && ClassAt(text[length..], out _) == Class.Letter) return length + LengthOfRun(text[length..], Class.Letter);
            if (first == Class.Number) return LengthOfRun(text, Class.Number, most: 3);
            int space = text[0] == ' ' ? 1 : 0;
            if (ClassAt(text[space..], out _) == Class.Other)
            {
                int end = space + LengthOfRun(text[space..], Class.Other);
                return end + LengthOfRun(text[end..], Class.Newline);
            }
            int run = LengthOfWhitespace(text, out int afterLastNewline);
            return afterLastNewline > 0 ? afterLastNewline : LengthOfSpaces(text, run);
        }
    }

    private sealed class BloomPattern : SplitPattern
    {
        // The brackets inside the expression's brackets delimit a class of their own and are not part of it.
        private static bool IsWord(ReadOnlySpan<char> text) =>
            ClassAt(text, out _) is Class.Letter or Class.Number or Class.Other
            && text[0] is not ('(' or ')' or '|' or '.' or ',' or '!' or '?' or '…' or '。' or '，' or '、' or '।' or '۔' or '،');

        private static bool BeginsWord(ReadOnlySpan<char> text) => IsWord(text) || (text[0] == ' ' && IsWord(text[1..]));

        public override int NextLength(ReadOnlySpan<char> text)
        {
            int end = 0;
            if (BeginsWord(text))
            {
                if (text[0] == ' ') end = 1;
                while (IsWord(text[end..])) end += LengthAt(text[end..]);
            }
            else
                while (end < text.Length && !BeginsWord(text[end..])) end += LengthAt(text[end..]);
            return end;
        }

        private static int LengthAt(ReadOnlySpan<char> text)
        {
            _ = ClassAt(text, out int length);
            return length;
        }
    }
}
