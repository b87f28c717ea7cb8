using Glm.Tensors;

namespace Glm.Models;

/// <summary>The architecture of the first GLMs, Base to 10B (ChatGLM spec 6.2), for training and inference alike.</summary>
/// <remarks>
/// Noteworthy: layer norms before each sublayer, ordinary residual; two learned tables of positions are added to the embedding, by the position, which from
/// <c>sop</c> on is that of the blank, and by the position inside the blank; the fused projection holds all queries, then keys, then values; the output matrix
/// is the embedding. The original's <c>attention_scale</c> guards float16 against overflow and changes no result. Parameter names are those of the hub.
/// </remarks>
public sealed class GlmSmall : LanguageModel
{
    private const float Epsilon = 1e-5f;

    private readonly Tensor _positions, _blockPositions, _finalNormGain, _finalNormBias;
    private readonly Layer[] _layers;

    /// <summary>A model over given parameters.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="parameter">Gives the tensor of a name; matrices of layers may be quantised by output row.</param>
    /// <exception cref="GlmException">A tensor has another shape than the configuration says.</exception>
    public GlmSmall(GlmSmallConfig config, Func<string, Tensor> parameter) : base(config.Validated("model"), parameter)
    {
        Config = config;
        WordEmbeddings = Parameter("glm.word_embeddings.weight");
        _positions = Parameter("glm.transformer.position_embeddings.weight");
        _blockPositions = Parameter("glm.transformer.block_position_embeddings.weight");
        _layers = [.. Enumerable.Range(0, config.NumLayers).Select(i => new Layer(this, i))];
        _finalNormGain = Parameter("glm.transformer.final_layernorm.weight");
        _finalNormBias = Parameter("glm.transformer.final_layernorm.bias");
    }

    /// <inheritdoc/>
    public override GlmSmallConfig Config { get; }

    /// <inheritdoc/>
    public override Tensor WordEmbeddings { get; }

    /// <summary>Names and shapes of the parameters of a configuration, without allocating any (ChatGLM spec 6.5).</summary>
    public static IEnumerable<(string Name, int[] Shape)> Shapes(GlmSmallConfig config)
    {
        int hidden = config.HiddenSize, inner = 4 * hidden, positions = config.MaxSequenceLength + 1;
        yield return ("glm.word_embeddings.weight", [config.VocabSize, hidden]);
        yield return ("glm.transformer.position_embeddings.weight", [positions, hidden]);
        yield return ("glm.transformer.block_position_embeddings.weight", [positions, hidden]);
        for (int i = 0; i < config.NumLayers; i++)
        {
            string layer = LayerPrefix(i);
            yield return (layer + "input_layernorm.weight", [hidden]);
            yield return (layer + "input_layernorm.bias", [hidden]);
            yield return (layer + "attention.query_key_value.weight", [3 * hidden, hidden]);
            yield return (layer + "attention.query_key_value.bias", [3 * hidden]);
            yield return (layer + "attention.dense.weight", [hidden, hidden]);
            yield return (layer + "attention.dense.bias", [hidden]);
            yield return (layer + "post_attention_layernorm.weight", [hidden]);
            yield return (layer + "post_attention_layernorm.bias", [hidden]);
            yield return (layer + "mlp.dense_h_to_4h.weight", [inner, hidden]);
            yield return (layer + "mlp.dense_h_to_4h.bias", [inner]);
            yield return (layer + "mlp.dense_4h_to_h.weight", [hidden, inner]);
            yield return (layer + "mlp.dense_4h_to_h.bias", [hidden]);
        }
        yield return ("glm.transformer.final_layernorm.weight", [hidden]);
        yield return ("glm.transformer.final_layernorm.bias", [hidden]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(Context context, Tensor ids, Positions positions, Attend attend, Action<int, Tensor>? observe = null)
    {
        var placed = context.Residual(context.Embedding(_positions, positions.Tokens), context.Embedding(_blockPositions, positions.RequiredBlocks), 1);
        var x = RunLayers(context, context.Residual(context.Embedding(WordEmbeddings, ids), placed, 1), positions, attend, observe);
        return context.LayerNorm(x, _finalNormGain, _finalNormBias, Epsilon);
    }

    private protected override Tensor RunLayer(Context context, int layer, Tensor x, Positions positions, Attend attend) => _layers[layer].Forward(context, x, attend);

    private static string LayerPrefix(int layer) => $"glm.transformer.layers.{layer}.";

    /// <summary>One transformer layer.</summary>
    private sealed class Layer
    {
        private readonly int _index;
        private readonly Tensor _inputNormGain, _inputNormBias, _qkvWeight, _qkvBias, _denseWeight, _denseBias;
        private readonly Tensor _postNormGain, _postNormBias, _upWeight, _upBias, _downWeight, _downBias;

        public Layer(GlmSmall model, int index)
        {
            Tensor Parameter(string name) => model.Parameter(LayerPrefix(index) + name);
            _index = index;
            _inputNormGain = Parameter("input_layernorm.weight");
            _inputNormBias = Parameter("input_layernorm.bias");
            _qkvWeight = Parameter("attention.query_key_value.weight");
            _qkvBias = Parameter("attention.query_key_value.bias");
            _denseWeight = Parameter("attention.dense.weight");
            _denseBias = Parameter("attention.dense.bias");
            _postNormGain = Parameter("post_attention_layernorm.weight");
            _postNormBias = Parameter("post_attention_layernorm.bias");
            _upWeight = Parameter("mlp.dense_h_to_4h.weight");
            _upBias = Parameter("mlp.dense_h_to_4h.bias");
            _downWeight = Parameter("mlp.dense_4h_to_h.weight");
            _downBias = Parameter("mlp.dense_4h_to_h.bias");
        }

        /// <summary>m = x + Attention(LN(x)), output m + MLP(LN(m)), all <c>[tokens, hidden]</c>.</summary>
        public Tensor Forward(Context context, Tensor x, Attend attend)
        {
            var qkv = context.Linear(context.LayerNorm(x, _inputNormGain, _inputNormBias, Epsilon), _qkvWeight, _qkvBias);
            var m = context.Residual(x, context.Linear(attend(qkv, _index), _denseWeight, _denseBias), 1);
            var inner = context.GeluTanh(context.Linear(context.LayerNorm(m, _postNormGain, _postNormBias, Epsilon), _upWeight, _upBias));
            return context.Residual(m, context.Linear(inner, _downWeight, _downBias), 1);
        }
    }
}
