using Glm.Tensors;

namespace Glm.Models;

/// <summary>A model that pre-training makes from nothing: what a trainer asks of it besides a forward pass. It may be a part of a model.</summary>
public abstract class TrainableModel : LanguageModel
{
    /// <summary>A part of a model.</summary>
    /// <param name="config">Shape of the whole.</param>
    /// <param name="part">What of it this process holds.</param>
    /// <param name="parameters">Names and shapes of what it holds.</param>
    /// <param name="parameter">Gives the tensor of a name.</param>
    /// <exception cref="GlmException">A tensor has another shape than it should.</exception>
    private protected TrainableModel(ModelConfig config, ModelPart part, IEnumerable<(string Name, int[] Shape)> parameters, Func<string, Tensor> parameter)
        : base(part.Shape(config.Shape), parameters, parameter) => Part = part;

    /// <summary>What of the model this process holds.</summary>
    public ModelPart Part { get; }

    /// <summary>Dropout on sublayers' outputs, and where the architecture has it on the embedding's, while training (spec 1.1).</summary>
    public float HiddenDropout { get; set; }

    /// <summary>Dropout on attention probabilities, while training.</summary>
    public float AttentionDropout { get; set; }

    /// <summary>Factor alpha on the embedding's gradient, from the input and from the tied output (spec 4.2).</summary>
    public float EmbeddingGradientShrink { get; set; } = 1;

    /// <summary>Told in the backward pass which layer's parameters have all of the micro-batch's gradients.</summary>
    public Action<int>? LayerDone { get; set; }

    private protected override int LayersHere => Part.EndLayer - Part.FirstLayer;

    /// <inheritdoc/>
    public override Tensor Forward(Context context, Tensor ids, Positions positions, Attend attend, Action<int, Tensor>? observe = null) =>
        RunPart(context, ids, positions, attend, observe);

    /// <summary>What this part makes of its input: of the tokens' ids if it begins with the embedding, otherwise of the last part's output <c>[tokens, hidden]</c>.</summary>
    /// <inheritdoc cref="Forward"/>
    public abstract Tensor RunPart(Context context, Tensor input, Positions positions, Attend attend, Action<int, Tensor>? observe = null);

    /// <summary>Cross entropy of the rows' next tokens (<see cref="CrossEntropyOperation.CrossEntropy"/>).</summary>
    /// <param name="context">Where to run.</param>
    /// <param name="hidden">Output of the last part <c>[rows, hidden]</c>.</param>
    /// <param name="targets">Int32 <c>[rows]</c>.</param>
    /// <param name="weights">Float32 <c>[rows]</c>.</param>
    public abstract (Tensor Loss, Tensor TokenLosses) Loss(Context context, Tensor hidden, Tensor targets, Tensor weights);

    private protected override Tensor BeginLayer(Context context, int layer, Tensor x)
    {
        int index = Part.FirstLayer + layer;
        context.BeginSection(index + 1);
        return context.Recording && LayerDone is { } done ? Announced(context, x, index, done) : x;
    }

    private static Tensor Announced(Context context, Tensor x, int layer, Action<int> done) => context.Through(x, null, _ => done(layer));
}
