using System.Text.Json;
using System.Text.Json.Nodes;

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
            _ => JsonGrammar.AnyObject(grammar),
        });
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
