namespace Glm.Models;

/// <summary>The <c>config.json</c> of GLM-4 copies that follow the transformers library: the model of <see cref="ChatGlm2Config"/> in other words (ChatGLM spec 5).</summary>
internal sealed record GlmNativeConfig
{
    public const string Type = "glm";

    private const int StandardRotaryBase = 10000;

    public required int NumHiddenLayers { get; init; }

    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    public required int NumAttentionHeads { get; init; }

    public required int NumKeyValueHeads { get; init; }

    public required int VocabSize { get; init; }

    public int? HeadDim { get; init; }

    public int MaxPositionEmbeddings { get; init; } = 131072;

    public float RmsNormEps { get; init; } = 1.5625e-07f;

    public double RopeTheta { get; init; } = StandardRotaryBase;

    public double PartialRotaryFactor { get; init; } = 0.5;

    public bool AttentionBias { get; init; } = true;

    public bool TieWordEmbeddings { get; init; }

    /// <exception cref="GlmException">A field is impossible or not supported.</exception>
    public ChatGlm2Config ToChatGlm2(string source)
    {
        var check = new FieldCheck(source);
        check.RequireSize("num_attention_heads", NumAttentionHeads, 1 << 14);
        check.Require(PartialRotaryFactor == 0.5, "partial_rotary_factor", 0.5, PartialRotaryFactor);
        return new ChatGlm2Config
        {
            NumLayers = NumHiddenLayers,
            HiddenSize = HiddenSize,
            FfnHiddenSize = IntermediateSize,
            KvChannels = HeadDim ?? HiddenSize / NumAttentionHeads,
            NumAttentionHeads = NumAttentionHeads,
            MultiQueryAttention = true,
            MultiQueryGroupNum = NumKeyValueHeads,
            PaddedVocabSize = VocabSize,
            SeqLength = MaxPositionEmbeddings,
            LayernormEpsilon = RmsNormEps,
            AddQkvBias = AttentionBias,
            RopeRatio = RopeTheta / StandardRotaryBase,
            RopeRatioMode = RopeRatioMode.Base,
            TieWordEmbeddings = TieWordEmbeddings,
        }.Validated(source);
    }
}
