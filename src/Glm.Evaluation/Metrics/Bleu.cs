using System.Globalization;
using System.Text;

namespace Glm.Evaluation;

/// <summary>
/// BLEU over all texts together (Papineni et al. 2002) as sacrebleu defines it, from whose default it differs in the tokens: words after the international
/// rules, which BIG-bench asks for. N-grams of 1 to 4 tokens; an order without a hit counts as 1/2, 1/4, … of a hit.
/// </summary>
internal static class Bleu
{
    private const int Orders = 4;

    /// <summary>What one text adds: its tokens and those of the target that is nearest in length, and for each order hits and n-grams.</summary>
    public static IEnumerable<(string Name, double Value)> Counts(string text, IReadOnlyList<string> targets)
    {
        string[] found = Tokens(text);
        var wanted = targets.Select(Tokens).ToList();
        yield return ("bleu_length", found.Length);
        yield return ("bleu_target", wanted.Select(tokens => tokens.Length).OrderBy(length => Math.Abs(length - found.Length)).ThenBy(length => length).FirstOrDefault());
        for (int n = 1; n <= Orders; n++)
        {
            // An n-gram may be found as often as it is in the target that has it most often.
            var most = wanted.SelectMany(tokens => NGrams.Of(tokens, n)).GroupBy(gram => gram.Key).ToDictionary(gram => gram.Key, gram => gram.Max(count => count.Value));
            yield return ($"bleu_{n}", NGrams.Of(found, n).Sum(gram => Math.Min(gram.Value, most.GetValueOrDefault(gram.Key))));
            yield return ($"bleu_{n}_of", Math.Max(0, found.Length - n + 1));
        }
    }

    /// <summary>BLEU from the counts of some texts.</summary>
    public static double Of(IReadOnlyList<ItemResult> items)
    {
        double length = Sum("bleu_length"), target = Sum("bleu_target"), logs = 0, smooth = 1;
        if (Sum("bleu_1") == 0) return 0;
        for (int n = 1; n <= Orders; n++)
        {
            double hits = Sum($"bleu_{n}"), all = Sum($"bleu_{n}_of");
            if (all == 0) return 0;
            logs += Math.Log(hits > 0 ? hits / all : 1 / ((smooth *= 2) * all));
        }
        return 100 * Math.Min(1, Math.Exp(1 - (target / length))) * Math.Exp(logs / Orders);

        double Sum(string name) => items.Sum(item => item.Values![name]);
    }

    /// <summary>Words; punctuation stands apart unless it is inside of a number, and symbols always do.</summary>
    internal static string[] Tokens(string text)
    {
        var runes = text.EnumerateRunes().ToList();
        var spaced = new StringBuilder();
        for (int i = 0; i < runes.Count; i++)
        {
            bool apart = IsSymbol(runes[i]) || (IsPunctuation(runes[i]) && !((i == 0 || Rune.IsNumber(runes[i - 1])) && (i == runes.Count - 1 || Rune.IsNumber(runes[i + 1]))));
            spaced.Append(apart ? $" {runes[i]} " : runes[i].ToString());
        }
        return spaced.ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
    }

    private static bool IsPunctuation(Rune rune) => Rune.GetUnicodeCategory(rune) is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation;

    private static bool IsSymbol(Rune rune) => Rune.GetUnicodeCategory(rune) is >= UnicodeCategory.MathSymbol and <= UnicodeCategory.OtherSymbol;
}

/// <summary>Runs of tokens.</summary>
internal static class NGrams
{
    /// <summary>How often each run of n tokens occurs.</summary>
    public static Dictionary<string, int> Of(IReadOnlyList<string> tokens, int n)
    {
        var counts = new Dictionary<string, int>();
        for (int i = 0; i + n <= tokens.Count; i++)
        {
            string gram = string.Join(' ', tokens.Skip(i).Take(n));
            counts[gram] = counts.GetValueOrDefault(gram) + 1;
        }
        return counts;
    }
}
