using Glm.Tensors;

namespace Glm.Models;

/// <summary>What running a model takes, whatever its architecture: shape, parameters, and a forward pass whose attention the caller gives.</summary>
public abstract class LanguageModel
{
    private readonly Dictionary<string, Tensor> _byName = [];

    /// <summary>A model over given parameters.</summary>
    /// <param name="shapes">Names and shapes of all parameters.</param>
    /// <param name="parameter">Gives the tensor of a name.</param>
    /// <exception cref="GlmException">A tensor has another shape than it should.</exception>
    private protected LanguageModel(IEnumerable<(string Name, int[] Shape)> shapes, Func<string, Tensor> parameter)
    {
        var parameters = new List<(string, Tensor)>();
        foreach (var (name, shape) in shapes)
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

    /// <summary>All parameters under their names, in the order of the architecture.</summary>
    public IReadOnlyList<(string Name, Tensor Tensor)> Parameters { get; }

    /// <summary>Number of layers, each with keys and values of its own.</summary>
    public abstract int NumLayers { get; }

    /// <summary>Where the heads stand in the fused projection.</summary>
    public abstract HeadLayout Heads { get; }

    /// <summary>Number of positions.</summary>
    public abstract int MaxSequenceLength { get; }

    /// <summary>Number of token ids, and of logits.</summary>
    public abstract int VocabSize { get; }

    /// <summary>Embedding matrix <c>[vocabulary, hidden]</c>, of which a token reads one row.</summary>
    public abstract Tensor WordEmbeddings { get; }

    /// <summary>Output matrix <c>[vocabulary, hidden]</c>; the embedding itself where they are tied.</summary>
    public abstract Tensor OutputMatrix { get; }

    /// <summary>Whether every token sees only itself and those before it; otherwise the model is a prefix-LM, whose context sees all of itself.</summary>
    public abstract bool IsCausal { get; }

    /// <summary>Bits that inputs of packed weights are rounded to when the model runs: 8, 16, or null for what suits each type (<see cref="Context.InputBits"/>).</summary>
    public int? InputBits { get; set; }

    /// <summary>Hidden states after the last norm <c>[tokens, hidden]</c>.</summary>
    /// <param name="context">Where to run.</param>
    /// <param name="ids">Int32 token ids <c>[tokens]</c>.</param>
    /// <param name="positions">Int32 position ids <c>[tokens]</c>; tokens may share one.</param>
    /// <param name="attend">Attention with its mask or its cache.</param>
    /// <param name="observe">Sees the embedding (-1) and the output of every layer, which unless recording it must copy to keep.</param>
    /// <exception cref="GlmException">An id or a position lies outside the model.</exception>
    public abstract Tensor Forward(Context context, Tensor ids, Tensor positions, Attend attend, Action<int, Tensor>? observe = null);

    /// <summary>Float32 logits over the whole vocabulary <c>[rows, vocabulary]</c>; ids without a meaning are not masked.</summary>
    public abstract Tensor Logits(Context context, Tensor hidden);

    /// <summary>Attention inside segments of whole sequences, for training and scoring.</summary>
    public virtual Attend Within(Context context, AttentionSegment[] segments) => (qkv, _) => context.Attention(qkv, Heads, segments);

    /// <summary>The parameter of a name.</summary>
    private protected Tensor Parameter(string name) => _byName[name];

    /// <summary>The output of one layer, <c>[tokens, hidden]</c> like its input <paramref name="x"/>.</summary>
    private protected abstract Tensor RunLayer(Context context, int layer, Tensor x, Tensor positions, Attend attend);

    /// <summary>Lets all layers follow one another.</summary>
    private protected Tensor RunLayers(Context context, Tensor x, Tensor positions, Attend attend, Action<int, Tensor>? observe)
    {
        observe?.Invoke(-1, x);
        for (int i = 0; i < NumLayers; i++)
        {
            var mark = context.Arena.Mark;
            var y = RunLayer(context, i, x, positions, attend);
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
