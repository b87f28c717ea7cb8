using Glm.Tensors;

namespace Glm.Models;

/// <summary>The BLOOM architecture (ChatGLM spec 8.2), for training and inference alike.</summary>
/// <remarks>
/// Noteworthy: no positions but ALiBi, scores that fall with the distance of the key by a slope of each head; a layer norm on the embedding, and one before
/// each sublayer; the fused projection is laid out by head, then query, key, value; the output matrix is the embedding. Parameter names are those of the
/// released checkpoints.
/// </remarks>
public sealed class Bloom : TrainableModel
{
    private readonly Tensor _embeddingNormGain, _embeddingNormBias, _finalNormGain, _finalNormBias;
    private readonly Layer[] _layers;

    /// <summary>A model over given parameters.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="parameter">Gives the tensor of a name; matrices of layers may be quantised by output row.</param>
    /// <exception cref="GlmException">A tensor has another shape than the configuration says.</exception>
    public Bloom(BloomConfig config, Func<string, Tensor> parameter) : base(config.Validated("model"), ModelPart.Whole(config.Layers), config.Parameters(), parameter)
    {
        Config = config;
        WordEmbeddings = Parameter("transformer.word_embeddings.weight");
        _embeddingNormGain = Parameter("transformer.word_embeddings_layernorm.weight");
        _embeddingNormBias = Parameter("transformer.word_embeddings_layernorm.bias");
        _layers = [.. Enumerable.Range(0, config.Layers).Select(i => new Layer(this, i))];
        _finalNormGain = Parameter("transformer.ln_f.weight");
        _finalNormBias = Parameter("transformer.ln_f.bias");
        Slopes = Tensor.From(SlopesOf(config.Heads), config.Heads);
    }

    /// <inheritdoc/>
    public override BloomConfig Config { get; }

    /// <inheritdoc/>
    public override Tensor WordEmbeddings { get; }

    /// <inheritdoc/>
    public override Tensor Slopes { get; }

    /// <summary>Names and shapes of the parameters of a configuration, without allocating any (ChatGLM spec 8.3).</summary>
    public static IEnumerable<(string Name, int[] Shape)> Shapes(BloomConfig config)
    {
        int hidden = config.Hidden, inner = config.Inner;
        yield return ("transformer.word_embeddings.weight", [config.VocabSize, hidden]);
        yield return ("transformer.word_embeddings_layernorm.weight", [hidden]);
        yield return ("transformer.word_embeddings_layernorm.bias", [hidden]);
        for (int i = 0; i < config.Layers; i++)
        {
            string layer = LayerPrefix(i);
            yield return (layer + "input_layernorm.weight", [hidden]);
            yield return (layer + "input_layernorm.bias", [hidden]);
            yield return (layer + "self_attention.query_key_value.weight", [3 * hidden, hidden]);
            yield return (layer + "self_attention.query_key_value.bias", [3 * hidden]);
            yield return (layer + "self_attention.dense.weight", [hidden, hidden]);
            yield return (layer + "self_attention.dense.bias", [hidden]);
            yield return (layer + "post_attention_layernorm.weight", [hidden]);
            yield return (layer + "post_attention_layernorm.bias", [hidden]);
            yield return (layer + "mlp.dense_h_to_4h.weight", [inner, hidden]);
            yield return (layer + "mlp.dense_h_to_4h.bias", [inner]);
            yield return (layer + "mlp.dense_4h_to_h.weight", [hidden, inner]);
            yield return (layer + "mlp.dense_4h_to_h.bias", [hidden]);
        }
        yield return ("transformer.ln_f.weight", [hidden]);
        yield return ("transformer.ln_f.bias", [hidden]);
    }

    /// <summary>
    /// Slopes of the heads: with c the largest power of two up to their number, the powers 1, 2, … c of 2^(-8 / c); further heads get the odd powers of
    /// 2^(-4 / c), which lie between (ChatGLM spec 8.2).
    /// </summary>
    internal static float[] SlopesOf(int heads)
    {
        int c = 1;
        while (2 * c <= heads) c *= 2;
        return [.. Enumerable.Range(0, heads).Select(head => (float)(head < c ? Math.Pow(2, -8.0 * (head + 1) / c) : Math.Pow(2, -4.0 * (2 * (head - c) + 1) / c)))];
    }

    /// <inheritdoc/>
    public override Tensor RunPart(Context context, Tensor input, Positions positions, Attend attend, Action<int, Tensor>? observe = null)
    {
        var embedded = context.LayerNorm(context.Embedding(WordEmbeddings, input, EmbeddingGradientShrink), _embeddingNormGain, _embeddingNormBias, Config.LayerNormEpsilon);
        var x = RunLayers(context, embedded, positions, attend, observe);
        return context.LayerNorm(x, _finalNormGain, _finalNormBias, Config.LayerNormEpsilon);
    }

    /// <inheritdoc/>
    public override Tensor Logits(Context context, Tensor hidden) => context.Linear(hidden, WordEmbeddings, outputType: DType.Float32, weightGradientScale: EmbeddingGradientShrink);

    /// <inheritdoc/>
    public override (Tensor Loss, Tensor TokenLosses) Loss(Context context, Tensor hidden, Tensor targets, Tensor weights) =>
        context.CrossEntropy(context.RoundAsActivation(Logits(context, hidden)), targets, weights);

    private protected override Attend AttendWithin(Context context, AttentionSegment[] segments) => (qkv, _) => context.Attention(qkv, Heads, segments, AttentionDropout, Slopes);

    private protected override Tensor RunLayer(Context context, int layer, Tensor x, Positions positions, Attend attend) => _layers[layer].Forward(context, x, attend);

    private static string LayerPrefix(int layer) => $"transformer.h.{layer}.";

    /// <summary>One transformer layer.</summary>
    private sealed class Layer
    {
        private readonly Bloom _model;
        private readonly int _index;
        private readonly Tensor _inputNormGain, _inputNormBias, _qkvWeight, _qkvBias, _denseWeight, _denseBias;
        private readonly Tensor _postNormGain, _postNormBias, _upWeight, _upBias, _downWeight, _downBias;

        public Layer(Bloom model, int index)
        {
            Tensor Parameter(string name) => model.Parameter(LayerPrefix(index) + name);
            _model = model;
            _index = index;
            _inputNormGain = Parameter("input_layernorm.weight");
            _inputNormBias = Parameter("input_layernorm.bias");
            _qkvWeight = Parameter("self_attention.query_key_value.weight");
            _qkvBias = Parameter("self_attention.query_key_value.bias");
            _denseWeight = Parameter("self_attention.dense.weight");
            _denseBias = Parameter("self_attention.dense.bias");
            _postNormGain = Parameter("post_attention_layernorm.weight");
            _postNormBias = Parameter("post_attention_layernorm.bias");
            _upWeight = Parameter("mlp.dense_h_to_4h.weight");
            _upBias = Parameter("mlp.dense_h_to_4h.bias");
            _downWeight = Parameter("mlp.dense_4h_to_h.weight");
            _downBias = Parameter("mlp.dense_4h_to_h.bias");
        }

        /// <summary>
        /// a = LN(x), y = x + Attention(a), m = LN(y), output y + MLP(m), all <c>[tokens, hidden]</c>; with the normalised residual a and m stand for x and y in
        /// the sums.
        /// </summary>
        public Tensor Forward(Context context, Tensor x, Attend attend)
        {
            float epsilon = _model.Config.LayerNormEpsilon;
            bool normalised = _model.Config.ApplyResidualConnectionPostLayernorm;
            var a = context.LayerNorm(x, _inputNormGain, _inputNormBias, epsilon);
            var attended = context.Dropout(context.Linear(attend(context.Linear(a, _qkvWeight, _qkvBias), _index), _denseWeight, _denseBias), _model.HiddenDropout);
            var y = context.Residual(normalised ? a : x, attended, 1);
            var m = context.LayerNorm(y, _postNormGain, _postNormBias, epsilon);
            var inner = context.GeluTanh(context.Linear(m, _upWeight, _upBias));
            return context.Residual(normalised ? m : y, context.Dropout(context.Linear(inner, _downWeight, _downBias), _model.HiddenDropout), 1);
        }
    }
}
