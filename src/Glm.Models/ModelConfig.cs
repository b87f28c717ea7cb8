using System.Text.Json.Serialization;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>How a model knows where a token stands.</summary>
public enum PositionKind
{
    /// <summary>Queries and keys are rotated by the position.</summary>
    Rotary,

    /// <summary>Halves of queries and keys are rotated by the position and by the position inside the blank.</summary>
    Rotary2D,

    /// <summary>A learned vector of the position is added to the embedding.</summary>
    Learned,

    /// <summary>Learned vectors of the position and of the position inside the blank are added to the embedding.</summary>
    Learned2D,

    /// <summary>Scores fall with the distance of the key.</summary>
    Alibi,
}

/// <summary>What all architectures have in common.</summary>
/// <param name="Layers">Number of layers, each with keys and values of its own.</param>
/// <param name="Hidden">Width of the residual stream.</param>
/// <param name="Inner">Width of the feed-forward layer, where it is widest: of a gated one, half of what its first matrix gives.</param>
/// <param name="Heads">Where the heads stand in the fused projection.</param>
/// <param name="Vocabulary">Rows of the embedding and of the output matrix.</param>
/// <param name="MaxSequenceLength">Number of positions.</param>
/// <param name="Positions">How positions enter.</param>
/// <param name="IsCausal">Whether every token sees only itself and those before it; otherwise the model is a prefix-LM.</param>
/// <param name="TiedOutput">Whether the embedding is the output matrix.</param>
public sealed record ModelShape(
    int Layers, int Hidden, int Inner, HeadLayout Heads, int Vocabulary, int MaxSequenceLength, PositionKind Positions, bool IsCausal, bool TiedOutput)
{
    /// <summary>Position ids of a token: one, or two, of which the second counts inside the blank that is filled.</summary>
    public int PositionAxes => Positions is PositionKind.Rotary2D or PositionKind.Learned2D ? 2 : 1;
}

/// <summary>The configuration of a model of any architecture: a record that mirrors the original <c>config.json</c>, and what it says about the parameters.</summary>
public abstract record ModelConfig
{
    /// <summary>Name of the architecture, as <c>glm info</c> says it.</summary>
    [JsonIgnore]
    public abstract string Architecture { get; }

    /// <summary>What the configuration says in the words of all architectures.</summary>
    [JsonIgnore]
    public abstract ModelShape Shape { get; }

    /// <summary>Number of parameters, a tied embedding counted once.</summary>
    [JsonIgnore]
    public long ParameterCount => Parameters().Sum(parameter => parameter.Shape.Aggregate(1L, (count, size) => count * size));

    /// <summary>Names and shapes of the parameters, in the order of the architecture, without allocating any.</summary>
    public abstract IEnumerable<(string Name, int[] Shape)> Parameters();

    /// <summary>A model of this configuration over given parameters.</summary>
    /// <param name="parameter">Gives the tensor of a name; matrices of layers may be quantised.</param>
    /// <exception cref="GlmException">A tensor has another shape than the configuration says.</exception>
    public abstract LanguageModel Create(Func<string, Tensor> parameter);

    /// <summary>This configuration, if a model can have it and the architecture is written for it.</summary>
    /// <param name="source">What to name in the error.</param>
    /// <exception cref="GlmException">A field is impossible or not supported.</exception>
    public abstract ModelConfig Validated(string source);

    /// <summary>Whether a parameter is one of the matrices of a layer, which quantisation packs (spec 6.1, ChatGLM spec 9).</summary>
    public virtual bool IsQuantizable(string name) =>
        name.EndsWith("query_key_value.weight", StringComparison.Ordinal) || name.EndsWith("dense.weight", StringComparison.Ordinal)
        || name.EndsWith("dense_h_to_4h.weight", StringComparison.Ordinal) || name.EndsWith("dense_4h_to_h.weight", StringComparison.Ordinal);

    /// <summary>
    /// Where a checkpoint may hold a parameter: alternatives, of which the first that is there counts. An alternative of several names is a matrix (or bias) in
    /// parts, whose rows follow one another.
    /// </summary>
    public virtual IEnumerable<string[]> StoredNames(string name) => [[name]];

    /// <summary>A name, the name without a prefix that it may lack in files, and what may stand in for it.</summary>
    private protected static IEnumerable<string[]> WithoutPrefix(string prefix, string name, string? otherwise = null)
    {
        yield return [name];
        if (name.StartsWith(prefix, StringComparison.Ordinal)) yield return [name[prefix.Length..]];
        if (otherwise is null) yield break;
        foreach (string[] stored in WithoutPrefix(prefix, otherwise)) yield return stored;
    }

    /// <summary>The text of <c>config.json</c>.</summary>
    public string ToJson() => ConfigJson.Write(this);
}
