using System.Text.Json.Serialization;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// The shape of a GLM of 2021 and 2022, Base to 10B, English or Chinese; the names, and the values where a name is missing, are those of the <c>config.json</c>
/// on the hub (ChatGLM spec 6.1).
/// </summary>
public sealed record GlmSmallConfig : ModelConfig
{
    /// <summary>The <c>model_type</c>, which GLM-4 in the format of the transformers library has as well.</summary>
    public const string Type = "glm";

    /// <summary>Which architecture the directory holds.</summary>
    public string ModelType { get; init; } = Type;

    /// <summary>Number of transformer layers.</summary>
    public required int NumLayers { get; init; }

    /// <summary>Width of the residual stream; the inner layer is four times as wide.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Number of attention heads.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Rows of the embedding.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Number of positions; the tables hold one more.</summary>
    public int MaxSequenceLength { get; init; } = 512;

    /// <summary>Whether positions inside blanks have a table of their own; without one is not supported.</summary>
    public bool BlockPositionEncoding { get; init; } = true;

    /// <summary>Relative positions; not supported.</summary>
    public bool RelativeEncoding { get; init; }

    /// <summary>Width of one head.</summary>
    [JsonIgnore]
    public int HeadSize => HiddenSize / NumAttentionHeads;

    /// <inheritdoc/>
    [JsonIgnore]
    public override string Architecture => Type;

    /// <inheritdoc/>
    [JsonIgnore]
    public override ModelShape Shape => new(
        NumLayers, HiddenSize, 4 * HiddenSize, HeadLayout.Blocked(NumAttentionHeads, NumAttentionHeads, HeadSize), VocabSize, MaxSequenceLength, PositionKind.Learned2D,
        IsCausal: false, TiedOutput: true);

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="GlmException">The file is missing, is not JSON, lacks a field, or describes an impossible model.</exception>
    public static GlmSmallConfig Load(string path) => ConfigJson.Read<GlmSmallConfig>(path).Validated(path);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, int[] Shape)> Parameters() => GlmSmall.Shapes(this);

    /// <inheritdoc/>
    public override GlmSmall Create(Func<string, Tensor> parameter) => new(this, parameter);

    /// <summary>Files may lack the prefix (ChatGLM spec 6.5).</summary>
    public override IEnumerable<string[]> StoredNames(string name) => WithoutPrefix("glm.", name);

    /// <inheritdoc/>
    public override GlmSmallConfig Validated(string source)
    {
        var check = new FieldCheck(source);
        check.Require(ModelType == Type, "model_type", Type, ModelType);
        check.RequireSize("num_layers", NumLayers, 10_000);
        check.RequireSize("hidden_size", HiddenSize, 1 << 20);
        check.RequireHeads("num_attention_heads", NumAttentionHeads, "hidden_size", HiddenSize);
        check.RequireSize("vocab_size", VocabSize, 1 << 24);
        check.RequireSize("max_sequence_length", MaxSequenceLength, 1 << 24);
        check.Require(BlockPositionEncoding, "block_position_encoding", true, BlockPositionEncoding);
        check.Require(!RelativeEncoding, "relative_encoding", false, RelativeEncoding);
        return this;
    }
}
