using Glm.Tensors;

namespace Glm.Models;

/// <summary>The architecture of ChatGLM-6B (ChatGLM spec 2.2), for training and inference alike.</summary>
/// <remarks>
/// Noteworthy: the layers of GLM-130B (the residual carries the <em>normalised</em> input, times sqrt(2 x 28) whatever the number of layers) with a plain
/// feed-forward layer and an output matrix of its own. Positions have two axes: the first half of every head turns by the position, which from <c>sop</c> on
/// is that of the blank, the second half by the position inside the blank. Parameter names are those of the released checkpoint.
/// </remarks>
public sealed class ChatGlm6B : LanguageModel
{
    internal const string EmbeddingName = "transformer.word_embeddings.weight";
    internal const string OutputName = "lm_head.weight";

    /// <summary>The original computes it from the default number of layers, which the configuration does not reach (ChatGLM spec 2.2).</summary>
    private static readonly float Alpha = MathF.Sqrt(2 * 28);

    private readonly Tensor _finalNormGain, _finalNormBias;
    private readonly Layer[] _layers;
    private readonly RotaryTables _rotary;

    /// <summary>The halves of all heads, as heads of their own.</summary>
    private readonly HeadLayout _firstHalves, _secondHalves;

    /// <summary>A model over given parameters.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="parameter">Gives the tensor of a name; matrices of layers may be quantised by output row.</param>
    /// <exception cref="GlmException">A tensor has another shape than the configuration says.</exception>
    public ChatGlm6B(ChatGlm6BConfig config, Func<string, Tensor> parameter) : base(config.Validated("model"), parameter)
    {
        Config = config;
        WordEmbeddings = Parameter(EmbeddingName);
        _layers = [.. Enumerable.Range(0, config.NumLayers).Select(i => new Layer(this, i))];
        _finalNormGain = Parameter("transformer.final_layernorm.weight");
        _finalNormBias = Parameter("transformer.final_layernorm.bias");
        OutputMatrix = Parameter(OutputName);
        int half = config.HeadSize / 2;
        _firstHalves = Heads with { HeadSize = half };
        _secondHalves = _firstHalves with { QueryOffset = Heads.QueryOffset + half, KeyOffset = Heads.KeyOffset + half };
        _rotary = new RotaryTables(config.MaxSequenceLength, half, config.RotaryMode);
    }

    /// <inheritdoc/>
    public override ChatGlm6BConfig Config { get; }

    /// <inheritdoc/>
    public override Tensor WordEmbeddings { get; }

    /// <inheritdoc/>
    public override Tensor OutputMatrix { get; }

    /// <summary>Names and shapes of the parameters of a configuration, without allocating any (ChatGLM spec 2.4).</summary>
    public static IEnumerable<(string Name, int[] Shape)> Shapes(ChatGlm6BConfig config)
    {
        int hidden = config.HiddenSize, inner = config.InnerHiddenSize;
        yield return (EmbeddingName, [config.VocabSize, hidden]);
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
        yield return ("transformer.final_layernorm.weight", [hidden]);
        yield return ("transformer.final_layernorm.bias", [hidden]);
        yield return (OutputName, [config.VocabSize, hidden]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(Context context, Tensor ids, Positions positions, Attend attend, Action<int, Tensor>? observe = null)
    {
        var x = RunLayers(context, context.Embedding(WordEmbeddings, ids), positions, attend, observe);
        return context.LayerNorm(x, _finalNormGain, _finalNormBias, Config.LayernormEpsilon);
    }

    private protected override Tensor RunLayer(Context context, int layer, Tensor x, Positions positions, Attend attend) =>
        _layers[layer].Forward(context, x, positions, attend);

    private static string LayerPrefix(int layer) => $"transformer.layers.{layer}.";

    /// <summary>One transformer layer.</summary>
    private sealed class Layer
    {
        private readonly ChatGlm6B _model;
        private readonly int _index;
        private readonly Tensor _inputNormGain, _inputNormBias, _qkvWeight, _qkvBias, _denseWeight, _denseBias;
        private readonly Tensor _postNormGain, _postNormBias, _upWeight, _upBias, _downWeight, _downBias;

        public Layer(ChatGlm6B model, int index)
        {
            Tensor Parameter(string name) => model.Parameter(LayerPrefix(index) + name);
            _model = model;
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

        /// <summary>a = LN(x), m = LN(alpha a + Attention(a)), output alpha m + MLP(m), all <c>[tokens, hidden]</c>.</summary>
        public Tensor Forward(Context context, Tensor x, Positions positions, Attend attend)
        {
            float epsilon = _model.Config.LayernormEpsilon;
            var a = context.LayerNorm(x, _inputNormGain, _inputNormBias, epsilon);
            var m = context.LayerNorm(context.Residual(a, Attention(context, a, positions, attend), Alpha), _postNormGain, _postNormBias, epsilon);
            return context.Residual(m, FeedForward(context, m), Alpha);
        }

        private Tensor Attention(Context context, Tensor a, Positions positions, Attend attend)
        {
            var qkv = context.Linear(a, _qkvWeight, _qkvBias);
            context.Rotary(qkv, _model._firstHalves, positions.Tokens, _model._rotary.Cos, _model._rotary.Sin);
            context.Rotary(qkv, _model._secondHalves, positions.RequiredBlocks, _model._rotary.Cos, _model._rotary.Sin);
            return context.Linear(attend(qkv, _index), _denseWeight, _denseBias);
        }

        private Tensor FeedForward(Context context, Tensor m) => context.Linear(context.GeluTanh(context.Linear(m, _upWeight, _upBias)), _downWeight, _downBias);
    }
}
