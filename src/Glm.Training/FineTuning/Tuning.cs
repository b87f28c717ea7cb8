using Glm.Models;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>What fine-tuning changes in a model, and how it is saved.</summary>
public abstract class Tuning
{
    /// <summary>The model as it is trained.</summary>
    public abstract LanguageModel Model { get; }

    /// <summary>The weights that are trained, by name.</summary>
    public abstract TrainableWeights Weights { get; }

    /// <summary>Saves what was trained.</summary>
    /// <param name="path">A directory that does not exist yet, or is empty.</param>
    /// <param name="tokenizer">The vocabulary's file, which a whole model takes along.</param>
    /// <exception cref="GlmException">It cannot be written.</exception>
    public abstract void Save(string path, string? tokenizer);
}

/// <summary>All weights are trained: float32 masters of every parameter.</summary>
public sealed class FullTuning : Tuning
{
    private readonly DType _matrixType;

    /// <summary>Begins with a model's weights.</summary>
    /// <exception cref="GlmException">The model is quantised.</exception>
    public FullTuning(LanguageModel model)
    {
        if (model.Parameters.FirstOrDefault(p => !p.Tensor.Type.IsFloat()) is { Tensor: not null } other)
            throw new GlmException($"{other.Name}: expected floating-point weights to train all of them, found {other.Tensor}: quantised ones stay as they are under lora or prefix");
        _matrixType = model.Parameters.First(p => p.Tensor.Shape.Length > 1).Tensor.Type;
        Weights = new TrainableWeights(model.Parameters.ToDictionary(p => p.Name, p => Copy(p.Tensor)), Precision.Float32);
        Model = model.With(name => Weights.Compute[name]);
    }

    /// <inheritdoc/>
    public override LanguageModel Model { get; }

    /// <inheritdoc/>
    public override TrainableWeights Weights { get; }

    /// <inheritdoc/>
    public override void Save(string path, string? tokenizer) => ModelDirectory.Save(path, Model, _matrixType, tokenizer);

    private static Tensor Copy(Tensor tensor)
    {
        var copy = Tensor.Allocate(DType.Float32, tensor.Shape);
        copy.CopyFrom(tensor);
        return copy;
    }
}

/// <summary>
/// LoRA (Hu et al. 2021): every matrix of the layers gets an addition x A^T B^T of low rank, B beginning at 0; the weights themselves, of whatever kind, stay.
/// The factor alpha / r of the additions is 1.
/// </summary>
public sealed class LoraTuning : Tuning
{
    private readonly Dictionary<string, LowRank> _additions = [];

    /// <summary>Begins with additions that add nothing.</summary>
    /// <param name="model">The model.</param>
    /// <param name="rank">Rank of every addition.</param>
    /// <param name="seed">Key of the random numbers that A begins with: uniform in +-1 / sqrt(inputs).</param>
    public LoraTuning(LanguageModel model, int rank, ulong seed)
    {
        var masters = new Dictionary<string, Tensor>();
        foreach (var (name, tensor) in model.Parameters.Where(p => p.Tensor.Shape.Length == 2 && model.Config.IsQuantizable(p.Name)))
        {
            var random = new CounterRandom(seed, (ulong)_additions.Count);
            double bound = 1 / Math.Sqrt(tensor.Columns);
            float[] down = [.. Enumerable.Range(0, rank * tensor.Columns).Select(_ => (float)((2 * random.NextDouble() - 1) * bound))];
            var addition = _additions[name] = new LowRank(Tensor.From(down, rank, tensor.Columns), Tensor.Zeros(DType.Float32, tensor.Rows, rank));
            masters.Add(name + ".A", addition.Down);
            masters.Add(name + ".B", addition.Up);
        }
        Weights = new TrainableWeights(masters, Precision.Float32);
        var tensors = model.Parameters.ToDictionary(p => p.Name, p => _additions.TryGetValue(p.Name, out var addition) ? p.Tensor.With(addition) : p.Tensor);
        Model = model.With(name => tensors[name]);
    }

    /// <inheritdoc/>
    public override LanguageModel Model { get; }

    /// <inheritdoc/>
    public override TrainableWeights Weights { get; }

    /// <inheritdoc/>
    public override void Save(string path, string? tokenizer) => Adapter.SaveLora(path, _additions);
}

/// <summary>
/// P-Tuning v2 (Liu et al. 2022): keys and values of virtual tokens that every token of every layer sees. They begin as those of a real text, from which training
/// goes on faster than from noise.
/// </summary>
public sealed class PrefixTuning : Tuning
{
    private readonly VirtualTokens _tokens;

    /// <summary>Begins with the keys and values that a text has in the model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="text">Ids of the text, as many as there are to be virtual tokens.</param>
    /// <param name="workers">Threads.</param>
    /// <exception cref="GlmException">Virtual tokens are not there for the model's architecture.</exception>
    public PrefixTuning(LanguageModel model, int[] text, Workers workers)
    {
        if (!Adapter.TakesVirtualTokens(model)) throw new GlmException($"model: expected a ChatGLM or GLM-130B for virtual tokens, found the architecture {model.Config.Architecture}");
        if (text.Length > model.MaxSequenceLength) throw new GlmException($"virtual tokens: expected at most the {model.MaxSequenceLength} positions of the model, found {text.Length}");
        var context = new Context(workers);
        var layers = new Tensor[model.NumLayers];
        var attend = model.Within(context, [new AttentionSegment(0, text.Length, model.IsCausal ? 0 : text.Length)]);
        var place = new BlankPlace(text.Length, 0, RunsOn: true);
        var positions = Enumerable.Range(0, text.Length).Select(i => model.PositionOf(i, place)).ToArray();
        model.Forward(
            context, context.Integers(text), new Positions(context.Integers([.. positions.Select(p => p.Token)]), model.PositionAxes == 2 ? context.Integers([.. positions.Select(p => p.Block)]) : null),
            (qkv, layer) =>
            {
                layers[layer] = Tensor.From(qkv.ToArray(), qkv.Shape);
                return attend(qkv, layer);
            });
        Weights = new TrainableWeights(layers.Index().ToDictionary(layer => $"layers.{layer.Index}", layer => layer.Item), Precision.Float32);
        _tokens = VirtualTokens.FromProjections(layers);
        Model = model.With(name => model.Parameters.First(p => p.Name == name).Tensor);
        Model.VirtualTokens = _tokens;
    }

    /// <inheritdoc/>
    public override LanguageModel Model { get; }

    /// <inheritdoc/>
    public override TrainableWeights Weights { get; }

    /// <inheritdoc/>
    public override void Save(string path, string? tokenizer) => Adapter.SaveVirtualTokens(path, Model, _tokens);
}
