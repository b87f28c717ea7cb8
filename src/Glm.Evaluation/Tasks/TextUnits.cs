using System.Text;

namespace Glm.Evaluation;

/// <summary>
/// What text is counted in where no vocabulary may decide: words, and in scripts that do not separate them, characters. Spaces and punctuation are none; an
/// apostrophe inside a word belongs to it.
/// </summary>
internal static class TextUnits
{
    /// <summary>Where the units of a text begin and end.</summary>
    public static List<(int Start, int End)> Of(string text)
    {
        var units = new List<(int Start, int End)>();
        bool inWord = false;
        for (int at = 0; at < text.Length;)
        {
            Rune.DecodeFromUtf16(text.AsSpan(at), out var rune, out int length);
            bool isWord = PromptJoint.IsSpaced(rune) && (Rune.IsLetterOrDigit(rune) || (inWord && IsInner(text, at)));
            if (isWord && inWord) units[^1] = (units[^1].Start, at + length);
            else if (isWord || Rune.IsLetterOrDigit(rune)) units.Add((at, at + length));
            inWord = isWord;
            at += length;
        }
        return units;
    }

    /// <summary>The text up to the end of so many units, or all of it.</summary>
    public static string First(string text, int count)
    {
        var units = Of(text);
        return units.Count <= count ? text : count == 0 ? "" : text[..units[count - 1].End];
    }

    /// <summary>The units themselves.</summary>
    public static string[] Words(string text) => [.. Of(text).Select(unit => text[unit.Start..unit.End])];

    /// <summary>Share of different ones among all runs of n words; 1 where there is none.</summary>
    public static double Distinct(IReadOnlyList<string> words, int n)
    {
        var runs = Runs(words, n);
        return runs.Count == 0 ? 1 : (double)runs.Distinct().Count() / runs.Count;
    }

    /// <summary>Share of the words that stand in a run of n words which occurs more than once.</summary>
    public static double Repeated(IReadOnlyList<string> words, int n)
    {
        var runs = Runs(words, n);
        var repeated = runs.CountBy(run => run).Where(run => run.Value > 1).Select(run => run.Key).ToHashSet();
        bool[] marked = new bool[words.Count];
        for (int i = 0; i < runs.Count; i++)
            if (repeated.Contains(runs[i])) marked.AsSpan(i, n).Fill(true);
        return words.Count == 0 ? 0 : (double)marked.Count(mark => mark) / words.Count;
    }

    private static List<string> Runs(IReadOnlyList<string> words, int n) =>
        [.. Enumerable.Range(0, Math.Max(0, words.Count - n + 1)).Select(i => string.Join('\n', words.Skip(i).Take(n)))];

    /// <summary>An apostrophe or a combining mark with a letter after it, or a mark.</summary>
    private static bool IsInner(string text, int at) => char.GetUnicodeCategory(text, at) is System.Globalization.UnicodeCategory.NonSpacingMark or System.Globalization.UnicodeCategory.SpacingCombiningMark
        || (text[at] is '\'' or '\u2019' && at + 1 < text.Length && char.IsLetter(text, at + 1));
}
