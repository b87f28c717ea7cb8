using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// The GLM-130B architecture (paper section 2.1, spec sections 1 and 11), for training and inference alike: a recording context adds the
/// backward pass, a cache behind <see cref="LanguageModel.Attend"/> adds incremental decoding, quantised tensors stand where dense ones do.
/// </summary>
/// <remarks>
/// Noteworthy: Post-LN DeepNorm written so that each layer norm opens the sublayer after it, hence the residual carries the <em>normalised</em> input;
/// one rotary embedding over whole heads; the fused projection is laid out by head, then query, key, value; the <em>second</em> half of the
/// feed-forward projection is the gate; the output matrix is the embedding. Parameter names are those of the released checkpoints. The placements of layer
/// norms that the authors tried before (<see cref="Normalization"/>) differ in <see cref="Layer.Forward"/> alone.
/// </remarks>
public sealed class Glm130B : TrainableModel
{
    private readonly RotaryTables _rotary;
    private readonly ParallelLayers _parallel;
    private readonly Tensor? _embedding, _finalNormGain, _finalNormBias;

    /// <summary>A model over given parameters.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="parameter">Gives the tensor of a name, or this process' share of it; matrices may be quantised by output row.</param>
    /// <param name="part">What of the model this process holds; all of it if null.</param>
    /// <exception cref="GlmException">A tensor has another shape than the configuration says.</exception>
    public Glm130B(Glm130BConfig config, Func<string, Tensor> parameter, ModelPart? part = null)
        : base(config.Validated("model"), part ??= ModelPart.Whole(config.NumLayers), part.Parameters(config), parameter)
    {
        Config = config;
        _parallel = new ParallelLayers(part.Tensors);
        if (part.HasEmbedding || part.HasHead) _embedding = Parameter("transformer.word_embeddings.weight");
        Layers = [.. Enumerable.Range(part.FirstLayer, part.EndLayer - part.FirstLayer).Select(i => new Layer(this, i, name => Parameter($"transformer.layers.{i}.{name}")))];
        if (part.HasHead) (_finalNormGain, _finalNormBias) = (Parameter("transformer.final_layernorm.weight"), Parameter("transformer.final_layernorm.bias"));
        _rotary = new RotaryTables(config.MaxSequenceLength, config.HeadSize, config.RotaryMode);
    }

    /// <summary>The shape.</summary>
    public override Glm130BConfig Config { get; }

    /// <summary>Embedding and output matrix <c>[vocabulary, hidden]</c>, or this rank's rows of it.</summary>
    public override Tensor WordEmbeddings => _embedding ?? throw new InvalidOperationException("neither the embedding nor the output is in this part of the model");

    /// <summary>The layers of this part, first to last.</summary>
    public IReadOnlyList<Layer> Layers { get; }

    /// <summary>Whether the shrink also applies where logits are computed, as GLM-130B did from 30 May on.</summary>
    public bool ShrinkOutputGradient { get; init; } = true;

    /// <summary>Whether the softmax is computed in binary16 where activations are, without query-key layer scaling; GLM-130B's is not (spec 1.6).</summary>
    public bool HalfSoftmax { get; init; }

    /// <summary>Names and shapes of the parameters of a configuration, without allocating any.</summary>
    public static IEnumerable<(string Name, int[] Shape)> Shapes(Glm130BConfig config)
    {
        int hidden = config.HiddenSize, inner = config.InnerHiddenSize;
        yield return ("transformer.word_embeddings.weight", [config.VocabSize, hidden]);
        for (int i = 0; i < config.NumLayers; i++)
        {
            string layer = $"transformer.layers.{i}.";
            yield return (layer + "input_layernorm.weight", [hidden]);
            yield return (layer + "input_layernorm.bias", [hidden]);
            yield return (layer + "attention.query_key_value.weight", [3 * hidden, hidden]);
            yield return (layer + "attention.query_key_value.bias", [3 * hidden]);
            yield return (layer + "attention.dense.weight", [hidden, hidden]);
            yield return (layer + "attention.dense.bias", [hidden]);
            yield return (layer + "post_attention_layernorm.weight", [hidden]);
            yield return (layer + "post_attention_layernorm.bias", [hidden]);
            yield return (layer + "mlp.dense_h_to_4h.weight", [2 * inner, hidden]);
            yield return (layer + "mlp.dense_h_to_4h.bias", [2 * inner]);
            yield return (layer + "mlp.dense_4h_to_h.weight", [hidden, inner]);
            yield return (layer + "mlp.dense_4h_to_h.bias", [hidden]);
            if (config.Normalization != Normalization.SandwichLn) continue;
            yield return (layer + "third_layernorm.weight", [hidden]);
            yield return (layer + "third_layernorm.bias", [hidden]);
            yield return (layer + "fourth_layernorm.weight", [hidden]);
            yield return (layer + "fourth_layernorm.bias", [hidden]);
        }
        yield return ("transformer.final_layernorm.weight", [hidden]);
        yield return ("transformer.final_layernorm.bias", [hidden]);
    }

    /// <inheritdoc/>
    public override Tensor RunPart(Context context, Tensor input, Positions positions, Attend attend, Action<int, Tensor>? observe = null)
    {
        var x = RunLayers(context, Part.HasEmbedding ? Embed(context, input) : input, positions, attend, observe);
        return Part.HasHead ? context.LayerNorm(x, _finalNormGain!, _finalNormBias!, Config.LayernormEpsilon) : x;
    }

    /// <inheritdoc/>
    private protected override Attend AttendWithin(Context context, AttentionSegment[] segments) =>
        (qkv, layer) => context.Attention(
            qkv, Heads, segments, AttentionDropout, precision: HalfSoftmax ? new ScorePrecision(HalfSoftmax: true) : new ScorePrecision(LayerScale: layer + 1));

    private protected override LanguageModel Create(Func<string, Tensor> parameter) => new Glm130B(Config, parameter, Part);

    private protected override Tensor RunLayer(Context context, int layer, Tensor x, Positions positions, Attend attend) =>
        Layers[layer].Forward(context, x, positions.Tokens, attend);

    /// <summary>Word embeddings of the tokens <c>[tokens, hidden]</c>.</summary>
    public Tensor Embed(Context context, Tensor ids) =>
        context.Dropout(_parallel.Embedding(context, WordEmbeddings, ids, EmbeddingGradientShrink), HiddenDropout);

    /// <summary>Float32 logits over the whole vocabulary <c>[rows, vocabulary]</c>; ids without a meaning are not masked (spec 11.9).</summary>
    public override Tensor Logits(Context context, Tensor hidden) => _parallel.Gather(context, PartLogits(context, hidden));

    /// <summary>Cross entropy of the rows' next tokens, without any rank having the logits of the whole vocabulary.</summary>
    public override (Tensor Loss, Tensor TokenLosses) Loss(Context context, Tensor hidden, Tensor targets, Tensor weights) =>
        _parallel.CrossEntropy(context, PartLogits(context, hidden), targets, weights);

    /// <summary>Logits of this rank's share of the vocabulary.</summary>
    private Tensor PartLogits(Context context, Tensor hidden) => context.RoundAsActivation(context.Linear(
        _parallel.Enter(context, hidden), WordEmbeddings, outputType: DType.Float32, weightGradientScale: ShrinkOutputGradient ? EmbeddingGradientShrink : 1));

    /// <summary>One transformer layer.</summary>
    public sealed class Layer
    {
        private readonly Glm130B _model;
        private readonly Tensor _inputNormGain, _inputNormBias, _qkvWeight, _qkvBias, _denseWeight, _denseBias;
        private readonly Tensor _postNormGain, _postNormBias, _upWeight, _upBias, _downWeight, _downBias;
        private readonly (Tensor Gain, Tensor Bias)? _attentionNorm, _feedForwardNorm;

        internal Layer(Glm130B model, int index, Func<string, Tensor> parameter)
        {
            _model = model;
            Index = index;
            _inputNormGain = parameter("input_layernorm.weight");
            _inputNormBias = parameter("input_layernorm.bias");
            _qkvWeight = parameter("attention.query_key_value.weight");
            _qkvBias = parameter("attention.query_key_value.bias");
            _denseWeight = parameter("attention.dense.weight");
            _denseBias = parameter("attention.dense.bias");
            _postNormGain = parameter("post_attention_layernorm.weight");
            _postNormBias = parameter("post_attention_layernorm.bias");
            _upWeight = parameter("mlp.dense_h_to_4h.weight");
            _upBias = parameter("mlp.dense_h_to_4h.bias");
            _downWeight = parameter("mlp.dense_4h_to_h.weight");
            _downBias = parameter("mlp.dense_4h_to_h.bias");
            if (model.Config.Normalization != Normalization.SandwichLn) return;
            _attentionNorm = (parameter("third_layernorm.weight"), parameter("third_layernorm.bias"));
            _feedForwardNorm = (parameter("fourth_layernorm.weight"), parameter("fourth_layernorm.bias"));
        }

        /// <summary>Which layer of the model this is.</summary>
        public int Index { get; }

        /// <summary>
        /// a = LN(x), m = LN(alpha a + Attention(a)), output alpha m + MLP(m), all <c>[tokens, hidden]</c>. Where the residual stream is not normalised:
        /// y = x + Attention(LN(x)), output y + MLP(LN(y)), of Sandwich-LN with the outputs of both sublayers normalised as well.
        /// </summary>
        public Tensor Forward(Context context, Tensor x, Tensor positions, Attend attend)
        {
            float alpha = _model.Config.Alpha, epsilon = _model.Config.LayernormEpsilon;
            bool inside = _model.Config.NormalizesInside;
            var a = context.LayerNorm(x, _inputNormGain, _inputNormBias, epsilon);
            var y = context.Residual(inside ? x : a, Normalized(context, Attention(context, a, positions, attend), _attentionNorm), alpha);
            var m = context.LayerNorm(y, _postNormGain, _postNormBias, epsilon);
            return context.Residual(inside ? y : m, Normalized(context, FeedForward(context, m), _feedForwardNorm), alpha);
        }

        private Tensor Normalized(Context context, Tensor output, (Tensor Gain, Tensor Bias)? norm) =>
            norm is var (gain, bias) ? context.LayerNorm(output, gain, bias, _model.Config.LayernormEpsilon) : output;

        private Tensor Attention(Context context, Tensor a, Tensor positions, Attend attend)
        {
            var qkv = context.Linear(_model._parallel.Enter(context, a), _qkvWeight, _qkvBias);
            context.Rotary(qkv, _model.Heads, positions, _model._rotary.Cos, _model._rotary.Sin);
            return context.Dropout(_model._parallel.Leave(context, attend(qkv, Index), _denseWeight, _denseBias), _model.HiddenDropout);
        }

        private Tensor FeedForward(Context context, Tensor m)
        {
            var inner = context.GeGlu(context.Linear(_model._parallel.Enter(context, m), _upWeight, _upBias));
            return context.Dropout(_model._parallel.Leave(context, inner, _downWeight, _downBias), _model.HiddenDropout);
        }
    }
}
