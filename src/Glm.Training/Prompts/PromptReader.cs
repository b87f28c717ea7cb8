using System.Text.Json;

namespace Glm.Training;

/// <summary>A prompt and its target, or why a line gave none.</summary>
/// <param name="Set">The data set it belongs to.</param>
/// <param name="Input">What the model reads.</param>
/// <param name="Target">What it is to answer.</param>
/// <param name="File">Where it stands.</param>
/// <param name="Line">Line of the file, from 1.</param>
/// <param name="Fault">What is wrong; null where nothing is.</param>
public readonly record struct PromptText(string Set, string Input, string Target, string File, long Line, string? Fault);

/// <summary>Reads prompted data sets, in the order of their files; of each at most its cap.</summary>
public static class PromptReader
{
    private const int LongestRecord = 1 << 20;

    /// <summary>The prompts of a set. Relative names of files start from <paramref name="folder"/>.</summary>
    /// <exception cref="GlmException">A file does not exist or cannot be read to its end.</exception>
    public static IEnumerable<PromptText> Read(PromptSet set, string folder)
    {
        var counts = new Dictionary<string, int>();
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
                var (name, render) = Parsed(set, line.Text);
                if (set.Except.Contains(name)) continue;
                int number = counts.GetValueOrDefault(name);
                if (number >= set.Cap) continue;
                var (input, target, fault) = render(number);
                if (fault is null) counts[name] = number + 1;
                yield return new PromptText(name, input, target, file, line.Line, fault);
            }
        }
    }

    /// <summary>The data set of a record, and its texts under the template of a number.</summary>
    private static (string Set, Func<int, (string Input, string Target, string? Fault)> Render) Parsed(PromptSet set, string record)
    {
        try
        {
            var json = JsonDocument.Parse(record).RootElement;
            string? name = set.Group is null ? set.Name : json.TryGetProperty(set.Group, out var group) && group.ValueKind == JsonValueKind.String ? group.GetString() : null;
            return name is null ? (set.Name, _ => ("", "", $"no text in a field '{set.Group}'")) : (name, number => set.Templates[number % set.Templates.Length].Render(json));
        }
        catch (InvalidOperationException)
        {
            return (set.Name, _ => ("", "", $"field '{set.Group}' holds half of a surrogate pair"));
        }
    }
}
