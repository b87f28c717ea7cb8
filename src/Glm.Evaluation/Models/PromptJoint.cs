using System.Globalization;
using System.Text;

namespace Glm.Evaluation;

/// <summary>
/// What stands between a prompt and what follows it. A space at the end of the prompt belongs to the word after it, as pieces of vocabularies have it;
/// where the prompt has none, there is one if both sides are of a script that separates words.
/// </summary>
public static class PromptJoint
{
    /// <summary>The prompt without spaces at its end, and the space that its answer begins with, or nothing.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="answer">What follows it.</param>
    public static (string Prompt, string Joint) Split(string prompt, string answer)
    {
        string trimmed = prompt.TrimEnd(' ');
        if (trimmed.Length == 0 || answer.Length == 0 || char.IsWhiteSpace(answer[0])) return (trimmed, "");
        if (trimmed.Length < prompt.Length) return (trimmed, " ");
        Rune.DecodeLastFromUtf16(trimmed, out var last, out _);
        Rune.DecodeFromUtf16(answer, out var first, out _);
        return (trimmed, Closes(last) && IsSpaced(first) ? " " : "");
    }

    /// <summary>Whether a word may follow the character after a space: a letter or digit of a spaced script, or a closing mark.</summary>
    private static bool Closes(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.OpenPunctuation or UnicodeCategory.InitialQuotePunctuation or UnicodeCategory.SpaceSeparator or UnicodeCategory.Control => false,
        _ => IsSpaced(rune),
    };

    /// <summary>Neither Chinese nor Japanese, nor their punctuation.</summary>
    internal static bool IsSpaced(Rune rune) => rune.Value is < 0x2E80 or (> 0xD7FF and < 0xF900) or (> 0xFAFF and < 0xFE30) or (> 0xFFEF and < 0x20000) or > 0x3FFFF;
}
