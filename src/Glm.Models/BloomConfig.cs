using System.Text.Json.Serialization;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// The shape of a BLOOM, 560m to 176b; the names, and the values where a name is missing, are those of the original <c>config.json</c>, which has two spellings
/// of some (ChatGLM spec 8.1).
/// </summary>
public sealed record BloomConfig : ModelConfig
{
    /// <summary>The <c>model_type</c> of this architecture.</summary>
    public const string Type = "bloom";

    /// <summary>Which architecture the directory holds.</summary>
    public string ModelType { get; init; } = Type;

    /// <summary>Number of transformer layers.</summary>
    public int? NLayer { get; init; }

    /// <summary>The same in other files.</summary>
    public int? NumHiddenLayers { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public int? HiddenSize { get; init; }

    /// <summary>The same in older files.</summary>
    public int? NEmbed { get; init; }

    /// <summary>Number of attention heads.</summary>
    public int? NHead { get; init; }

    /// <summary>The same in other files.</summary>
    public int? NumAttentionHeads { get; init; }

    /// <summary>Width of the inner layer; null for four times the hidden size.</summary>
    public int? NInner { get; init; }

    /// <summary>Rows of the embedding.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Tokens of a training sequence; ALiBi has no largest position.</summary>
    public int SeqLength { get; init; } = 2048;

    /// <summary>Added to the variance in layer norms.</summary>
    public float LayerNormEpsilon { get; init; } = 1e-5f;

    /// <summary>Whether the residual carries the normalised input.</summary>
    public bool ApplyResidualConnectionPostLayernorm { get; init; }

    /// <summary>Whether the embedding is the output matrix; a matrix of its own is not supported.</summary>
    public bool TieWordEmbeddings { get; init; } = true;

    /// <summary>Number of transformer layers.</summary>
    [JsonIgnore]
    public int Layers => NLayer ?? NumHiddenLayers ?? 0;

    /// <summary>Width of the residual stream.</summary>
    [JsonIgnore]
    public int Hidden => HiddenSize ?? NEmbed ?? 0;

    /// <summary>Number of attention heads.</summary>
    [JsonIgnore]
    public int Heads => NHead ?? NumAttentionHeads ?? 0;

    /// <summary>Width of the inner layer.</summary>
    [JsonIgnore]
    public int Inner => NInner ?? 4 * Hidden;

    /// <inheritdoc/>
    [JsonIgnore]
    public override string Architecture => Type;

    /// <inheritdoc/>
    [JsonIgnore]
    public override ModelShape Shape => new(
        Layers, Hidden, Inner, HeadLayout.Interleaved(Heads, Hidden / Heads), VocabSize, SeqLength, PositionKind.Alibi, IsCausal: true, TiedOutput: true);

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="GlmException">The file is missing, is not JSON, lacks a field, or describes an impossible model.</exception>
    public static BloomConfig Load(string path) => ConfigJson.Read<BloomConfig>(path).Validated(path);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, int[] Shape)> Parameters() => Bloom.Shapes(this);

    /// <inheritdoc/>
    public override Bloom Create(Func<string, Tensor> parameter) => new(this, parameter);

    /// <summary>Files may lack the prefix (ChatGLM spec 8.3).</summary>
    public override IEnumerable<string[]> StoredNames(string name) => WithoutPrefix("transformer.", name);

    /// <inheritdoc/>
    public override BloomConfig Validated(string source)
    {
        var check = new FieldCheck(source);
        check.Require(ModelType == Type, "model_type", Type, ModelType);
        check.RequireSize("n_layer", Layers, 10_000);
        check.RequireSize("hidden_size", Hidden, 1 << 20);
        check.RequireSize("n_inner", Inner, 1 << 22);
        check.RequireHeads("n_head", Heads, "hidden_size", Hidden);
        check.RequireSize("vocab_size", VocabSize, 1 << 24);
        check.RequireSize("seq_length", SeqLength, 1 << 24);
        check.Require(LayerNormEpsilon is > 0 and < 1, "layer_norm_epsilon", "between 0 and 1", LayerNormEpsilon);
        check.Require(TieWordEmbeddings, "tie_word_embeddings", true, TieWordEmbeddings);
        return this;
    }
}
