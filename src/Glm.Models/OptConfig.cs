using System.Text.Json.Serialization;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>The shape of an OPT, 125m to 175b; the names, and the values where a name is missing, are those of the original <c>config.json</c> (ChatGLM spec 7.1).</summary>
public sealed record OptConfig : ModelConfig
{
    /// <summary>The <c>model_type</c> of this architecture.</summary>
    public const string Type = "opt";

    /// <summary>Which architecture the directory holds.</summary>
    public string ModelType { get; init; } = Type;

    /// <summary>Number of transformer layers.</summary>
    public required int NumHiddenLayers { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the inner layer.</summary>
    public required int FfnDim { get; init; }

    /// <summary>Number of attention heads.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Rows of the embedding.</summary>
    public int VocabSize { get; init; } = 50272;

    /// <summary>Number of positions.</summary>
    public int MaxPositionEmbeddings { get; init; } = 2048;

    /// <summary>Width of the embedding, which is projected to the hidden size where they differ (350m); null for the hidden size.</summary>
    public int? WordEmbedProjDim { get; init; }

    /// <summary>Whether layer norms precede the sublayers; otherwise they follow the residual (350m).</summary>
    public bool DoLayerNormBefore { get; init; } = true;

    /// <summary>Whether the last layer norm was taken out, in some early files.</summary>
    [JsonPropertyName("_remove_final_layer_norm")]
    public bool RemoveFinalLayerNorm { get; init; }

    /// <summary>The activation of the inner layer; others than relu are not supported.</summary>
    public string ActivationFunction { get; init; } = "relu";

    /// <summary>Whether matrices have biases; without is not supported.</summary>
    public bool EnableBias { get; init; } = true;

    /// <summary>Whether layer norms have parameters; without is not supported.</summary>
    public bool LayerNormElementwiseAffine { get; init; } = true;

    /// <summary>Whether the embedding is the output matrix; a matrix of its own is not supported.</summary>
    public bool TieWordEmbeddings { get; init; } = true;

    /// <summary>Width of the embedding.</summary>
    [JsonIgnore]
    public int EmbeddingSize => WordEmbedProjDim ?? HiddenSize;

    /// <summary>Whether the embedding is projected.</summary>
    [JsonIgnore]
    public bool HasProjection => EmbeddingSize != HiddenSize;

    /// <summary>Whether a norm follows the last layer.</summary>
    [JsonIgnore]
    public bool HasFinalNorm => DoLayerNormBefore && !RemoveFinalLayerNorm;

    /// <inheritdoc/>
    [JsonIgnore]
    public override string Architecture => Type;

    /// <inheritdoc/>
    [JsonIgnore]
    public override ModelShape Shape => new(
        NumHiddenLayers, HiddenSize, FfnDim, HeadLayout.Blocked(NumAttentionHeads, NumAttentionHeads, HiddenSize / NumAttentionHeads), VocabSize, MaxPositionEmbeddings,
        PositionKind.Learned, IsCausal: true, TiedOutput: true);

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="GlmException">The file is missing, is not JSON, lacks a field, or describes an impossible model.</exception>
    public static OptConfig Load(string path) => ConfigJson.Read<OptConfig>(path).Validated(path);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, int[] Shape)> Parameters() => Opt.Shapes(this);

    /// <inheritdoc/>
    public override Opt Create(Func<string, Tensor> parameter) => new(this, parameter);

    /// <inheritdoc/>
    public override bool IsQuantizable(string name) =>
        name.Contains(".layers.", StringComparison.Ordinal) && name.EndsWith(".weight", StringComparison.Ordinal) && !name.Contains("layer_norm", StringComparison.Ordinal);

    /// <summary>Files may lack the prefix; queries, keys and values are stored as separate matrices (ChatGLM spec 7.3).</summary>
    public override IEnumerable<string[]> StoredNames(string name)
    {
        foreach (string prefix in new[] { "model.", "" })
        {
            string stored = prefix + name["model.".Length..];
            yield return name.Contains("qkv_proj", StringComparison.Ordinal)
                ? [.. new[] { "q_proj", "k_proj", "v_proj" }.Select(part => stored.Replace("qkv_proj", part, StringComparison.Ordinal))]
                : [stored];
        }
    }

    /// <inheritdoc/>
    public override OptConfig Validated(string source)
    {
        var check = new FieldCheck(source);
        check.Require(ModelType == Type, "model_type", Type, ModelType);
        check.RequireSize("num_hidden_layers", NumHiddenLayers, 10_000);
        check.RequireSize("hidden_size", HiddenSize, 1 << 20);
        check.RequireSize("ffn_dim", FfnDim, 1 << 22);
        check.RequireHeads("num_attention_heads", NumAttentionHeads, "hidden_size", HiddenSize);
        check.RequireSize("vocab_size", VocabSize, 1 << 24);
        check.RequireSize("max_position_embeddings", MaxPositionEmbeddings, 1 << 24);
        check.RequireSize("word_embed_proj_dim", EmbeddingSize, 1 << 20);
        check.Require(ActivationFunction == "relu", "activation_function", "relu", ActivationFunction);
        check.Require(EnableBias, "enable_bias", true, EnableBias);
        check.Require(LayerNormElementwiseAffine, "layer_norm_elementwise_affine", true, LayerNormElementwiseAffine);
        check.Require(TieWordEmbeddings, "tie_word_embeddings", true, TieWordEmbeddings);
        return this;
    }
}
