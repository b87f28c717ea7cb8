using System.Globalization;
using System.Text;

namespace Glm.Evaluation;

/// <summary>Prompts as an endpoint is given them, and what its words mean.</summary>
internal static class EndpointPrompt
{
    private const string Marks = ".,;:!?\"'()[]{}\u3002\uFF0C\uFF01\uFF1F";

    /// <summary>What stands before and after the blank of a prompt; a prompt without one ends with it.</summary>
    public static (string Before, string After) Around(string prompt)
    {
        foreach (string mask in new[] { "[MASK]", "[gMASK]" })
            if (prompt.IndexOf(mask, StringComparison.Ordinal) is >= 0 and int at) return (prompt[..at], prompt[(at + mask.Length)..]);
        return (prompt, "");
    }

    /// <summary>The question with its choices under letters.</summary>
    public static string WithChoices(string prompt, IReadOnlyList<string> choices)
    {
        var (before, after) = Around(prompt);
        var text = new StringBuilder(after.Length > 0 ? $"{before}____{after}" : before.TrimEnd()).Append("\n\n");
        for (int i = 0; i < choices.Count; i++) text.Append(Name(i, choices.Count)).Append(". ").Append(choices[i].Trim()).Append('\n');
        return text.Append(after.Length > 0 ? "\nWhich of these belongs in the blank? " : "\nWhich of these comes next or is the right answer? ")
            .Append(choices.Count > 26 ? "Reply with its number alone." : "Reply with its letter alone.").ToString();
    }

    /// <summary>The choice that a reply names, -1 for none: the one letter or number that stands by itself and is first, or the last after the word answer.</summary>
    public static int Letter(string reply, int choices)
    {
        int announced = reply.LastIndexOf("answer", StringComparison.OrdinalIgnoreCase);
        foreach (string part in announced >= 0 ? new[] { reply[announced..], reply } : [reply])
            foreach (string word in part.Split([' ', '\n', '\t', '\r', '*', '`', '$', .. Marks], StringSplitOptions.RemoveEmptyEntries))
            {
                int choice = choices > 26
                    ? int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number - 1 : -1
                    : word.Length == 1 ? char.ToUpperInvariant(word[0]) - 'A' : -1;
                // A sentence may begin with the article, which names nothing.
                if (choice >= 0 && choice < choices && (word != "a" || reply.Trim().Length <= 3) && !(word == "A" && IsArticle(part))) return choice;
            }
        return -1;
    }

    public static string NextWord(string text) => $"{text}\n\nWhich single word comes next? Reply with that word alone.";

    /// <summary>The first word of a reply, without marks around it.</summary>
    public static string FirstWord(string reply) => (reply.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).FirstOrDefault() ?? "").Trim(Marks.ToCharArray());

    /// <summary>The text before the first of some stops.</summary>
    public static string Until(string text, IReadOnlyList<string> stops)
    {
        foreach (string stop in stops)
            if (stop.Length > 0 && text.IndexOf(stop, StringComparison.Ordinal) is >= 0 and int at) text = text[..at];
        return text;
    }

    /// <summary>The end of a text, of at most so many bytes in UTF-8; whole characters.</summary>
    public static string Tail(string text, int bytes)
    {
        if (Encoding.UTF8.GetByteCount(text) <= bytes) return text;
        int start = text.Length;
        for (int used = 0; start > 0;)
        {
            int length = start > 1 && char.IsSurrogatePair(text, start - 2) ? 2 : 1;
            used += Encoding.UTF8.GetByteCount(text.AsSpan(start - length, length));
            if (used > bytes) break;
            start -= length;
        }
        return text[start..];
    }

    /// <summary>A text in parts with what stands before each: at most so many bytes together, half of them context from the second part on.</summary>
    public static IEnumerable<(string Context, string Part)> Windows(string text, int bytes)
    {
        for (int start = 0; start < text.Length;)
        {
            string context = start == 0 ? "" : Tail(text[..start], bytes / 2);
            string part = Head(text[start..], bytes - Encoding.UTF8.GetByteCount(context));
            yield return (context, part);
            start += part.Length;
        }
    }

    private static string Head(string text, int bytes)
    {
        int used = 0, end = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if (end > 0 && used + rune.Utf8SequenceLength > bytes) break;
            used += rune.Utf8SequenceLength;
            end += rune.Utf16SequenceLength;
        }
        return text[..Math.Min(end, text.Length)];
    }

    /// <summary>Whether a reply begins as a sentence with the article: "A dog ...".</summary>
    private static bool IsArticle(string reply) => reply.TrimStart() is ['A', ' ', var next, ..] && char.IsLower(next);

    private static string Name(int choice, int choices) => choices > 26 ? (choice + 1).ToString(CultureInfo.InvariantCulture) : ((char)('A' + choice)).ToString();
}
