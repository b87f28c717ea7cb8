using System.Text.Json.Serialization;

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

/// <summary>The shape of a model of the GLM-130B architecture; <c>config.json</c> carries the same names in snake case.</summary>
public sealed record Glm130BConfig
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

    /// <summary>Rounding of the rotary angles.</summary>
    public RotaryMode RotaryMode { get; init; } = RotaryMode.Exact;

    /// <summary>Width of one head.</summary>
    [JsonIgnore]
    public int HeadSize => HiddenSize / NumAttentionHeads;

    /// <summary>The DeepNorm factor of the residual branch, sqrt(2 layers) (spec 1.3).</summary>
    [JsonIgnore]
    public float Alpha => MathF.Sqrt(2f * NumLayers);

    /// <summary>Number of parameters, tied embedding counted once.</summary>
    [JsonIgnore]
    public long ParameterCount => Glm130B.Shapes(this).Sum(parameter => parameter.Shape.Aggregate(1L, (count, size) => count * size));

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="GlmException">The file is missing, is not JSON, lacks a field, or describes an impossible model.</exception>
    public static Glm130BConfig Load(string path) => ConfigJson.Read<Glm130BConfig>(path).Validated(path);

    /// <summary>The text of <c>config.json</c>.</summary>
    public string ToJson() => ConfigJson.Write(this);

    /// <summary>This configuration, if a model can have it.</summary>
    /// <param name="source">What to name in the error.</param>
    /// <exception cref="GlmException">A field is impossible.</exception>
    public Glm130BConfig Validated(string source)
    {
        Require(ModelType == Type, "model_type", Type, ModelType);
        Require(NumLayers is > 0 and <= 10_000, "num_layers", "1 to 10000", NumLayers);
        Require(HiddenSize is > 0 and <= 1 << 20, "hidden_size", "1 to 1048576", HiddenSize);
        Require(InnerHiddenSize is > 0 and <= 1 << 22, "inner_hidden_size", "1 to 4194304", InnerHiddenSize);
        Require(NumAttentionHeads > 0 && HiddenSize % NumAttentionHeads == 0, "num_attention_heads", $"a divisor of hidden_size {HiddenSize}", NumAttentionHeads);
        Require(HeadSize % 2 == 0, "num_attention_heads", "an even head size for the rotary embedding", $"a head size of {HeadSize}");
        Require(VocabSize is > 0 and <= 1 << 24, "vocab_size", "1 to 16777216", VocabSize);
        Require(MaxSequenceLength > 0 && MaxSequenceLength <= LargestRotaryTable / HeadSize, "max_sequence_length", $"1 to {LargestRotaryTable / HeadSize} for this head size", MaxSequenceLength);
        Require(LayernormEpsilon is > 0 and < 1, "layernorm_epsilon", "between 0 and 1", LayernormEpsilon);
        return this;

        void Require(bool holds, string field, string expected, object found)
        {
            if (!holds) throw new GlmException($"{source}: {field}: expected {expected}, found {found}");
        }
    }
}
