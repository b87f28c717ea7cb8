using System.Text.Json;
using System.Text.RegularExpressions;

namespace Glm.Training;

/// <summary>A prompt and its target, or why a line gave none.</summary>
/// <param name="Set">The data set it belongs to.</param>
/// <param name="Input">What the model reads.</param>
/// <param name="Target">What it is to answer.</param>
/// <param name="File">Where it stands.</param>
/// <param name="Line">Line of the file, from 1.</param>
/// <param name="Fault">What is wrong; null where nothing is.</param>
/// <param name="HeldOut">Whether it gave none for text that is held out.</param>
public readonly record struct PromptText(string Set, string Input, string Target, string File, long Line, string? Fault, bool HeldOut = false);

/// <summary>Reads prompted data sets, in the order of their files; of each at most its cap.</summary>
public static class PromptReader
{
    private const int LongestRecord = 1 << 20;

    /// <summary>The prompts of a set. Relative names of files start from <paramref name="folder"/>.</summary>
    /// <exception cref="GlmException">A file does not exist or cannot be read to its end.</exception>
    public static IEnumerable<PromptText> Read(PromptSet set, string folder) => Read(set, folder, heldOut: null);

    /// <summary>The prompts of a set; records with a field that shares text with what <paramref name="heldOut"/> knows give none.</summary>
    /// <exception cref="GlmException">A file does not exist or cannot be read to its end.</exception>
    internal static IEnumerable<PromptText> Read(PromptSet set, string folder, CopyFilter? heldOut)
    {
        var counts = new Dictionary<string, int>();
        var patterns = set.Patterns();
        foreach (string file in InputFile.Expand([.. set.Files.Select(name => Path.Combine(folder, name))]))
        {
            if (!InputFile.IsJsonLines(file)) throw new GlmException($"{file}: expected JSON lines (.jsonl), found another kind of file");
            foreach (var line in new DocumentReader(file, textField: null, LongestRecord).Read())
            {
                if (line.Text is null)
                {
                    yield return new PromptText(set.Name, "", "", file, line.Line, line.Fault);
                    continue;
                }
                using var json = JsonDocument.Parse(line.Text);
                var (name, groups, fault) = Read(set, patterns, json.RootElement);
                if (groups is null || set.Except.Contains(name)) continue;
                int number = counts.GetValueOrDefault(name);
                if (number >= set.Cap) continue;
                if (fault is null && heldOut is not null && json.RootElement.EnumerateObject().Any(field => TextOf(json.RootElement, field.Name).Text is { } text && heldOut.Judge(text) == CopyKind.HeldOut))
                {
                    yield return new PromptText(name, "", "", file, line.Line, null, HeldOut: true);
                    continue;
                }
                string input = "", target = "";
                if (fault is null) (input, target, fault) = set.Templates[number % set.Templates.Length].Render(json.RootElement, groups);
                if (fault is null) counts[name] = number + 1;
                yield return new PromptText(name, input, target, file, line.Line, fault);
            }
        }
    }

    /// <summary>The data set of a record and the named groups of its texts; no groups where one does not match.</summary>
    private static (string Set, Dictionary<string, string>? Groups, string? Fault) Read(PromptSet set, Dictionary<string, Regex> patterns, JsonElement record)
    {
        var groups = new Dictionary<string, string>();
        string name = set.Name;
        if (set.Group is not null)
        {
            (string? group, string? fault) = TextOf(record, set.Group);
            if (group is null) return (name, groups, fault);
            name = group;
        }
        foreach (var (field, pattern) in patterns)
        {
            (string? text, string? fault) = TextOf(record, field);
            if (text is null) return (name, groups, fault);
            var match = pattern.Match(text);
            if (!match.Success) return (name, null, null);
            foreach (Group group in match.Groups.Values.Where(found => !char.IsAsciiDigit(found.Name[0]))) groups[group.Name] = group.Value;
        }
        return (name, groups, null);
    }

    private static (string? Text, string? Fault) TextOf(JsonElement record, string field)
    {
        try
        {
            return record.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.String ? (value.GetString(), null) : (null, $"no text in a field '{field}'");
        }
        catch (InvalidOperationException)
        {
            return (null, $"field '{field}' holds half of a surrogate pair");
        }
    }
}
