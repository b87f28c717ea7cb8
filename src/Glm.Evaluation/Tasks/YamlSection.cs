using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Glm.Evaluation;

/// <summary>A mapping of a YAML file that is read field by field: <c>-</c> and <c>_</c> in names are the same, and what nobody asked for is an error with its line.</summary>
internal sealed class YamlSection
{
    private const string VariantName = "$variant";
    private const int LargestFile = 1 << 20, Deepest = 32;

    private readonly string _file;
    private readonly string? _variant;
    private readonly Dictionary<string, (YamlNode Key, YamlNode Value)> _fields = [];
    private readonly HashSet<string> _asked = [];

    private YamlSection(string file, YamlNode node, string what, string? variant)
    {
        _file = file;
        _variant = variant;
        if (node is not YamlMappingNode mapping) throw Fault(node, $"expected {what} with fields, found something else");
        Line = mapping.Start.Line;
        foreach (var (key, value) in mapping.Children)
        {
            string name = Normal((key as YamlScalarNode)?.Value ?? throw Fault(key, "expected the name of a field, found something else"));
            if (!_fields.TryAdd(name, (key, value))) throw Fault(key, $"{name}: found twice");
        }
    }

    /// <summary>Line on which the mapping begins.</summary>
    public long Line { get; }

    /// <summary>Reads a file that holds one mapping.</summary>
    /// <param name="file">The file.</param>
    /// <param name="variant">What stands for <c>$variant</c> in its texts.</param>
    /// <exception cref="GlmException">It cannot be read or is none.</exception>
    public static YamlSection Load(string file, string? variant = null)
    {
        try
        {
            if (new FileInfo(file).Length > LargestFile) throw new GlmException($"{file}: expected at most {LargestFile} bytes, found more");
            string text = File.ReadAllText(file);
            RequireShallow(file, text);
            var yaml = new YamlStream();
            yaml.Load(new Parser(new StringReader(text)));
            if (yaml.Documents.Count != 1) throw new GlmException($"{file}: expected one YAML document, found {yaml.Documents.Count}");
            return new YamlSection(file, yaml.Documents[0].RootNode, "a task", variant);
        }
        catch (YamlException error)
        {
            throw new GlmException($"{file}: line {error.Start.Line}: {error.Message}", error);
        }
        catch (InvalidOperationException error)
        {
            throw new GlmException($"{file}: expected YAML, found something else", error); // The parser gives up so where a file ends too early.
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{file}: cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Whether there is such a field.</summary>
    public bool Has(string name) => _fields.ContainsKey(name);

    /// <summary>Names of the fields, for mappings whose names are the user's.</summary>
    public IEnumerable<string> Names => _fields.Values.Select(entry => ((YamlScalarNode)entry.Key).Value!);

    /// <summary>A text.</summary>
    public string? Text(string name) => Varied(Scalar(name)?.Value);

    /// <summary>A text that must be there.</summary>
    public string Required(string name) => Text(name) ?? throw new GlmException($"{_file}: line {Line}: {name}: expected a value, found none");

    /// <summary>A number within bounds.</summary>
    public int? Number(string name, int least, int most)
    {
        if (Scalar(name) is not { } node) return null;
        return int.TryParse(node.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) && value >= least && value <= most ? value
            : throw Fault(node, $"{name}: expected a whole number from {least} to {most}, found {node.Value}");
    }

    /// <summary>A number with a fraction, not negative.</summary>
    public double? Fraction(string name)
    {
        if (Scalar(name) is not { } node) return null;
        return double.TryParse(node.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value) && value >= 0 ? value
            : throw Fault(node, $"{name}: expected a number from 0, found {node.Value}");
    }

    /// <summary>True or false.</summary>
    public bool Flag(string name)
    {
        if (Scalar(name) is not { } node) return false;
        return bool.TryParse(node.Value, out bool value) ? value : throw Fault(node, $"{name}: expected true or false, found {node.Value}");
    }

    /// <summary>One of some words.</summary>
    public string? Word(string name, params string[] words)
    {
        if (Scalar(name) is not { } node) return null;
        return words.Contains(node.Value) ? node.Value : throw Fault(node, $"{name}: expected {string.Join(", ", words)}, found {node.Value}");
    }

    /// <summary>A list of texts; a single text is a list of one.</summary>
    public IReadOnlyList<string>? Texts(string name)
    {
        if (!Find(name, out var field)) return null;
        if (field is YamlScalarNode { Value: { } single }) return [Varied(single)!];
        if (field is not YamlSequenceNode sequence) throw Fault(field, $"{name}: expected a text or a list of texts, found something else");
        return [.. sequence.Select(item => Varied((item as YamlScalarNode)?.Value) ?? throw Fault(item, $"{name}: expected a text, found something else"))];
    }

    /// <summary>Whether a field is a list.</summary>
    public bool IsList(string name) => _fields.TryGetValue(name, out var field) && field.Value is YamlSequenceNode;

    /// <summary>Whether a field is a mapping.</summary>
    public bool IsSection(string name) => _fields.TryGetValue(name, out var field) && field.Value is YamlMappingNode;

    /// <summary>A mapping.</summary>
    public YamlSection? Section(string name) => Find(name, out var field) ? new YamlSection(_file, field, name, _variant) : null;

    /// <summary>A list of mappings.</summary>
    public IReadOnlyList<YamlSection>? Sections(string name)
    {
        if (!Find(name, out var field)) return null;
        return field is YamlSequenceNode sequence ? [.. sequence.Select(item => new YamlSection(_file, item, name, _variant))] : throw Fault(field, $"{name}: expected a list, found something else");
    }

    /// <summary>Takes note of fields that mean nothing here.</summary>
    public void Ignore(params string[] names) => _asked.UnionWith(names);

    /// <summary>Refuses fields that nobody asked for.</summary>
    public void Done()
    {
        foreach (var (name, (key, _)) in _fields)
            if (!_asked.Contains(name)) throw Fault(key, $"unknown field {((YamlScalarNode)key).Value}; known are {string.Join(", ", _asked.Order())}");
    }

    /// <summary>An error at a field, or at the mapping.</summary>
    public GlmException Fault(string name, string reason) => _fields.TryGetValue(name, out var field) ? Fault(field.Value, $"{name}: {reason}") : new GlmException($"{_file}: line {Line}: {name}: {reason}");

    /// <summary>Nodes are built by recursion, events are not.</summary>
    private static void RequireShallow(string file, string text)
    {
        var parser = new Parser(new StringReader(text));
        for (int depth = 0; parser.MoveNext();)
        {
            depth += parser.Current!.NestingIncrease;
            if (depth > Deepest) throw new GlmException($"{file}: line {parser.Current.Start.Line}: expected at most {Deepest} levels, found more");
        }
    }

    private string? Varied(string? text) => _variant is null ? text : text?.Replace(VariantName, _variant, StringComparison.Ordinal);

    private static string Normal(string name) => name.Replace('-', '_');

    private GlmException Fault(YamlNode node, string reason) => new($"{_file}: line {node.Start.Line}: {reason}");

    private YamlScalarNode? Scalar(string name)
    {
        if (!Find(name, out var node)) return null;
        return node as YamlScalarNode ?? throw Fault(node, $"{name}: expected a single value, found something else");
    }

    private bool Find(string name, out YamlNode node)
    {
        _asked.Add(name);
        bool found = _fields.TryGetValue(name, out var field);
        node = field.Value!;
        return found;
    }
}
