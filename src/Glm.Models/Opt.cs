using Glm.Tensors;

namespace Glm.Models;

/// <summary>The OPT architecture (ChatGLM spec 7.2), for training and inference alike.</summary>
/// <remarks>
/// Noteworthy: learned positions, whose table begins with two rows that stand for padding; ReLU; layer norms before the sublayers, but after the residual in
/// the 350m, which also projects a narrower embedding in and out and has no last norm; the output matrix is the embedding. Parameter names are those of the
/// released checkpoints, but for <c>self_attn.qkv_proj</c>, which is their queries, keys and values one after another.
/// </remarks>
public sealed class Opt : LanguageModel
{
    private const float Epsilon = 1e-5f;

    /// <summary>Rows of the table of positions before that of position 0.</summary>
    private const int FirstPosition = 2;

    private readonly Tensor _positions;
    private readonly Tensor? _projectIn, _projectOut, _finalNormGain, _finalNormBias;
    private readonly Layer[] _layers;

    /// <summary>A model over given parameters.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="parameter">Gives the tensor of a name; matrices of layers may be quantised by output row.</param>
    /// <exception cref="GlmException">A tensor has another shape than the configuration says.</exception>
    public Opt(OptConfig config, Func<string, Tensor> parameter) : base(config.Validated("model"), parameter)
    {
        Config = config;
        WordEmbeddings = Parameter("model.decoder.embed_tokens.weight");
        _positions = Parameter("model.decoder.embed_positions.weight");
        if (config.HasProjection) (_projectIn, _projectOut) = (Parameter("model.decoder.project_in.weight"), Parameter("model.decoder.project_out.weight"));
        _layers = [.. Enumerable.Range(0, config.NumHiddenLayers).Select(i => new Layer(this, i))];
        if (config.HasFinalNorm) (_finalNormGain, _finalNormBias) = (Parameter("model.decoder.final_layer_norm.weight"), Parameter("model.decoder.final_layer_norm.bias"));
    }

    /// <inheritdoc/>
    public override OptConfig Config { get; }

    /// <inheritdoc/>
    public override Tensor WordEmbeddings { get; }

    /// <summary>Names and shapes of the parameters of a configuration, without allocating any (ChatGLM spec 7.3).</summary>
    public static IEnumerable<(string Name, int[] Shape)> Shapes(OptConfig config)
    {
        int hidden = config.HiddenSize, inner = config.FfnDim, embedding = config.EmbeddingSize;
        yield return ("model.decoder.embed_tokens.weight", [config.VocabSize, embedding]);
        yield return ("model.decoder.embed_positions.weight", [config.MaxPositionEmbeddings + FirstPosition, hidden]);
        if (config.HasProjection)
        {
            yield return ("model.decoder.project_in.weight", [hidden, embedding]);
            yield return ("model.decoder.project_out.weight", [embedding, hidden]);
        }
        for (int i = 0; i < config.NumHiddenLayers; i++)
        {
            string layer = LayerPrefix(i);
            yield return (layer + "self_attn_layer_norm.weight", [hidden]);
            yield return (layer + "self_attn_layer_norm.bias", [hidden]);
            yield return (layer + "self_attn.qkv_proj.weight", [3 * hidden, hidden]);
            yield return (layer + "self_attn.qkv_proj.bias", [3 * hidden]);
            yield return (layer + "self_attn.out_proj.weight", [hidden, hidden]);
            yield return (layer + "self_attn.out_proj.bias", [hidden]);
            yield return (layer + "final_layer_norm.weight", [hidden]);
            yield return (layer + "final_layer_norm.bias", [hidden]);
            yield return (layer + "fc1.weight", [inner, hidden]);
            yield return (layer + "fc1.bias", [inner]);
            yield return (layer + "fc2.weight", [hidden, inner]);
            yield return (layer + "fc2.bias", [hidden]);
        }
        if (!config.HasFinalNorm) yield break;
        yield return ("model.decoder.final_layer_norm.weight", [hidden]);
        yield return ("model.decoder.final_layer_norm.bias", [hidden]);
    }

    /// <summary>Hidden states as the output matrix takes them: of the embedding's width.</summary>
    /// <inheritdoc/>
    public override Tensor Forward(Context context, Tensor ids, Positions positions, Attend attend, Action<int, Tensor>? observe = null)
    {
        var embedded = context.Embedding(WordEmbeddings, ids);
        if (_projectIn is not null) embedded = context.Linear(embedded, _projectIn);
        var x = context.Residual(embedded, context.Embedding(_positions, positions.Tokens, firstRow: FirstPosition), 1);
        x = RunLayers(context, x, positions, attend, observe);
        if (_finalNormGain is not null) x = context.LayerNorm(x, _finalNormGain, _finalNormBias!, Epsilon);
        return _projectOut is null ? x : context.Linear(x, _projectOut);
    }

    private protected override Tensor RunLayer(Context context, int layer, Tensor x, Positions positions, Attend attend) => _layers[layer].Forward(context, x, attend);

    private static string LayerPrefix(int layer) => $"model.decoder.layers.{layer}.";

    /// <summary>One transformer layer.</summary>
    private sealed class Layer
    {
        private readonly Opt _model;
        private readonly int _index;
        private readonly Tensor _attentionNormGain, _attentionNormBias, _qkvWeight, _qkvBias, _outWeight, _outBias;
        private readonly Tensor _innerNormGain, _innerNormBias, _upWeight, _upBias, _downWeight, _downBias;

        public Layer(Opt model, int index)
        {
            Tensor Parameter(string name) => model.Parameter(LayerPrefix(index) + name);
            _model = model;
            _index = index;
            _attentionNormGain = Parameter("self_attn_layer_norm.weight");
            _attentionNormBias = Parameter("self_attn_layer_norm.bias");
            _qkvWeight = Parameter("self_attn.qkv_proj.weight");
            _qkvBias = Parameter("self_attn.qkv_proj.bias");
            _outWeight = Parameter("self_attn.out_proj.weight");
            _outBias = Parameter("self_attn.out_proj.bias");
            _innerNormGain = Parameter("final_layer_norm.weight");
            _innerNormBias = Parameter("final_layer_norm.bias");
            _upWeight = Parameter("fc1.weight");
            _upBias = Parameter("fc1.bias");
            _downWeight = Parameter("fc2.weight");
            _downBias = Parameter("fc2.bias");
        }

        /// <summary>m = x + Attention(LN(x)), output m + MLP(LN(m)); or m = LN(x + Attention(x)), output LN(m + MLP(m)); all <c>[tokens, hidden]</c>.</summary>
        public Tensor Forward(Context context, Tensor x, Attend attend)
        {
            bool before = _model.Config.DoLayerNormBefore;
            Tensor AttentionNorm(Tensor t) => context.LayerNorm(t, _attentionNormGain, _attentionNormBias, Epsilon);
            Tensor InnerNorm(Tensor t) => context.LayerNorm(t, _innerNormGain, _innerNormBias, Epsilon);

            var m = context.Residual(x, Attention(context, before ? AttentionNorm(x) : x, attend), 1);
            if (!before) m = AttentionNorm(m);
            var y = context.Residual(m, FeedForward(context, before ? InnerNorm(m) : m), 1);
            return before ? y : InnerNorm(y);
        }

        private Tensor Attention(Context context, Tensor a, Attend attend) => context.Linear(attend(context.Linear(a, _qkvWeight, _qkvBias), _index), _outWeight, _outBias);

        private Tensor FeedForward(Context context, Tensor a) => context.Linear(context.Relu(context.Linear(a, _upWeight, _upBias)), _downWeight, _downBias);
    }
}
