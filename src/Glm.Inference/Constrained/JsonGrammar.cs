using System.Text.Json.Nodes;

namespace Glm.Inference;

/// <summary>
/// A JSON schema as a grammar of the JSON that it allows. What is generated is always valid: properties come in the order of the schema, and none that it does
/// not name; what this cannot keep (such as <c>multipleOf</c> or <c>oneOf</c>) is refused.
/// </summary>
internal sealed class JsonGrammar
{
    /// <summary>How deep values without a schema, and schemas that contain themselves, may lie in one another.</summary>
    private const int FreeDepth = 5, RecursionDepth = 4, MaximumDepth = 64, MaximumCount = 1000;

    private static readonly HashSet<string> Annotations =
        ["$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "format", "readOnly", "writeOnly", "deprecated", "strict"];

    private static readonly HashSet<string> Known =
        ["type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minLength", "maxLength", "pattern", "anyOf", "allOf", "$ref"];

    private readonly Grammar _grammar;
    private readonly JsonNode _root;
    private readonly JsonNotation _notation;
    private readonly Dictionary<string, int> _open = [];
    private int _depth;

    private JsonGrammar(Grammar grammar, JsonNode root, JsonNotation notation) => (_grammar, _root, _notation) = (grammar, root, notation);

    /// <summary>What a schema allows.</summary>
    /// <exception cref="GlmException">It has something in it that is not understood, or allows nothing.</exception>
    public static Grammar.Part Parse(Grammar grammar, JsonNode schema)
    {
        var parser = new JsonGrammar(grammar, schema, JsonNotation.Json);
        return parser.Value(schema, "schema") ?? throw Impossible("schema");
    }

    /// <summary>The arguments that a function's schema allows, as an object or as keyword arguments.</summary>
    /// <param name="grammar">Where the part is made.</param>
    /// <param name="schema">The schema of the function's parameters; null of one that has none.</param>
    /// <param name="notation">How values are written; in Python's, arguments are <c>name=value</c>.</param>
    /// <param name="path">Where the schema stands, for errors.</param>
    public static Grammar.Part Arguments(Grammar grammar, JsonNode? schema, JsonNotation notation, string path)
    {
        if (schema is not (null or JsonObject)) throw Error(path, "an object", schema);
        var rules = schema as JsonObject ?? [];
        // A function that does not say what it takes takes nothing.
        if (!rules.ContainsKey("$ref") && !rules.ContainsKey("properties")) rules = new JsonObject { ["properties"] = new JsonObject() };
        var parser = new JsonGrammar(grammar, rules, notation);
        return (notation == JsonNotation.Json ? parser.Value(rules, path) : parser.Members(rules, path, "", Keyword, "")) ?? throw Impossible(path);

        Grammar.Part Keyword(string name) => name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_') && !char.IsAsciiDigit(name[0]) ? grammar.Text($"{name}=")
            : throw new GlmException($"{path}.properties: expected names of letters, digits and _, found {(name.Length > 60 ? name[..60] + "…" : name)}");
    }

    /// <summary>Any object.</summary>
    public static Grammar.Part AnyObject(Grammar grammar) => new JsonGrammar(grammar, JsonValue.Create(true)!, JsonNotation.Json).Map(depth => null, 0);

    /// <summary>The values that a schema allows; null where there is none, since a schema contains itself without end.</summary>
    private Grammar.Part? Value(JsonNode? schema, string path)
    {
        if (schema is JsonValue flag && flag.TryGetValue(out bool any)) return any ? Free(0) : null;
        if (schema is not JsonObject rules) throw Error(path, "an object or a truth value", schema);
        if (++_depth > MaximumDepth) throw new GlmException($"{path}: expected at most {MaximumDepth} schemas in one another, found more");
        try
        {
            foreach (string key in rules.Select(rule => rule.Key))
                if (!Known.Contains(key) && !Annotations.Contains(key)) throw new GlmException($"{path}: expected keywords that can be kept, found {key}");
            if (rules["$ref"] is { } reference) return Referenced(reference, path);
            if (rules["allOf"] is { } all) return all is JsonArray { Count: 1 } one ? Value(one[0], $"{path}.allOf[0]") : throw Error($"{path}.allOf", "one schema", all);
            if (rules["anyOf"] is { } some) return Any(List(some, $"{path}.anyOf").Select((choice, i) => Value(choice, $"{path}.anyOf[{i}]")));
            if (rules.ContainsKey("const")) return Literal(rules["const"]);
            if (rules["enum"] is { } values) return Any(List(values, $"{path}.enum").Select(value => (Grammar.Part?)Literal(value)));
            string[] types = rules["type"] switch
            {
                null when rules["properties"] is not null => ["object"],
                null when rules["items"] is not null => ["array"],
                null when rules.ContainsKey("pattern") || rules.ContainsKey("minLength") || rules.ContainsKey("maxLength") => ["string"],
                null => [],
                JsonArray list => [.. list.Select((type, i) => Word(type, $"{path}.type[{i}]"))],
                var type => [Word(type, $"{path}.type")],
            };
            return types.Length == 0 ? Free(0) : Any(types.Select(type => OfType(type, rules, path)));
        }
        finally
        {
            _depth--;
        }
    }

    private Grammar.Part? OfType(string type, JsonObject rules, string path) => type switch
    {
        "string" => String(rules, path),
        "integer" => Integer(),
        "number" => Number(),
        "boolean" => _grammar.Either(Literal(true), Literal(false)),
        "null" => Literal(null),
        "array" => Array(rules, path),
        "object" => Object(rules, path),
        _ => throw new GlmException($"{path}.type: expected string, integer, number, boolean, null, array or object, found {type}"),
    };

    private Grammar.Part? Referenced(JsonNode reference, string path)
    {
        string pointer = Word(reference, $"{path}.$ref");
        if (pointer != "#" && !pointer.StartsWith("#/", StringComparison.Ordinal)) throw new GlmException($"{path}.$ref: expected a place in this schema, such as #/$defs/x, found {pointer}");
        JsonNode? target = _root;
        foreach (string step in pointer.Split('/')[1..])
        {
            string name = Uri.UnescapeDataString(step).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            target = target is JsonObject inner && inner.TryGetPropertyValue(name, out var next) ? next : throw new GlmException($"{path}.$ref: {pointer}: no such place");
        }
        int open = _open.GetValueOrDefault(pointer);
        if (open >= RecursionDepth) return null;
        _open[pointer] = open + 1;
        try
        {
            return Value(target, pointer);
        }
        finally
        {
            _open[pointer] = open;
        }
    }

    private Grammar.Part Literal(JsonNode? value) => _grammar.Text(_notation.Write(value));

    private Grammar.Part? Any(IEnumerable<Grammar.Part?> choices)
    {
        Grammar.Part[] possible = [.. choices.OfType<Grammar.Part>()];
        return possible.Length == 0 ? null : possible.Length == 1 ? possible[0] : _grammar.Either(possible);
    }

    private Grammar.Part String(JsonObject rules, string path)
    {
        if (rules["pattern"] is { } pattern)
        {
            if (rules.ContainsKey("minLength") || rules.ContainsKey("maxLength")) throw new GlmException($"{path}: expected a pattern or lengths, found both");
            string text = Word(pattern, $"{path}.pattern");
            // The pattern of a schema may match anywhere in a text; here it is the whole text.
            return Quoted(RegexGrammar.Parse(_grammar, text, _notation.Plain));
        }
        int least = Count(rules["minLength"], $"{path}.minLength") ?? 0;
        int? most = Count(rules["maxLength"], $"{path}.maxLength");
        if (most < least) throw new GlmException($"{path}.maxLength: expected at least {least}, found {most}");
        return Quoted(_grammar.Repeat(StringCharacter, least, most));
    }

    private Grammar.Part StringCharacter()
    {
        (int, int)[] hex = [('0', '9'), ('a', 'f')], first = [('0', '9'), ('a', 'c'), ('e', 'f')];
        var digits = _grammar.Either(
            _grammar.Sequence(_grammar.Character(first), _grammar.Character(hex)),
            _grammar.Sequence(_grammar.Text("d"), _grammar.Character([('0', '7')])));
        return _grammar.Either(
            _grammar.Character(_notation.Plain),
            _grammar.Sequence(_grammar.Text("\\"), _grammar.Character(_notation.Escapes.Select(c => ((int)c, (int)c)))),
            _grammar.Sequence(_grammar.Text("\\u"), digits, _grammar.Character(hex), _grammar.Character(hex)));
    }

    private Grammar.Part Quoted(Grammar.Part content) => _grammar.Sequence(_grammar.Text(_notation.Quote), content, _grammar.Text(_notation.Quote));

    private Grammar.Part Digit(char first = '0') => _grammar.Character([(first, '9')]);

    // Numbers have so many digits as are kept exactly, so that none goes on without end.
    private Grammar.Part Integer() => _grammar.Sequence(_grammar.Optional(_grammar.Text("-")), _grammar.Either(_grammar.Text("0"), _grammar.Sequence(Digit('1'), _grammar.Repeat(() => Digit(), 0, 14))));

    private Grammar.Part Number() => _grammar.Sequence(
        Integer(),
        _grammar.Optional(_grammar.Sequence(_grammar.Text("."), _grammar.Repeat(() => Digit(), 1, 15))),
        _grammar.Optional(_grammar.Sequence(_grammar.Character([('e', 'e'), ('E', 'E')]), _grammar.Optional(_grammar.Character([('+', '+'), ('-', '-')])), _grammar.Repeat(() => Digit(), 1, 2))));

    private Grammar.Part? Array(JsonObject rules, string path)
    {
        int least = Count(rules["minItems"], $"{path}.minItems") ?? 0;
        int? most = Count(rules["maxItems"], $"{path}.maxItems");
        if (most < least) throw new GlmException($"{path}.maxItems: expected at least {least}, found {most}");
        var items = rules["items"] ?? JsonValue.Create(true)!;
        if (most == 0) return _grammar.Text("[]");
        if (Value(items, $"{path}.items") is not { } first) return least == 0 ? _grammar.Text("[]") : null;
        Grammar.Part Next() => _grammar.Sequence(Comma(), Value(items, $"{path}.items")!.Value);
        var some = _grammar.Sequence(first, _grammar.Repeat(Next, Math.Max(0, least - 1), most - 1));
        return _grammar.Sequence(_grammar.Text("["), least == 0 ? _grammar.Optional(some) : some, _grammar.Text("]"));
    }

    private Grammar.Part? Object(JsonObject rules, string path)
    {
        if (rules["properties"] is not { } given)
        {
            var others = rules["additionalProperties"];
            if (rules["required"] is JsonArray { Count: > 0 }) throw new GlmException($"{path}.required: expected properties with schemas, found none");
            return others is JsonValue flag && flag.TryGetValue(out bool any) && !any ? _grammar.Text("{}")
                : others is JsonObject ? Map(_ => Value(others, $"{path}.additionalProperties"), FreeDepth) : Map(_ => null, 0);
        }
        return Members(rules, path, "{", name => _grammar.Sequence(Literal(name), Colon()), "}");
    }

    /// <summary>The properties of an object in their order, each after what makes its name.</summary>
    private Grammar.Part? Members(JsonObject rules, string path, string first, Func<string, Grammar.Part> key, string last)
    {
        if (rules["properties"] is not JsonObject properties) throw Error($"{path}.properties", "an object", rules["properties"]);
        var required = rules["required"] is { } names ? List(names, $"{path}.required").Select((name, i) => Word(name, $"{path}.required[{i}]")).ToHashSet() : [];
        if (required.FirstOrDefault(name => !properties.ContainsKey(name)) is { } missing) throw new GlmException($"{path}.required: expected names of properties, found {missing}");
        // Two ways run side by side: nothing was written yet, and something was, so that a comma comes first.
        var open = _grammar.Text(first);
        int none = open.End, some = _grammar.State();
        bool canBeNone = true, canBeSome = false;
        foreach (var (name, schema) in properties)
        {
            var value = Value(schema, $"{path}.properties.{name}");
            bool optional = !required.Contains(name);
            if (value is null)
            {
                if (!optional) return null;
                continue;
            }
            var pair = _grammar.Sequence(key(name), value.Value);
            int nextNone = _grammar.State(), nextSome = _grammar.State();
            if (canBeNone) _grammar.Link(none, pair.Begin);
            if (canBeSome) _grammar.Link(_grammar.Sequence(new Grammar.Part(some, some), Comma()).End, pair.Begin);
            _grammar.Link(pair.End, nextSome);
            if (optional)
            {
                if (canBeNone) _grammar.Link(none, nextNone);
                if (canBeSome) _grammar.Link(some, nextSome);
            }
            (none, some, canBeNone, canBeSome) = (nextNone, nextSome, canBeNone && optional, true);
        }
        var close = _grammar.Text(last);
        if (canBeNone) _grammar.Link(none, close.Begin);
        if (canBeSome) _grammar.Link(some, close.Begin);
        return new Grammar.Part(open.Begin, close.End);
    }

    /// <summary>An object with any names, whose values are made so, or free where that gives none.</summary>
    private Grammar.Part Map(Func<int, Grammar.Part?> value, int depth)
    {
        Grammar.Part Pair() => _grammar.Sequence(Quoted(_grammar.Repeat(StringCharacter, 0, null)), Colon(), value(depth) ?? Free(depth + 1));
        return Listed("{", Pair, "}");
    }

    /// <summary>Any value, up to a depth.</summary>
    private Grammar.Part Free(int depth)
    {
        var simple = _grammar.Either(
            Quoted(_grammar.Repeat(StringCharacter, 0, null)), Number(), Literal(true), Literal(false), Literal(null));
        return depth >= FreeDepth ? simple : _grammar.Either(simple, Map(_ => null, depth), Listed("[", () => Free(depth + 1), "]"));
    }

    /// <summary>Nothing, or several of something with commas between them; it is made once.</summary>
    private Grammar.Part Listed(string open, Func<Grammar.Part> make, string close)
    {
        Grammar.Part begin = _grammar.Text(open), item = make(), comma = Comma(), end = _grammar.Text(close);
        _grammar.Link(begin.End, item.Begin);
        _grammar.Link(begin.End, end.Begin);
        _grammar.Link(item.End, comma.Begin);
        _grammar.Link(comma.End, item.Begin);
        _grammar.Link(item.End, end.Begin);
        return new Grammar.Part(begin.Begin, end.End);
    }

    // One space after a comma or a colon is all the space there is: it cannot go on without end.
    private Grammar.Part Comma() => _grammar.Sequence(_grammar.Text(","), _grammar.Optional(_grammar.Text(" ")));

    private Grammar.Part Colon() => _grammar.Sequence(_grammar.Text(":"), _grammar.Optional(_grammar.Text(" ")));

    private static IEnumerable<JsonNode?> List(JsonNode node, string path) => node as JsonArray ?? throw Error(path, "a list", node);

    private static string Word(JsonNode? node, string path) => node is JsonValue value && value.TryGetValue(out string? text) ? text : throw Error(path, "text", node);

    private static int? Count(JsonNode? node, string path) => node is null ? null
        : node is JsonValue value && value.TryGetValue(out int count) && count is >= 0 and <= MaximumCount ? count : throw Error(path, $"a number from 0 to {MaximumCount}", node);

    private static GlmException Impossible(string path) => new($"{path}: expected one that allows something of limited depth, found none");

    private static GlmException Error(string path, string expected, JsonNode? found)
    {
        string text = found?.ToJsonString() ?? "null";
        return new GlmException($"{path}: expected {expected}, found {(text.Length > 60 ? text[..60] + "…" : text)}");
    }
}
