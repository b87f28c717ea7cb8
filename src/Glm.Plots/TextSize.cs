using System.Text;

namespace Glm.Plots;

/// <summary>About how wide a text is that a browser will set at 13 pixels: fonts are not known here, so letters count by their kind.</summary>
internal static class TextSize
{
    public static double Width(string text) => text.EnumerateRunes().Sum(Width);

    /// <summary>The text, cut so that it fits.</summary>
    public static string Fit(string text, double width)
    {
        if (Width(text) <= width) return text;
        var kept = new StringBuilder();
        double used = 13;
        foreach (var rune in text.EnumerateRunes())
        {
            used += Width(rune);
            if (used > width) break;
            kept.Append(rune);
        }
        return kept.Append('\u2026').ToString();
    }

    /// <summary>The text in lines that fit, broken at spaces; at least one.</summary>
    public static IReadOnlyList<string> Lines(string text, double width)
    {
        var lines = new List<string>();
        foreach (string word in text.Split(' '))
            if (lines.Count > 0 && Width(lines[^1]) + Width(" " + word) <= width) lines[^1] += " " + word;
            else lines.Add(word);
        return lines;
    }

    private static double Width(Rune rune) => rune.Value switch
    {
        >= 0x1100 => 13,
        >= 'A' and <= 'Z' or 'm' or 'w' or '@' or '%' => 9.5,
        'i' or 'j' or 'l' or 'f' or 't' or 'r' or '.' or ',' or ':' or '|' or '(' or ')' or '\'' or ' ' => 5,
        _ => 7.8,
    };
}
