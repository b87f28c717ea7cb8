using System.Text.Json.Serialization;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>What <c>rope_ratio</c> stretches (ChatGLM spec 3.4, 4).</summary>
public enum RopeRatioMode
{
    /// <summary>The base of the frequencies is multiplied by it: ChatGLM3 and GLM-4.</summary>
    [JsonStringEnumMemberName("base")]
    Base,

    /// <summary>Positions are divided by it: ChatGLM2.</summary>
    [JsonStringEnumMemberName("positions")]
    Positions,
}

/// <summary>
/// The shape of a model of the ChatGLM2-6B, ChatGLM3-6B and GLM-4-9B architecture; the names, and the values where a name is missing, are those of the
/// original <c>config.json</c> (ChatGLM spec 3.1, 4, 5).
/// </summary>
public sealed record ChatGlm2Config : ModelConfig
{
    /// <summary>The <c>model_type</c> of this architecture.</summary>
    public const string Type = "chatglm";

    /// <summary>Bound of positions times rotated width, since cosines and sines of all positions are held in memory.</summary>
    private const int LargestRotaryTable = 1 << 26;

    private static readonly (string Original, string Native)[] NativeNames =
    [
        ("transformer.embedding.word_embeddings", "model.embed_tokens"), ("transformer.encoder.layers", "model.layers"), ("transformer.encoder.final_layernorm", "model.norm"),
        ("transformer.output_layer", "lm_head"), ("self_attention.query_key_value", "self_attn.qkv_proj"), ("self_attention.dense", "self_attn.o_proj"),
        ("mlp.dense_h_to_4h", "mlp.gate_up_proj"), ("mlp.dense_4h_to_h", "mlp.down_proj"),
    ];

    /// <summary>Which architecture the directory holds.</summary>
    public string ModelType { get; init; } = Type;

    /// <summary>Which model the weights come from; says what <see cref="RopeRatio"/> means where <see cref="RopeRatioMode"/> does not.</summary>
    [JsonPropertyName("_name_or_path")]
    public string? NameOrPath { get; init; }

    /// <summary>Number of transformer layers.</summary>
    public required int NumLayers { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the gated inner layer.</summary>
    public required int FfnHiddenSize { get; init; }

    /// <summary>Width of one head.</summary>
    public int KvChannels { get; init; } = 128;

    /// <summary>Number of query heads.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Whether query heads share keys and values.</summary>
    public bool MultiQueryAttention { get; init; }

    /// <summary>Number of key and value heads, if they are shared.</summary>
    public int MultiQueryGroupNum { get; init; } = 1;

    /// <summary>Rows of the embedding and of the output matrix; the last ones have no meaning.</summary>
    public required int PaddedVocabSize { get; init; }

    /// <summary>Number of positions.</summary>
    public int SeqLength { get; init; } = 2048;

    /// <summary>Added to the mean square in norms.</summary>
    public float LayernormEpsilon { get; init; } = 1e-5f;

    /// <summary>Whether the fused projection has a bias.</summary>
    public bool AddQkvBias { get; init; }

    /// <summary>Factor for contexts longer than those of the base model.</summary>
    public double RopeRatio { get; init; } = 1;

    /// <summary>What <see cref="RopeRatio"/> stretches; where null, positions if the name of the model says ChatGLM2, otherwise the base.</summary>
    public RopeRatioMode? RopeRatioMode { get; init; }

    /// <summary>Whether the norms are RMS norms; others are not supported.</summary>
    public bool Rmsnorm { get; init; } = true;

    /// <summary>Whether a norm follows the last layer; without one is not supported.</summary>
    public bool PostLayerNorm { get; init; } = true;

    /// <summary>Biases of the other matrices; not supported.</summary>
    public bool AddBiasLinear { get; init; }

    /// <summary>A residual that carries the normalised input; not supported.</summary>
    public bool ApplyResidualConnectionPostLayernorm { get; init; }

    /// <summary>Whether the rotary embedding pairs neighbours; other pairings are not supported.</summary>
    public bool OriginalRope { get; init; } = true;

    /// <summary>Whether the embedding is the output matrix; not supported.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Number of key and value heads.</summary>
    [JsonIgnore]
    public int KeyValueHeads => MultiQueryAttention ? MultiQueryGroupNum : NumAttentionHeads;

    /// <summary>Width of the fused projection: queries, keys, values.</summary>
    [JsonIgnore]
    public int QkvSize => (NumAttentionHeads + 2 * KeyValueHeads) * KvChannels;

    /// <summary>Elements of a head that the rotary embedding turns: the first half (ChatGLM spec 3.3).</summary>
    [JsonIgnore]
    public int RotarySize => KvChannels / 2;

    /// <summary>The base of the rotary frequencies.</summary>
    [JsonIgnore]
    public double RotaryBase => 10000 * (StretchesPositions ? 1 : RopeRatio);

    /// <summary>What positions are divided by.</summary>
    [JsonIgnore]
    public double PositionScale => StretchesPositions ? RopeRatio : 1;

    /// <inheritdoc/>
    [JsonIgnore]
    public override string Architecture => "chatglm2";

    /// <inheritdoc/>
    [JsonIgnore]
    public override ModelShape Shape => new(
        NumLayers, HiddenSize, FfnHiddenSize, HeadLayout.Blocked(NumAttentionHeads, KeyValueHeads, KvChannels), PaddedVocabSize, SeqLength, PositionKind.Rotary, IsCausal: true,
        TiedOutput: false);

    private bool StretchesPositions =>
        (RopeRatioMode ?? (NameOrPath?.Contains("chatglm2", StringComparison.OrdinalIgnoreCase) == true ? Models.RopeRatioMode.Positions : Models.RopeRatioMode.Base))
        == Models.RopeRatioMode.Positions;

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="GlmException">The file is missing, is not JSON, lacks a field, or describes an impossible model.</exception>
    public static ChatGlm2Config Load(string path) => ConfigJson.Read<ChatGlm2Config>(path).Validated(path);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, int[] Shape)> Parameters() => ChatGlm2.Shapes(this);

    /// <inheritdoc/>
    public override ChatGlm2 Create(Func<string, Tensor> parameter) => new(this, parameter);

    /// <summary>Files may lack the prefix; copies that follow the transformers library have names of their own (ChatGLM spec 3.5, 5).</summary>
    public override IEnumerable<string[]> StoredNames(string name)
    {
        foreach (string[] stored in WithoutPrefix("transformer.", name)) yield return stored;
        string native = NativeNames.Aggregate(name, (renamed, pair) => renamed.Replace(pair.Original, pair.Native, StringComparison.Ordinal));
        yield return native.Contains("qkv_proj", StringComparison.Ordinal)
            ? [.. new[] { "q_proj", "k_proj", "v_proj" }.Select(part => native.Replace("qkv_proj", part, StringComparison.Ordinal))]
            : [native];
        yield return [native];
    }

    /// <inheritdoc/>
    public override ChatGlm2Config Validated(string source)
    {
        var check = new FieldCheck(source);
        check.Require(ModelType == Type, "model_type", Type, ModelType);
        check.RequireSize("num_layers", NumLayers, 10_000);
        check.RequireSize("hidden_size", HiddenSize, 1 << 20);
        check.RequireSize("ffn_hidden_size", FfnHiddenSize, 1 << 22);
        check.Require(KvChannels is > 0 and <= 1 << 14 && KvChannels % 4 == 0, "kv_channels", "a multiple of 4 up to 16384", KvChannels);
        check.RequireSize("num_attention_heads", NumAttentionHeads, 1 << 14);
        check.Require(KeyValueHeads > 0 && NumAttentionHeads % KeyValueHeads == 0, "multi_query_group_num", $"a divisor of num_attention_heads {NumAttentionHeads}", KeyValueHeads);
        check.RequireSize("padded_vocab_size", PaddedVocabSize, 1 << 24);
        check.Require(SeqLength > 0 && SeqLength <= LargestRotaryTable / RotarySize, "seq_length", $"1 to {LargestRotaryTable / RotarySize} for this head size", SeqLength);
        check.Require(LayernormEpsilon is > 0 and < 1, "layernorm_epsilon", "between 0 and 1", LayernormEpsilon);
        check.Require(RopeRatio is > 0 and <= 1e9, "rope_ratio", "above 0, up to 1e9", RopeRatio);
        check.Require(Rmsnorm, "rmsnorm", true, Rmsnorm);
        check.Require(PostLayerNorm, "post_layer_norm", true, PostLayerNorm);
        check.Require(!AddBiasLinear, "add_bias_linear", false, AddBiasLinear);
        check.Require(!ApplyResidualConnectionPostLayernorm, "apply_residual_connection_post_layernorm", false, ApplyResidualConnectionPostLayernorm);
        check.Require(OriginalRope, "original_rope", true, OriginalRope);
        check.Require(!TieWordEmbeddings, "tie_word_embeddings", false, TieWordEmbeddings);
        return this;
    }
}
