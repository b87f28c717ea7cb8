using System.Globalization;
using System.Text.Json.Nodes;

namespace Glm.Evaluation;

/// <summary>
/// A text with fields of a record in braces: <c>{field}</c>, <c>{outer.inner}</c>, <c>{*field}</c> (the field that this one names), with filters behind bars:
/// <c>{subject|words}</c>. Braces themselves are doubled. A template that is one field alone may give a list.
/// </summary>
public sealed class Template
{
    private readonly List<object> _parts = [];

    /// <summary>A template of a text.</summary>
    /// <exception cref="GlmException">A brace has no partner, or a filter is unknown.</exception>
    public Template(string text)
    {
        Source = text;
        int start = 0;
        for (int at = 0; at < text.Length; at++)
        {
            if (text[at] is not ('{' or '}')) continue;
            Literal(text[start..at]);
            if (at + 1 < text.Length && text[at + 1] == text[at])
            {
                Literal(text[at].ToString());
                start = ++at + 1;
                continue;
            }
            int end = text[at] == '{' ? text.IndexOf('}', at) : -1;
            if (end < 0) throw new GlmException($"template \"{text}\": expected braces in pairs, found one alone at {at}");
            _parts.Add(new Expression(text[(at + 1)..end]));
            start = end + 1;
            at = end;
        }
        Literal(text[start..]);
    }

    /// <summary>The text it was made of.</summary>
    public string Source { get; }

    /// <summary>The text for a record.</summary>
    /// <exception cref="GlmException">A field is missing or has the wrong form.</exception>
    public string Text(JsonObject record) => string.Concat(_parts.Select(part => part as string ?? ((Expression)part).Text(record)));

    /// <summary>The list for a record: that of the one field, or the text as a list of one.</summary>
    /// <exception cref="GlmException">A field is missing or has the wrong form.</exception>
    public IReadOnlyList<string> List(JsonObject record) => _parts is [Expression expression] ? expression.Value(record) : [Text(record)];

    /// <summary>A field of a record, by its path.</summary>
    internal static JsonNode? Find(JsonObject record, string path)
    {
        if (record.TryGetPropertyValue(path, out var direct)) return direct;
        JsonNode? node = record;
        foreach (string name in path.Split('.'))
            if (node is not JsonObject parent || !parent.TryGetPropertyValue(name, out node))
                throw new GlmException($"expected a field {path}, found {string.Join(", ", record.Select(field => field.Key).Take(12))}");
        return node;
    }

    /// <summary>A value as text.</summary>
    internal static string Text(JsonNode? node) => node switch
    {
        null => "",
        JsonValue value when value.TryGetValue(out string? text) => text,
        _ => node.ToJsonString(),
    };

    private void Literal(string text)
    {
        if (text.Length > 0) _parts.Add(text);
    }

    private sealed class Expression
    {
        private readonly string _path;
        private readonly bool _indirect;
        private readonly List<Func<IReadOnlyList<string>, IReadOnlyList<string>>> _filters;

        public Expression(string text)
        {
            string[] parts = text.Split('|');
            _indirect = parts[0].StartsWith('*');
            _path = parts[0].TrimStart('*').Trim();
            if (_path.Length == 0) throw new GlmException($"template: expected the name of a field in {{{text}}}, found none");
            _filters = [.. parts[1..].Select(Filter)];
        }

        public IReadOnlyList<string> Value(JsonObject record)
        {
            var node = Find(record, _path);
            if (_indirect) node = Find(record, Template.Text(node));
            IReadOnlyList<string> value = node is JsonArray array ? [.. array.Select(Template.Text)] : [Template.Text(node)];
            foreach (var filter in _filters) value = filter(value);
            return value;
        }

        public string Text(JsonObject record) =>
            Value(record) is { Count: 1 } value ? value[0] : throw new GlmException($"field {_path}: expected one text, found a list: join it with {{{_path}|join:, }}");

        private static Func<IReadOnlyList<string>, IReadOnlyList<string>> Filter(string text)
        {
            string[] arguments = text.Split(':');
            return arguments[0] switch
            {
                "words" => Each(value => value.Replace('_', ' ')),
                "trim" => Each(value => value.Trim()),
                "lower" => Each(value => value.ToLowerInvariant()),
                "join" when arguments.Length > 1 => values => [string.Join(text["join:".Length..], values)],
                "number" when arguments.Length > 1 => values => [string.Join(text["number:".Length..], values.Select((value, i) => $"{(char)('A' + i)}. {value}"))],
                "replace" when arguments.Length == 3 => Each(value => value.Replace(arguments[1], arguments[2], StringComparison.Ordinal)),
                "before" when arguments.Length == 2 => Each(value => value.Split(arguments[1])[0].TrimEnd()),
                "after" when arguments.Length == 2 => Each(value => value.Split(arguments[1])[^1].TrimStart()),
                "threshold" when arguments.Length == 2 && double.TryParse(arguments[1], CultureInfo.InvariantCulture, out double least) =>
                    Each(value => double.TryParse(value, CultureInfo.InvariantCulture, out double number) ? number >= least ? "1" : "0" : throw new GlmException($"expected a number, found {value}")),
                "bin" when arguments.Length == 2 && double.TryParse(arguments[1], CultureInfo.InvariantCulture, out double width) =>
                    Each(value => double.TryParse(value, CultureInfo.InvariantCulture, out double number) ? (Math.Floor(Math.Min(number, 1 - (width / 2)) / width) * width).ToString("0.##", CultureInfo.InvariantCulture) : throw new GlmException($"expected a number, found {value}")),
                "designated" when arguments.Length == 2 => values => [string.Concat(values.Select((value, i) => $"{arguments[1]}{i + 1}:\n\n{value.Trim()}\n\n"))],
                "second" => Each(Second),
                "lettered" => values => Lettered(values[0]),
                "choices" => values => [.. values[0].Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("choice:", StringComparison.Ordinal)).Select(line => line["choice:".Length..].Trim())],
                _ => throw new GlmException($"template: expected the filter words, trim, lower, join:TEXT, number:TEXT, replace:OLD:NEW, before:TEXT, after:TEXT, threshold:NUMBER, bin:WIDTH, designated:LETTER, second, lettered or choices, found {text}"),
            };
        }

        private static Func<IReadOnlyList<string>, IReadOnlyList<string>> Each(Func<string, string> change) => values => [.. values.Select(change)];

        /// <summary>The text in a pair of a number and a text.</summary>
        private static string Second(string pair) =>
            JsonNode.Parse(pair) is JsonArray { Count: 2 } parts ? Template.Text(parts[1]) : throw new GlmException($"expected a pair, found {pair}");

        /// <summary>The choices of <c>a ) 38 , b ) 27.675</c>, or of the same as a list of quoted texts: each letter in turn ends the one before.</summary>
        private static List<string> Lettered(string text)
        {
            bool isList = text.StartsWith("['", StringComparison.Ordinal);
            var choices = new List<string>();
            int start = text.IndexOf("a )", StringComparison.Ordinal);
            if (start < 0) throw new GlmException($"expected choices such as \"a ) 1 , b ) 2\", found \"{text}\"");
            for (char letter = 'b'; start >= 0; letter++)
            {
                string between = isList ? "', '" : ", ";
                int next = text.IndexOf($"{between}{letter} )", start, StringComparison.Ordinal);
                choices.Add((next < 0 ? text[(start + 3)..(isList ? ^2 : ^0)] : text[(start + 3)..next]).Trim());
                start = next < 0 ? -1 : next + between.Length;
            }
            return choices;
        }
    }
}
