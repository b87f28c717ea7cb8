using System.Text.Json;
using System.Text.Json.Nodes;
using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>What a text has to be: tokens that would break it are never chosen. It ends where it may, when the model wants to end it; a limit of tokens may cut it.</summary>
public sealed record TextConstraint
{
    private const int MaximumLength = 1 << 16;

    private readonly Kind _kind;
    private readonly string _text;

    private TextConstraint(Kind kind, string text)
    {
        if (text.Length > MaximumLength) throw new GlmException($"constraint: expected at most {MaximumLength} characters, found {text.Length}");
        (_kind, _text) = (kind, text);
    }

    private enum Kind
    {
        Regex,
        Schema,
        Object,
        Calls,
        PythonCalls,
    }

    /// <summary>Any JSON object.</summary>
    public static TextConstraint JsonObject { get; } = new(Kind.Object, "");

    /// <summary>All of the text matches a regular expression: characters, classes, groups, alternatives and repetition.</summary>
    /// <exception cref="GlmException">It is not understood.</exception>
    public static TextConstraint Regex(string pattern) => new TextConstraint(Kind.Regex, pattern).Tried();

    /// <summary>The text is JSON that a schema allows.</summary>
    /// <exception cref="GlmException">The schema is no JSON, or has something in it that could not be kept.</exception>
    public static TextConstraint JsonSchema(string schema) => new TextConstraint(Kind.Schema, schema).Tried();

    /// <summary>One of some texts.</summary>
    /// <exception cref="GlmException">There is none.</exception>
    public static TextConstraint OneOf(IReadOnlyList<string> texts) => texts.Count == 0 ? throw new GlmException("constraint: expected one or more texts, found none")
        : Regex(string.Join('|', texts.Select(Escape)));

    /// <summary>A call of one of some tools, as a model writes it.</summary>
    /// <param name="form">How the model writes calls.</param>
    /// <param name="functions">The tools: each has a <c>name</c>, and <c>parameters</c> that are a schema.</param>
    /// <exception cref="GlmException">There is none, or one has a name or parameters that could not be kept.</exception>
    public static TextConstraint ToolCall(ToolCallForm form, JsonArray functions) =>
        new TextConstraint(form == ToolCallForm.Json ? Kind.Calls : Kind.PythonCalls, functions.ToJsonString()).Tried();

    /// <summary>This constraint over a vocabulary, for one text.</summary>
    /// <param name="vocabulary">The vocabulary.</param>
    /// <param name="ends">Tokens that end the text.</param>
    public ITokenConstraint Over(TokenVocabulary vocabulary, IReadOnlyList<int> ends) =>
        new AutomatonConstraint(vocabulary.AutomatonOf(this), vocabulary, vocabulary.BytesOf, ends);

    internal (Grammar, Grammar.Part) Compile()
    {
        var grammar = new Grammar();
        return (grammar, _kind switch
        {
            Kind.Regex => RegexGrammar.Parse(grammar, _text),
            Kind.Schema => JsonGrammar.Parse(grammar, Parse(_text)),
            Kind.Object => JsonGrammar.AnyObject(grammar),
            _ => grammar.Either([.. Parse(_text).AsArray().Select((function, i) => Call(grammar, function!.AsObject(), i))]),
        });
    }

    /// <summary>The line with the tool's name, and the arguments (<see cref="Tokenizers.ToolCall.Of"/>).</summary>
    private Grammar.Part Call(Grammar grammar, JsonObject function, int index)
    {
        string name = function["name"]?.ToString() ?? "";
        if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')) throw new GlmException($"tools[{index}]: expected a name of letters, digits, _, - and ., found another one");
        string path = $"tools[{index}].parameters";
        // The pieces of some vocabularies bring the space before a word.
        return _kind == Kind.Calls ? grammar.Sequence(grammar.Text($"{name}\n"), JsonGrammar.Arguments(grammar, function["parameters"], JsonNotation.Json, path))
            : grammar.Sequence(
                grammar.Optional(grammar.Text(" ")), grammar.Text($"{name}\n"), grammar.Optional(grammar.Text(" ")), grammar.Text("```python\ntool_call("),
                JsonGrammar.Arguments(grammar, function["parameters"], JsonNotation.Python, path), grammar.Text(")\n```"));
    }

    private TextConstraint Tried()
    {
        try
        {
            Compile();
            return this;
        }
        catch (InvalidOperationException error)
        {
            throw new GlmException("constraint: expected text, found half of a surrogate pair", error);
        }
    }

    private static JsonNode Parse(string schema)
    {
        try
        {
            return JsonNode.Parse(schema, null, new JsonDocumentOptions { AllowDuplicateProperties = false }) ?? throw new GlmException("schema: expected an object, found null");
        }
        catch (JsonException error)
        {
            throw new GlmException($"schema: expected JSON: {error.Message}", error);
        }
    }

    private static string Escape(string text) => string.Concat(text.Select(c => c < 128 && !char.IsLetterOrDigit(c) && !char.IsControl(c) ? $"\\{c}" : c.ToString()));
}
