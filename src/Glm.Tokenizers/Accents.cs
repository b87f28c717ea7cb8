using System.Globalization;
using System.Text;

namespace Glm.Tokenizers;

/// <summary>
/// Characters without their marks: canonical decomposition less what is of category Mn. A table, because the runtime has none where globalization is
/// invariant; Hangul syllables decompose by arithmetic.
/// </summary>
internal static class Accents
{
    private const int FirstSyllable = 0xAC00, LastSyllable = 0xD7A3, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7, Vowels = 21, Tails = 28;

    private static readonly Dictionary<int, Rune[]> Table = Load();

    /// <summary>Appends what is left of a character to <paramref name="output"/>.</summary>
    public static void Strip(Rune rune, List<Rune> output)
    {
        int code = rune.Value;
        if (code is >= FirstSyllable and <= LastSyllable)
        {
            int syllable = code - FirstSyllable, tail = syllable % Tails;
            output.Add(new Rune(LeadBase + syllable / (Vowels * Tails)));
            output.Add(new Rune(VowelBase + syllable / Tails % Vowels));
            if (tail > 0) output.Add(new Rune(TailBase + tail));
        }
        else if (code >= 0x80 && Table.TryGetValue(code, out var left)) output.AddRange(left);
        else if (code < 0x80 || Rune.GetUnicodeCategory(rune) != UnicodeCategory.NonSpacingMark) output.Add(rune);
    }

    private static Dictionary<int, Rune[]> Load()
    {
        using var reader = new StreamReader(typeof(Accents).Assembly.GetManifestResourceStream("accents")!);
        var table = new Dictionary<int, Rune[]>();
        while (reader.ReadLine() is { } line)
        {
            int[] codes = [.. line.Split(' ').Select(code => int.Parse(code, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture))];
            table.Add(codes[0], [.. codes[1..].Select(code => new Rune(code))]);
        }
        return table;
    }
}
