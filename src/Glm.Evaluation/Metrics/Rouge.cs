using System.Text.RegularExpressions;

namespace Glm.Evaluation;

/// <summary>
/// ROUGE (Lin 2004) as Google's rouge_score computes it with its stemmer: F1 of the runs of n tokens, or of the longest common subsequence, with the target
/// that gives the most. Tokens are runs of ASCII letters and digits in small letters; those of more than three are stemmed.
/// </summary>
internal static partial class Rouge
{
    /// <summary>F1 over runs of n tokens.</summary>
    public static double OfRuns(string text, IReadOnlyList<string> targets, int n) => targets.Select(Tokens).DefaultIfEmpty([]).Max(target =>
    {
        var (found, wanted) = (NGrams.Of(Tokens(text), n), NGrams.Of(target, n));
        return F1(found.Sum(gram => Math.Min(gram.Value, wanted.GetValueOrDefault(gram.Key))), found.Values.Sum(), wanted.Values.Sum());
    });

    /// <summary>F1 over the longest common subsequence.</summary>
    public static double OfSubsequence(string text, IReadOnlyList<string> targets) => targets.Select(Tokens).DefaultIfEmpty([]).Max(target =>
    {
        string[] found = Tokens(text);
        // The longest one of a beginning of the text and each beginning of the target, one row after the other.
        int[] longest = new int[target.Length + 1];
        foreach (string token in found)
            for (int i = 0, before = 0; i < target.Length; i++)
            {
                int above = longest[i + 1];
                longest[i + 1] = token == target[i] ? before + 1 : Math.Max(above, longest[i]);
                before = above;
            }
        return F1(longest[^1], found.Length, target.Length);
    });

    internal static string[] Tokens(string text) =>
        [.. Word().Matches(text.ToLowerInvariant()).Select(match => match.Value.Length > 3 ? PorterStemmer.Stem(match.Value) : match.Value)];

    private static double F1(int common, int found, int wanted) => common == 0 ? 0 : 2.0 * common / (found + wanted);

    [GeneratedRegex("[a-z0-9]+")]
    private static partial Regex Word();
}
