using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// The architecture of ChatGLM2-6B, ChatGLM3-6B and GLM-4-9B (ChatGLM spec 3.2, 4, 5), for training and inference alike.
/// </summary>
/// <remarks>
/// Noteworthy: RMS norms before attention and feed-forward, ordinary residual; causal throughout; many query heads share a key and value head; the fused
/// projection holds all queries, then keys, then values, and has the only bias; the rotary embedding turns neighbouring pairs in the first half of each head;
/// the <em>first</em> half of the feed-forward projection is the gate; the output has a matrix of its own. Parameter names are those of the released checkpoints.
/// </remarks>
public sealed class ChatGlm2 : LanguageModel
{
    internal const string EmbeddingName = "transformer.embedding.word_embeddings.weight";
    internal const string FinalNormName = "transformer.encoder.final_layernorm.weight";
    internal const string OutputName = "transformer.output_layer.weight";

    private readonly Tensor _finalNorm;
    private readonly Layer[] _layers;
    private readonly RotaryTables _rotary;

    /// <summary>A model over given parameters.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="parameter">Gives the tensor of a name; matrices may be quantised by output row or in blocks.</param>
    /// <exception cref="GlmException">A tensor has another shape than the configuration says.</exception>
    public ChatGlm2(ChatGlm2Config config, Func<string, Tensor> parameter) : base(config.Validated("model"), parameter)
    {
        Config = config;
        WordEmbeddings = Parameter(EmbeddingName);
        _layers = [.. Enumerable.Range(0, config.NumLayers).Select(i => new Layer(this, i))];
        _finalNorm = Parameter(FinalNormName);
        OutputMatrix = Parameter(OutputName);
        _rotary = new RotaryTables(config.SeqLength, config.RotarySize, RotaryMode.Exact, config.RotaryBase, config.PositionScale);
    }

    /// <summary>The shape.</summary>
    public override ChatGlm2Config Config { get; }

    /// <inheritdoc/>
    public override Tensor WordEmbeddings { get; }

    /// <inheritdoc/>
    public override Tensor OutputMatrix { get; }

    /// <summary>Names and shapes of the parameters of a configuration, without allocating any (ChatGLM spec 3.5).</summary>
    public static IEnumerable<(string Name, int[] Shape)> Shapes(ChatGlm2Config config)
    {
        int hidden = config.HiddenSize, inner = config.FfnHiddenSize;
        yield return (EmbeddingName, [config.PaddedVocabSize, hidden]);
        for (int i = 0; i < config.NumLayers; i++)
        {
            string layer = LayerPrefix(i);
            yield return (layer + "input_layernorm.weight", [hidden]);
            yield return (layer + "self_attention.query_key_value.weight", [config.QkvSize, hidden]);
            if (config.AddQkvBias) yield return (layer + "self_attention.query_key_value.bias", [config.QkvSize]);
            yield return (layer + "self_attention.dense.weight", [hidden, config.NumAttentionHeads * config.KvChannels]);
            yield return (layer + "post_attention_layernorm.weight", [hidden]);
            yield return (layer + "mlp.dense_h_to_4h.weight", [2 * inner, hidden]);
            yield return (layer + "mlp.dense_4h_to_h.weight", [hidden, inner]);
        }
        yield return (FinalNormName, [hidden]);
        yield return (OutputName, [config.PaddedVocabSize, hidden]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(Context context, Tensor ids, Positions positions, Attend attend, Action<int, Tensor>? observe = null)
    {
        var x = RunLayers(context, context.Embedding(WordEmbeddings, ids), positions, attend, observe);
        return context.RmsNorm(x, _finalNorm, Config.LayernormEpsilon);
    }

    private protected override Tensor RunLayer(Context context, int layer, Tensor x, Positions positions, Attend attend) =>
        _layers[layer].Forward(context, x, positions.Tokens, attend);

    internal static string LayerPrefix(int layer) => $"transformer.encoder.layers.{layer}.";

    /// <summary>One transformer layer.</summary>
    private sealed class Layer
    {
        private readonly ChatGlm2 _model;
        private readonly int _index;
        private readonly Tensor _inputNorm, _qkvWeight, _denseWeight, _postNorm, _upWeight, _downWeight;
        private readonly Tensor? _qkvBias;

        public Layer(ChatGlm2 model, int index)
        {
            Tensor Parameter(string name) => model.Parameter(LayerPrefix(index) + name);
            _model = model;
            _index = index;
            _inputNorm = Parameter("input_layernorm.weight");
            _qkvWeight = Parameter("self_attention.query_key_value.weight");
            _qkvBias = model.Config.AddQkvBias ? Parameter("self_attention.query_key_value.bias") : null;
            _denseWeight = Parameter("self_attention.dense.weight");
            _postNorm = Parameter("post_attention_layernorm.weight");
            _upWeight = Parameter("mlp.dense_h_to_4h.weight");
            _downWeight = Parameter("mlp.dense_4h_to_h.weight");
        }

        /// <summary>m = x + Attention(RMS(x)), output m + MLP(RMS(m)), all <c>[tokens, hidden]</c>.</summary>
        public Tensor Forward(Context context, Tensor x, Tensor positions, Attend attend)
        {
            float epsilon = _model.Config.LayernormEpsilon;
            var m = context.Residual(x, Attention(context, context.RmsNorm(x, _inputNorm, epsilon), positions, attend), 1);
            return context.Residual(m, FeedForward(context, context.RmsNorm(m, _postNorm, epsilon)), 1);
        }

        private Tensor Attention(Context context, Tensor a, Tensor positions, Attend attend)
        {
            var qkv = context.Linear(a, _qkvWeight, _qkvBias);
            context.Rotary(qkv, _model.Heads, positions, _model._rotary.Cos, _model._rotary.Sin, RotaryPairing.Neighbours);
            return context.Linear(attend(qkv, _index), _denseWeight);
        }

        private Tensor FeedForward(Context context, Tensor m) => context.Linear(context.SwiGlu(context.Linear(m, _upWeight)), _downWeight);
    }
}
