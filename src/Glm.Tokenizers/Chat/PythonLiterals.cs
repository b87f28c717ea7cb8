using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Glm.Tokenizers;

/// <summary>Reads Python's literals (strings, numbers, True, False, None, lists, tuples, dictionaries) as JSON, and nothing else.</summary>
internal sealed class PythonLiterals(string text)
{
    /// <summary>No argument of a tool is nested as deeply; a bound keeps brackets without end from exhausting the stack.</summary>
    private const int DeepestNesting = 64;

    private int _at;

    /// <summary>The text as keyword arguments (<c>a=1, b="x"</c>), or null if it is anything else.</summary>
    public JsonObject? Arguments()
    {
        var arguments = new JsonObject();
        while (true)
        {
            SkipSpace();
            if (_at == text.Length) return arguments;
            int start = _at;
            while (_at < text.Length && (char.IsLetterOrDigit(text[_at]) || text[_at] == '_')) _at++;
            string name = text[start.._at];
            if (name.Length == 0 || arguments.ContainsKey(name) || !Take('=') || !Value(0, out var value)) return null;
            arguments.Add(name, value);
            if (!Take(',')) return AtEnd() ? arguments : null;
        }
    }

    private bool Value(int depth, out JsonNode? value)
    {
        value = null;
        SkipSpace();
        if (depth > DeepestNesting || _at == text.Length) return false;
        switch (text[_at])
        {
            case '"' or '\'':
                return String(out value);
            case '[':
                return List(']', depth, out value);
            case '(':
                return List(')', depth, out value);
            case '{':
                return Dictionary(depth, out value);
        }
        int start = _at;
        while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] is '+' or '-' or '.' or '_')) _at++;
        string word = text[start.._at];
        if (word is "None" or "True" or "False")
        {
            value = word == "None" ? null : JsonValue.Create(word == "True");
            return true;
        }
        if (long.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole)) value = JsonValue.Create(whole);
        else if (double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)) value = JsonValue.Create(number);
        return value is not null;
    }

    private bool List(char end, int depth, out JsonNode? value)
    {
        var list = new JsonArray();
        value = list;
        _at++;
        while (!Take(end))
        {
            if (!Value(depth + 1, out var item)) return false;
            list.Add(item);
            if (!Take(',')) return Take(end);
        }
        return true;
    }

    private bool Dictionary(int depth, out JsonNode? value)
    {
        var entries = new JsonObject();
        value = entries;
        _at++;
        while (!Take('}'))
        {
            SkipSpace();
            if (_at == text.Length || text[_at] is not ('"' or '\'') || !String(out var key) || !Take(':') || !Value(depth + 1, out var entry)) return false;
            entries[key!.GetValue<string>()] = entry;
            if (!Take(',')) return Take('}');
        }
        return true;
    }

    private bool String(out JsonNode? value)
    {
        value = null;
        char quote = text[_at++];
        var content = new StringBuilder();
        while (_at < text.Length && text[_at] != quote)
        {
            char c = text[_at++];
            if (c == '\n') return false;
            if (c == '\\')
            {
                if (_at == text.Length) return false;
                c = text[_at++];
                if (c == 'u')
                {
                    if (_at + 4 > text.Length || !ushort.TryParse(text.AsSpan(_at, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort code)) return false;
                    c = (char)code;
                    _at += 4;
                }
                else c = c switch { 'n' => '\n', 't' => '\t', 'r' => '\r', '\\' or '\'' or '"' => c, _ => '\0' };
                if (c == '\0') return false;
            }
            content.Append(c);
        }
        if (_at == text.Length) return false;
        _at++;
        value = JsonValue.Create(content.ToString());
        return true;
    }

    private bool Take(char wanted)
    {
        SkipSpace();
        if (_at == text.Length || text[_at] != wanted) return false;
        _at++;
        return true;
    }

    private bool AtEnd()
    {
        SkipSpace();
        return _at == text.Length;
    }

    private void SkipSpace()
    {
        while (_at < text.Length && char.IsWhiteSpace(text[_at])) _at++;
    }
}
