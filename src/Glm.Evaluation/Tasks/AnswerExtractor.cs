using System.Text.Json;

namespace Glm.Evaluation;

/// <summary>Finds the answer in what was generated.</summary>
internal static class AnswerExtractor
{
    private const string Announced = "Answer:", StatedBy = "the answer is";

    /// <summary>The answer in the form of the targets.</summary>
    /// <param name="text">What was generated.</param>
    /// <param name="form">How the answer is found.</param>
    /// <param name="answers">Number of answers among which it is.</param>
    public static string Of(string text, AnswerExtraction form, int? answers) => form switch
    {
        AnswerExtraction.Line => text.Split('\n').Select(line => line.Trim()).FirstOrDefault(line => line.Length > 0) ?? "",
        AnswerExtraction.Sentence => Sentence(text),
        AnswerExtraction.BestAnswer => BestAnswer(text, answers ?? 0),
        AnswerExtraction.Stated => Stated(text),
        AnswerExtraction.Order => string.Join(',', Order(text)),
        _ => text.Trim(),
    };

    /// <summary>Up to the first full stop, exclamation or question mark (with the quote after it) before white space or the end.</summary>
    public static string Sentence(string text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] is not ('.' or '!' or '?')) continue;
            int end = i + 1;
            while (end < text.Length && text[end] is ('"' or '\'' or '\u201D' or ')' or '.' or '!' or '?')) end++;
            if (end == text.Length || char.IsWhiteSpace(text[end])) return text[..end].Trim();
        }
        return text.Trim();
    }

    private static string Stated(string text)
    {
        int at = text.LastIndexOf(StatedBy, StringComparison.OrdinalIgnoreCase);
        if (at < 0) return "";
        string line = text[(at + StatedBy.Length)..].Split('\n')[0].Trim(' ', ':');
        return Sentence(line).TrimEnd('.');
    }

    /// <summary>The highest A and number that occurs, else the highest number, so that A12 is not read as A1 (ChatGLM spec 15.2).</summary>
    private static string BestAnswer(string text, int answers)
    {
        foreach (string letter in new[] { "A", "" })
            for (int i = answers; i > 0; i--)
                if (text.Contains($"{letter}{i}", StringComparison.Ordinal)) return $"A{i}";
        return "???";
    }

    /// <summary>A list in JSON, or the one order of the four digits that the text has in it (ChatGLM spec 15.2).</summary>
    private static IEnumerable<string> Order(string text)
    {
        if (text.IndexOf(Announced, StringComparison.Ordinal) is >= 0 and int at) text = text[(at + Announced.Length)..].Trim();
        try
        {
            using var json = JsonDocument.Parse(text);
            if (json.RootElement.ValueKind == JsonValueKind.Array) return [.. json.RootElement.EnumerateArray().Select(part => part.GetRawText())];
        }
        catch (JsonException)
        {
            // Not a list alone.
        }
        string[] fitting = [.. Permutations("1234").Where(order => IsInOrder(order, text))];
        return fitting is [var single] ? single.Select(digit => digit.ToString()) : ["0", "0", "0", "0"];
    }

    private static bool IsInOrder(string digits, string text)
    {
        int found = 0;
        foreach (char c in text)
            if (found < digits.Length && c == digits[found]) found++;
        return found == digits.Length;
    }

    private static IEnumerable<string> Permutations(string digits) =>
        digits.Length <= 1 ? [digits] : digits.SelectMany(first => Permutations(digits.Replace(first.ToString(), "", StringComparison.Ordinal)).Select(rest => first + rest));
}
