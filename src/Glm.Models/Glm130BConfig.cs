using System.Text.Json.Serialization;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>How the angles of the rotary embedding are rounded (spec 1.5); the names are those of <c>config.json</c>.</summary>
public enum RotaryMode
{
    /// <summary>No rounding below float32: models that are trained here.</summary>
    [JsonStringEnumMemberName("exact")]
    Exact,

    /// <summary>Only the inverse frequencies are rounded to float16: what the original code does in float32.</summary>
    [JsonStringEnumMemberName("fp16_inv_freq")]
    Fp16InverseFrequency,

    /// <summary>Inverse frequencies, angles, cosines and sines are rounded to float16: how GLM-130B was trained and is run.</summary>
    [JsonStringEnumMemberName("fp16_table")]
    Fp16Table,
}

/// <summary>Where the layers of a model normalise (paper section 2.3, spec 4.4); the names are those of <c>config.json</c>. F is a sublayer.</summary>
public enum Normalization
{
    /// <summary>LN(alpha x + F(x)), alpha = sqrt(2 layers): GLM-130B.</summary>
    [JsonStringEnumMemberName("deepnorm")]
    DeepNorm,

    /// <summary>LN(x + F(x)).</summary>
    [JsonStringEnumMemberName("post-ln")]
    PostLn,

    /// <summary>x + F(LN(x)).</summary>
    [JsonStringEnumMemberName("pre-ln")]
    PreLn,

    /// <summary>x + LN(F(LN(x))), with two more layer norms in each layer.</summary>
    [JsonStringEnumMemberName("sandwich-ln")]
    SandwichLn,
}

/// <summary>The shape of a model of the GLM-130B architecture; <c>config.json</c> carries the same names in snake case.</summary>
public sealed record Glm130BConfig : ModelConfig
{
    /// <summary>The <c>model_type</c> of this architecture.</summary>
    public const string Type = "glm-130b";

    /// <summary>Bound of positions times head size, since cosines and sines of all positions are held in memory.</summary>
    private const int LargestRotaryTable = 1 << 24;

    /// <summary>Which architecture the directory holds.</summary>
    public string ModelType { get; init; } = Type;

    /// <summary>Number of transformer layers.</summary>
    public required int NumLayers { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the gated inner layer; GLM-130B uses 8/3 of the hidden size.</summary>
    public required int InnerHiddenSize { get; init; }

    /// <summary>Number of attention heads.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Rows of the embedding matrix.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Number of positions.</summary>
    public required int MaxSequenceLength { get; init; }

    /// <summary>Added to the variance in layer norms.</summary>
    public float LayernormEpsilon { get; init; } = 1e-5f;

    /// <summary>Where layers normalise; told in files where it is not GLM-130B's own.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public Normalization Normalization { get; init; }

    /// <summary>Rounding of the rotary angles.</summary>
    public RotaryMode RotaryMode { get; init; } = RotaryMode.Exact;

    /// <summary>Width of one head.</summary>
    [JsonIgnore]
    public int HeadSize => HiddenSize / NumAttentionHeads;

    /// <summary>Factor of the residual branch: DeepNorm's sqrt(2 layers) (spec 1.3), otherwise 1.</summary>
    [JsonIgnore]
    public float Alpha => Normalization == Normalization.DeepNorm ? MathF.Sqrt(2f * NumLayers) : 1;

    /// <summary>Whether the residual stream itself is never normalised between layers.</summary>
    [JsonIgnore]
    public bool NormalizesInside => Normalization is Normalization.PreLn or Normalization.SandwichLn;

    /// <inheritdoc/>
    [JsonIgnore]
    public override string Architecture => Type;

    /// <inheritdoc/>
    [JsonIgnore]
    public override ModelShape Shape => new(
        NumLayers, HiddenSize, InnerHiddenSize, HeadLayout.Interleaved(NumAttentionHeads, HeadSize), VocabSize, MaxSequenceLength, PositionKind.Rotary, IsCausal: false,
        TiedOutput: true);

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="GlmException">The file is missing, is not JSON, lacks a field, or describes an impossible model.</exception>
    public static Glm130BConfig Load(string path) => ConfigJson.Read<Glm130BConfig>(path).Validated(path);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, int[] Shape)> Parameters() => Glm130B.Shapes(this);

    /// <inheritdoc/>
    public override Glm130B Create(Func<string, Tensor> parameter) => new(this, parameter);

    /// <inheritdoc/>
    public override Glm130BConfig Validated(string source)
    {
        var check = new FieldCheck(source);
        check.Require(ModelType == Type, "model_type", Type, ModelType);
        check.RequireSize("num_layers", NumLayers, 10_000);
        check.RequireSize("hidden_size", HiddenSize, 1 << 20);
        check.RequireSize("inner_hidden_size", InnerHiddenSize, 1 << 22);
        check.RequireHeads("num_attention_heads", NumAttentionHeads, "hidden_size", HiddenSize);
        check.Require(HeadSize % 2 == 0, "num_attention_heads", "an even head size for the rotary embedding", $"a head size of {HeadSize}");
        check.RequireSize("vocab_size", VocabSize, 1 << 24);
        check.Require(
            MaxSequenceLength > 0 && MaxSequenceLength <= LargestRotaryTable / HeadSize, "max_sequence_length", $"1 to {LargestRotaryTable / HeadSize} for this head size", MaxSequenceLength);
        check.Require(LayernormEpsilon is > 0 and < 1, "layernorm_epsilon", "between 0 and 1", LayernormEpsilon);
        return this;
    }
}
