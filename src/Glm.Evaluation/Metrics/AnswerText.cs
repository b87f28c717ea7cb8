using System.Text.RegularExpressions;

namespace Glm.Evaluation;

/// <summary>Comparison of generated answers with targets (spec 8.5): the original's, which is SQuAD's, also for Chinese; and by characters, for text without spaces.</summary>
internal static partial class AnswerText
{
    private const string Punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

    /// <summary>Lower case, without ASCII punctuation, then without a, an, the, white space squeezed.</summary>
    public static string Normalize(string text)
    {
        string plain = string.Concat(text.ToLowerInvariant().Where(letter => !Punctuation.Contains(letter)));
        return string.Join(' ', Words(Article().Replace(plain, " ")));
    }

    /// <summary>Whether the answer is one of the targets: 1 or 0.</summary>
    public static double ExactMatch(string answer, IReadOnlyList<string> targets)
    {
        string normal = Normalize(answer);
        return targets.Any(target => Normalize(target) == normal) ? 1 : 0;
    }

    /// <summary>The best F1 over the words between spaces; 0 where nothing is in common, also where there are no words at all.</summary>
    public static double F1(string answer, IReadOnlyList<string> targets) => Best(answer, targets, text => Words(Normalize(text)));

    /// <summary>The best F1 over characters other than white space.</summary>
    public static double CharacterF1(string answer, IReadOnlyList<string> targets) =>
        Best(answer, targets, text => [.. Normalize(text).EnumerateRunes().Where(rune => rune.Value != ' ').Select(rune => rune.ToString())]);

    private static double Best(string answer, IReadOnlyList<string> targets, Func<string, string[]> parts)
    {
        string[] found = parts(answer);
        return targets.Max(target =>
        {
            string[] wanted = parts(target);
            int common = found.CountBy(part => part).Join(wanted.CountBy(part => part), a => a.Key, b => b.Key, (a, b) => Math.Min(a.Value, b.Value)).Sum();
            if (common == 0) return 0;
            double precision = (double)common / found.Length, recall = (double)common / wanted.Length;
            return 2 * precision * recall / (precision + recall);
        });
    }

    private static string[] Words(string text) => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);

    [GeneratedRegex(@"\b(a|an|the)\b")]
    private static partial Regex Article();
}
