using System.Text;
using System.Text.Json;

namespace Glm.Training;

/// <summary>How a record becomes a prompt and its target: texts in which <c>{name}</c> stands for a field of the record, <c>{{</c> for a brace.</summary>
/// <param name="Input">What the model reads.</param>
/// <param name="Target">What it is to answer.</param>
public sealed record PromptTemplate(string Input = "{input}", string Target = "{target}")
{
    /// <summary>The two texts of a record, or what it lacks for them; <paramref name="groups"/> go before its fields.</summary>
    public (string Input, string Target, string? Fault) Render(JsonElement record, IReadOnlyDictionary<string, string> groups)
    {
        var (input, fault) = Fill(Input, record, groups);
        if (fault is not null) return ("", "", fault);
        (string target, fault) = Fill(Target, record, groups);
        if (fault is null && string.IsNullOrWhiteSpace(target)) fault = "empty target";
        return (input, target, fault);
    }

    /// <summary>Refuses braces that do not close.</summary>
    /// <exception cref="GlmException">There is one.</exception>
    public void Validate(string source)
    {
        foreach (string text in new[] { Input, Target })
            for (int i = 0; i < text.Length; i++)
            {
                if (text[i] != '{') continue;
                if (i + 1 < text.Length && text[i + 1] == '{') i++;
                else if ((i = text.IndexOf('}', i)) < 0) throw new GlmException($"{source}: template: expected {{name}} or {{{{, found a brace that does not close in {text}");
            }
    }

    private static (string Text, string? Fault) Fill(string template, JsonElement record, IReadOnlyDictionary<string, string> groups)
    {
        var text = new StringBuilder();
        for (int i = 0; i < template.Length; i++)
        {
            if (template[i] != '{') text.Append(template[i]);
            else if (template[i + 1] == '{') text.Append(template[i++]);
            else
            {
                int end = template.IndexOf('}', i);
                string name = template[(i + 1)..end];
                i = end;
                if (groups.TryGetValue(name, out string? group))
                {
                    text.Append(group);
                    continue;
                }
                if (!record.TryGetProperty(name, out var field)) return ("", $"no field '{name}'");
                if (field.ValueKind is not (JsonValueKind.String or JsonValueKind.Number)) return ("", $"field '{name}' is no string");
                try
                {
                    text.Append(field.ToString());
                }
                catch (InvalidOperationException)
                {
                    return ("", $"field '{name}' holds half of a surrogate pair");
                }
            }
        }
        return (text.ToString(), null);
    }
}
