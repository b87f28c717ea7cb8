using System.Text.Json.Serialization;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>The shape of a model of the ChatGLM-6B architecture; the names, and the values where a name is missing, are those of the original <c>config.json</c> (ChatGLM spec 2.1).</summary>
public sealed record ChatGlm6BConfig : ModelConfig
{
    /// <summary>The <c>model_type</c>, which ChatGLM2 and ChatGLM3 have as well.</summary>
    public const string Type = "chatglm";

    /// <summary>Bound of positions times head size, since cosines and sines of all positions are held in memory.</summary>
    private const int LargestRotaryTable = 1 << 24;

    /// <summary>Which architecture the directory holds.</summary>
    public string ModelType { get; init; } = Type;

    /// <summary>Number of transformer layers.</summary>
    public required int NumLayers { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the inner layer.</summary>
    public required int InnerHiddenSize { get; init; }

    /// <summary>Number of attention heads.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Rows of the embedding and of the output matrix.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Number of positions.</summary>
    public int MaxSequenceLength { get; init; } = 2048;

    /// <summary>Added to the variance in layer norms.</summary>
    public float LayernormEpsilon { get; init; } = 1e-5f;

    /// <summary>Whether positions have two axes; a single one is not supported.</summary>
    [JsonPropertyName("position_encoding_2d")]
    public bool PositionEncoding2D { get; init; } = true;

    /// <summary>Rounding of the rotary angles; the original rounds the frequencies when it is loaded, whatever it computes in.</summary>
    public RotaryMode RotaryMode { get; init; } = RotaryMode.Fp16InverseFrequency;

    /// <summary>Width of one head.</summary>
    [JsonIgnore]
    public int HeadSize => HiddenSize / NumAttentionHeads;

    /// <inheritdoc/>
    [JsonIgnore]
    public override string Architecture => "chatglm-6b";

    /// <inheritdoc/>
    [JsonIgnore]
    public override ModelShape Shape => new(
        NumLayers, HiddenSize, InnerHiddenSize, HeadLayout.Interleaved(NumAttentionHeads, HeadSize), VocabSize, MaxSequenceLength, PositionKind.Rotary2D, IsCausal: false,
        TiedOutput: false);

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="GlmException">The file is missing, is not JSON, lacks a field, or describes an impossible model.</exception>
    public static ChatGlm6BConfig Load(string path) => ConfigJson.Read<ChatGlm6BConfig>(path).Validated(path);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, int[] Shape)> Parameters() => ChatGlm6B.Shapes(this);

    /// <inheritdoc/>
    public override ChatGlm6B Create(Func<string, Tensor> parameter) => new(this, parameter);

    /// <summary>Files may lack the prefix, and the output matrix where it equals the embedding (ChatGLM spec 2.4).</summary>
    public override IEnumerable<string[]> StoredNames(string name) => WithoutPrefix("transformer.", name, name == ChatGlm6B.OutputName ? ChatGlm6B.EmbeddingName : null);

    /// <inheritdoc/>
    public override ChatGlm6BConfig Validated(string source)
    {
        var check = new FieldCheck(source);
        check.Require(ModelType == Type, "model_type", Type, ModelType);
        check.RequireSize("num_layers", NumLayers, 10_000);
        check.RequireSize("hidden_size", HiddenSize, 1 << 20);
        check.RequireSize("inner_hidden_size", InnerHiddenSize, 1 << 22);
        check.RequireHeads("num_attention_heads", NumAttentionHeads, "hidden_size", HiddenSize);
        check.Require(HeadSize % 4 == 0, "num_attention_heads", "a head size that is a multiple of 4, for the rotary embedding", $"a head size of {HeadSize}");
        check.RequireSize("vocab_size", VocabSize, 1 << 24);
        check.RequireSize("max_sequence_length", MaxSequenceLength, LargestRotaryTable / HeadSize);
        check.Require(LayernormEpsilon is > 0 and < 1, "layernorm_epsilon", "between 0 and 1", LayernormEpsilon);
        check.Require(PositionEncoding2D, "position_encoding_2d", true, PositionEncoding2D);
        return this;
    }
}
