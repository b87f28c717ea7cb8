using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>
/// Cuts training text into stretches that no piece may cross: a piece holds characters of one script, or punctuation, or spaces,
/// with at most one space before; digits stand alone; newlines stand alone or in pairs. An apostrophe starts a stretch of its
/// own with the Latin letters after it ('s, 'll).
/// </summary>
internal static class PreTokens
{
    /// <summary>Longer stretches are cut; this also keeps products of probabilities within the range of a double.</summary>
    private const int MaximumCharacters = 32;

    /// <summary>Classes of characters; other scripts have a class per 256 code points.</summary>
    private const int Excluded = -1, Space = 0, Newline = 1, Digit = 2, Punctuation = 3, Han = 4, Latin = 5, OtherScripts = 16;

    /// <summary>Counts the stretches of <paramref name="text"/>, with spaces written as U+2581.</summary>
    public static void Count(ReadOnlySpan<char> text, Dictionary<string, int> counts)
    {
        Span<char> escaped = new char[text.Length];
        text.Replace(escaped, ' ', '\u2581');
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        for (int start = 0, length; start < text.Length; start += length)
        {
            ReadOnlySpan<char> rest = text[start..];
            int first = ClassAt(rest, out length);
            if (first == Excluded) continue;
            if (first == Newline) length = rest.StartsWith("\n\n") ? 2 : 1;
            else if (first == Space) length = LengthAfterSpace(rest);
            else if (first != Digit) length = LengthOfRun(rest, first);
            CollectionsMarshal.GetValueRefOrAddDefault(lookup, escaped.Slice(start, length), out _)++;
        }
    }

    // Of a run of spaces, the last one belongs to the word after it, if there is one, and the others stand alone.
    private static int LengthAfterSpace(ReadOnlySpan<char> text)
    {
        int spaces = 1;
        while (spaces < text.Length && text[spaces] == ' ') spaces++;
        if (spaces > 1) return Math.Min(spaces - 1, MaximumCharacters);
        int next = text.Length > 1 ? ClassAt(text[1..], out _) : Excluded;
        return next is Excluded or Digit or Newline ? 1 : 1 + LengthOfRun(text[1..], next);
    }

    private static int LengthOfRun(ReadOnlySpan<char> text, int scriptOfRun)
    {
        bool contraction = IsContraction(text);
        if (contraction) scriptOfRun = Latin;
        int end = contraction ? 1 : 0;
        for (int characters = 0; end < text.Length && characters < MaximumCharacters; characters++)
        {
            if (ClassAt(text[end..], out int length) != scriptOfRun && !IsMark(text[end..])) break;
            end += length;
            if (scriptOfRun == Punctuation && IsContraction(text[end..])) break;
        }
        return end;
    }

    private static bool IsContraction(ReadOnlySpan<char> text) =>
        text.Length > 1 && text[0] is '\'' or '\u2019' && ClassAt(text[1..], out _) == Latin;

    private static bool IsMark(ReadOnlySpan<char> text) => char.GetUnicodeCategory(text[0])
        is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;

    private static int ClassAt(ReadOnlySpan<char> text, out int length)
    {
        Rune.DecodeFromUtf16(text, out Rune rune, out length);
        int code = rune.Value;
        return code switch
        {
            ' ' => Space,
            '\n' => Newline,
            0x2581 or 0xFFFD => Excluded,
            >= 0x3005 and <= 0x3007 or >= 0x3040 and <= 0x30FF or >= 0x3100 and <= 0x312F
                or >= 0x3400 and <= 0x4DBF or >= 0x4E00 and <= 0x9FFF or >= 0xF900 and <= 0xFAFF or >= 0x20000 and <= 0x3FFFF => Han,
            _ => Rune.GetUnicodeCategory(rune) switch
            {
                UnicodeCategory.DecimalDigitNumber => Digit,
                UnicodeCategory.Control when code != '\t' => Excluded,
                UnicodeCategory.OtherNotAssigned or UnicodeCategory.PrivateUse or UnicodeCategory.Surrogate => Excluded,
                _ when !Rune.IsLetter(rune) => Punctuation,
                _ => code is < 0x250 or >= 0x1E00 and < 0x1F00 ? Latin : OtherScripts + (code >> 8),
            },
        };
    }
}
