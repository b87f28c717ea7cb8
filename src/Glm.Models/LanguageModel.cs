using Glm.Tensors;

namespace Glm.Models;

/// <summary>What running a model takes, whatever its architecture: shape, parameters, and a forward pass whose attention the caller gives.</summary>
public abstract class LanguageModel
{
    private readonly ModelShape _shape;
    private readonly Dictionary<string, Tensor> _byName = [];

    /// <summary>A model over given parameters.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="parameter">Gives the tensor of a name.</param>
    /// <exception cref="GlmException">A tensor has another shape than it should.</exception>
    private protected LanguageModel(ModelConfig config, Func<string, Tensor> parameter) : this(config.Shape, config.Parameters(), parameter) { }

    /// <summary>A part of a model.</summary>
    /// <inheritdoc cref="LanguageModel(ModelConfig, Func{string, Tensor})"/>
    private protected LanguageModel(ModelShape modelShape, IEnumerable<(string Name, int[] Shape)> wanted, Func<string, Tensor> parameter)
    {
        _shape = modelShape;
        var parameters = new List<(string, Tensor)>();
        foreach (var (name, shape) in wanted)
        {
            var tensor = parameter(name);
            if (!tensor.Shape.SequenceEqual(shape))
                throw new GlmException($"{name}: expected the shape [{string.Join(", ", shape)}], found {tensor}");
            parameters.Add((name, tensor));
            _byName.Add(name, tensor);
        }
        Parameters = parameters;
    }

    /// <summary>How the attention of one layer sees keys and values: from the rotated fused projection <c>[tokens, …]</c> to <c>[tokens, heads x head size]</c>.</summary>
    public delegate Tensor Attend(Tensor qkv, int layer);

    /// <summary>The configuration.</summary>
    public abstract ModelConfig Config { get; }

    /// <summary>All parameters under their names, in the order of the architecture.</summary>
    public IReadOnlyList<(string Name, Tensor Tensor)> Parameters { get; }

    /// <summary>Number of layers, each with keys and values of its own.</summary>
    public int NumLayers => _shape.Layers;

    /// <summary>Where the heads stand in the fused projection.</summary>
    public HeadLayout Heads => _shape.Heads;

    /// <summary>Number of positions.</summary>
    public int MaxSequenceLength => _shape.MaxSequenceLength;

    /// <summary>Number of token ids, and of logits.</summary>
    public int VocabSize => _shape.Vocabulary;

    /// <summary>Whether every token sees only itself and those before it; otherwise the model is a prefix-LM, whose context sees all of itself.</summary>
    public bool IsCausal => _shape.IsCausal;

    /// <summary>Position ids of a token: one, or two, of which the second counts inside the blank that is filled.</summary>
    public int PositionAxes => _shape.PositionAxes;

    /// <summary>Embedding matrix <c>[vocabulary, hidden]</c>, of which a token reads one row.</summary>
    public abstract Tensor WordEmbeddings { get; }

    /// <summary>Output matrix <c>[vocabulary, hidden]</c>; the embedding itself where they are tied.</summary>
    public virtual Tensor OutputMatrix => WordEmbeddings;

    /// <summary>Float32 slopes <c>[heads]</c> by which scores fall with the distance of the key, of a model with ALiBi.</summary>
    public virtual Tensor? Slopes => null;

    /// <summary>Bits that inputs of packed weights are rounded to when the model runs: 8, 16, or null for what suits each type (<see cref="Context.InputBits"/>).</summary>
    public int? InputBits { get; set; }

    /// <summary>Whether a training step keeps each layer's input alone and computes the layer again on the way back.</summary>
    public bool RecomputeActivations { get; set; }

    /// <summary>Keys and values that every sequence sees before its first token; null for none.</summary>
    public VirtualTokens? VirtualTokens { get; set; }

    /// <summary>Position ids of a token of a sequence that fills a blank: on the first axis, and on the second of a model that has it (spec 1.8, ChatGLM spec 2.3, 6.3).</summary>
    /// <param name="index">Index of the token.</param>
    /// <param name="place">The blank; of no meaning in a causal model.</param>
    public (int Token, int Block) PositionOf(int index, BlankPlace place) =>
        IsCausal || index < place.Division ? (index, 0)
        : PositionAxes == 2 ? (place.Mask, index - place.Division + 1)
        : (place.RunsOn ? index : place.Mask, 0);

    /// <summary>Hidden states after the last norm <c>[tokens, hidden]</c>.</summary>
    /// <param name="context">Where to run.</param>
    /// <param name="ids">Int32 token ids <c>[tokens]</c>.</param>
    /// <param name="positions">Position ids, on as many axes as the model has.</param>
    /// <param name="attend">Attention with its mask or its cache.</param>
    /// <param name="observe">Sees the embedding (-1) and the output of every layer, which unless recording it must copy to keep.</param>
    /// <exception cref="GlmException">An id or a position lies outside the model.</exception>
    public abstract Tensor Forward(Context context, Tensor ids, Positions positions, Attend attend, Action<int, Tensor>? observe = null);

    /// <summary>Float32 logits over the whole vocabulary <c>[rows, vocabulary]</c>; ids without a meaning are not masked.</summary>
    public virtual Tensor Logits(Context context, Tensor hidden) => context.Linear(hidden, OutputMatrix, outputType: DType.Float32);

    /// <summary>Attention inside segments of whole sequences, for training and scoring.</summary>
    public Attend Within(Context context, AttentionSegment[] segments) =>
        VirtualTokens?.Within(context, segments, longer => AttendWithin(context, longer)) ?? AttendWithin(context, segments);

    /// <summary>The same without virtual tokens.</summary>
    private protected virtual Attend AttendWithin(Context context, AttentionSegment[] segments) => (qkv, _) => context.Attention(qkv, Heads, segments, slopes: Slopes);

    /// <summary>This model with other parameters of the same shapes, run in the same way.</summary>
    /// <param name="parameter">Gives the tensor of a name.</param>
    public LanguageModel With(Func<string, Tensor> parameter)
    {
        var model = Create(parameter);
        model.InputBits = InputBits;
        model.VirtualTokens = VirtualTokens;
        return model;
    }

    /// <summary>This model with its quantised matrices in the order in which the fastest kernels read them, for inference; everything else is shared.</summary>
    public LanguageModel Packed(Workers workers) =>
        With(name => Parameter(name) is { IsQuantized: true, IsPacked: false } matrix && (matrix != WordEmbeddings || matrix == OutputMatrix) ? matrix.Pack(workers) : Parameter(name));

    /// <summary>A model of this configuration, or the same part of it, over other parameters.</summary>
    private protected virtual LanguageModel Create(Func<string, Tensor> parameter) => Config.Create(parameter);

    /// <summary>The parameter of a name.</summary>
    private protected Tensor Parameter(string name) => _byName[name];

    /// <summary>The output of one layer, <c>[tokens, hidden]</c> like its input <paramref name="x"/>.</summary>
    private protected abstract Tensor RunLayer(Context context, int layer, Tensor x, Positions positions, Attend attend);

    /// <summary>Number of layers that this process has.</summary>
    private protected virtual int LayersHere => NumLayers;

    /// <summary>What precedes a layer, outside of what is computed again.</summary>
    private protected virtual Tensor BeginLayer(Context context, int layer, Tensor x) => x;

    private Tensor Recomputed(Context context, int layer, Tensor x, Positions positions, Attend attend) =>
        context.Recompute(x, kept => RunLayer(context, layer, kept, positions, attend));

    /// <summary>Lets all layers follow one another.</summary>
    private protected Tensor RunLayers(Context context, Tensor x, Positions positions, Attend attend, Action<int, Tensor>? observe)
    {
        observe?.Invoke(-1, x);
        for (int i = 0; i < LayersHere; i++)
        {
            var mark = context.Arena.Mark;
            x = BeginLayer(context, i, x);
            var y = RecomputeActivations && context.Recording ? Recomputed(context, i, x, positions, attend) : RunLayer(context, i, x, positions, attend);
            observe?.Invoke(i, y);
            if (context.Recording) x = y;
            else
            {
                // No backward pass will ask for what is inside a layer: every layer computes in the same, warm memory.
                x.CopyFrom(y);
                context.Arena.Release(mark);
            }
        }
        return x;
    }
}
