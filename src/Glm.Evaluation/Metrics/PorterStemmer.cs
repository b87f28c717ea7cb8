namespace Glm.Evaluation;

/// <summary>
/// Porter's stemmer (An algorithm for suffix stripping, 1980) with the changes of NLTK, which ROUGE is computed with by everybody: a few irregular words,
/// short words as they are, y and ies by what stands before them, fulli and logi as suffixes. English words in small letters.
/// </summary>
internal static class PorterStemmer
{
    private static readonly Dictionary<string, string> Irregular = new()
    {
        ["sky"] = "sky", ["skies"] = "sky", ["dying"] = "die", ["lying"] = "lie", ["tying"] = "tie", ["news"] = "news", ["innings"] = "inning", ["inning"] = "inning",
        ["outings"] = "outing", ["outing"] = "outing", ["cannings"] = "canning", ["canning"] = "canning", ["howe"] = "howe", ["proceed"] = "proceed", ["exceed"] = "exceed", ["succeed"] = "succeed",
    };

    private static readonly (string Suffix, string Instead)[] Second =
    [
        ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"),
        ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"),
    ];

    private static readonly (string Suffix, string Instead)[] Third = [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

    private static readonly string[] Fourth = ["al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize"];

    /// <summary>The stem of a word.</summary>
    public static string Stem(string word)
    {
        if (Irregular.TryGetValue(word, out string? stem)) return stem;
        return word.Length <= 2 ? word : WithoutE(WithoutSuffix(Shortened(Shortened(YAsI(WithoutPast(WithoutPlural(word))), isSecond: true), isSecond: false)));
    }

    private static string WithoutPlural(string word)
    {
        if (word.EndsWith("ies", StringComparison.Ordinal)) return word.Length == 4 ? word[..^1] : word[..^2];
        if (word.EndsWith("sses", StringComparison.Ordinal)) return word[..^2];
        return word.EndsWith('s') && !word.EndsWith("ss", StringComparison.Ordinal) ? word[..^1] : word;
    }

    private static string WithoutPast(string word)
    {
        if (word.EndsWith("ied", StringComparison.Ordinal)) return word.Length == 4 ? word[..^1] : word[..^2];
        if (word.EndsWith("eed", StringComparison.Ordinal)) return Measure(word[..^3]) > 0 ? word[..^1] : word;
        string stem = word.EndsWith("ed", StringComparison.Ordinal) ? word[..^2] : word.EndsWith("ing", StringComparison.Ordinal) ? word[..^3] : "";
        if (!HasVowel(stem)) return word;
        if (EndsWithOneOf(stem, "at", "bl", "iz")) return stem + "e";
        if (EndsDoubled(stem)) return stem[^1] is 'l' or 's' or 'z' ? stem : stem[..^1];
        return Measure(stem) == 1 && EndsShort(stem) ? stem + "e" : stem;
    }

    private static string YAsI(string word) => word.Length > 2 && word[^1] == 'y' && IsConsonant(word, word.Length - 2) ? word[..^1] + "i" : word;

    private static string Shortened(string word, bool isSecond)
    {
        if (isSecond && word.EndsWith("alli", StringComparison.Ordinal) && Measure(word[..^4]) > 0) return Shortened(word[..^2], isSecond);
        foreach (var (suffix, instead) in isSecond ? Second : Third)
            if (word.EndsWith(suffix, StringComparison.Ordinal)) return Measure(word[..^suffix.Length]) > 0 ? word[..^suffix.Length] + instead : word;
        return isSecond && word.EndsWith("logi", StringComparison.Ordinal) && Measure(word[..^3]) > 0 ? word[..^1] : word;
    }

    private static string WithoutSuffix(string word)
    {
        foreach (string suffix in Fourth)
        {
            if (!word.EndsWith(suffix, StringComparison.Ordinal)) continue;
            string stem = word[..^suffix.Length];
            return Measure(stem) > 1 && (suffix != "ion" || (stem.Length > 0 && stem[^1] is 's' or 't')) ? stem : word;
        }
        return word;
    }

    private static string WithoutE(string word)
    {
        if (word.EndsWith('e') && Measure(word[..^1]) is var measure && (measure > 1 || (measure == 1 && !EndsShort(word[..^1])))) word = word[..^1];
        return word.EndsWith("ll", StringComparison.Ordinal) && Measure(word[..^1]) > 1 ? word[..^1] : word;
    }

    private static bool IsConsonant(string word, int i) => word[i] switch
    {
        'a' or 'e' or 'i' or 'o' or 'u' => false,
        'y' => i == 0 || !IsConsonant(word, i - 1),
        _ => true,
    };

    /// <summary>How often a consonant follows a vowel.</summary>
    private static int Measure(string word) => Enumerable.Range(1, Math.Max(0, word.Length - 1)).Count(i => IsConsonant(word, i) && !IsConsonant(word, i - 1));

    private static bool HasVowel(string word) => Enumerable.Range(0, word.Length).Any(i => !IsConsonant(word, i));

    private static bool EndsDoubled(string word) => word.Length > 1 && word[^1] == word[^2] && IsConsonant(word, word.Length - 1);

    /// <summary>Consonant, vowel, consonant other than w, x, y; or a word of a vowel and a consonant.</summary>
    private static bool EndsShort(string word) => word.Length switch
    {
        < 2 => false,
        2 => !IsConsonant(word, 0) && IsConsonant(word, 1),
        var length => IsConsonant(word, length - 3) && !IsConsonant(word, length - 2) && IsConsonant(word, length - 1) && word[^1] is not ('w' or 'x' or 'y'),
    };

    private static bool EndsWithOneOf(string word, params string[] ends) => ends.Any(end => word.EndsWith(end, StringComparison.Ordinal));
}
