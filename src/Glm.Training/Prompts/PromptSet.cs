using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Glm.Training;

/// <summary>Prompted data sets of one form: JSON lines under templates (spec 3.5).</summary>
public sealed record PromptSet
{
    /// <summary>Name of the data set.</summary>
    public required string Name { get; init; }

    /// <summary>Files of JSON lines (plain, .gz, .xz, .zst), or folders of them.</summary>
    public required string[] Files { get; init; }

    /// <summary>
    /// Regular expressions (without backtracking) by field: a record counts if each of these texts matches. Named groups are fields for the templates, so that a text
    /// gives prompts about itself.
    /// </summary>
    public Dictionary<string, string> Match { get; init; } = [];

    /// <summary>Templates; the records take them in turn.</summary>
    public PromptTemplate[] Templates { get; init; } = [new()];

    /// <summary>Field of a record that names its data set; null if all are one.</summary>
    public string? Group { get; init; }

    /// <summary>Most samples of a data set: the first ones count.</summary>
    public int Cap { get; init; } = 100_000;

    /// <summary>Factor on the weight of each data set, which is otherwise its number of samples.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Data sets of <see cref="Group"/> that are left out.</summary>
    public string[] Except { get; init; } = [];

    /// <summary>The expressions of <see cref="Match"/>.</summary>
    /// <exception cref="GlmException">One cannot be used.</exception>
    internal Dictionary<string, Regex> Patterns()
    {
        try
        {
            return Match.ToDictionary(match => match.Key, match => new Regex(match.Value, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant));
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            throw new GlmException($"{Name}: match: expected regular expressions without backtracking: {error.Message}", error);
        }
    }
}

/// <summary>The prompted data sets that become training data: what <c>glm data prepare-tasks</c> reads.</summary>
public sealed record PromptSets
{
    /// <summary>The sets.</summary>
    public required PromptSet[] Sets { get; init; }

    private static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        RespectNullableAnnotations = true,
    };

    /// <summary>Reads a file (JSON; comments allowed).</summary>
    /// <exception cref="GlmException">It is missing, is not JSON, or a field is unknown, missing or impossible.</exception>
    public static PromptSets Load(string path)
    {
        try
        {
            var sets = JsonSerializer.Deserialize<PromptSets>(File.ReadAllBytes(path), Json) ?? throw new GlmException($"{path}: the file holds null");
            sets.Validate(path);
            return sets;
        }
        catch (JsonException error)
        {
            throw new GlmException($"{path}: not a description of prompted data sets: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    private void Validate(string path)
    {
        Require(Sets.Length > 0 && !Sets.Contains(null!), "sets", "at least one", "none");
        foreach (var set in Sets)
        {
            Require(set.Files.Length > 0 && !set.Files.Contains(null!), $"{set.Name}: files", "at least one", "none");
            Require(set.Templates.Length > 0 && !set.Templates.Contains(null!), $"{set.Name}: templates", "at least one", "none");
            Require(set.Cap > 0, $"{set.Name}: cap", "at least 1", set.Cap);
            Require(set.Weight > 0 && double.IsFinite(set.Weight), $"{set.Name}: weight", "above 0", set.Weight);
            set.Patterns();
            foreach (var template in set.Templates) template.Validate($"{path}: {set.Name}");
        }

        void Require(bool holds, string field, string expected, object found)
        {
            if (!holds) throw new GlmException($"{path}: {field}: expected {expected}, found {found}");
        }
    }
}
