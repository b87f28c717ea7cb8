using System.Text.Json.Nodes;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>
/// The model that a run begins with instead of weights at random: one that was published, or a checkpoint. Its rows may have been of another length. Only the weights are
/// taken over, in the precision they are stored in: moments, samples and learning rate begin anew.
/// </summary>
internal sealed class InitialModel
{
    private readonly string _path;
    private readonly ModelConfig _shape;

    private InitialModel(string path, ModelConfig shape)
    {
        _path = path;
        _shape = shape;
    }

    /// <summary>The one that a configuration names, if it does.</summary>
    /// <exception cref="GlmException">There is none, or it is not of the shape that is trained.</exception>
    public static InitialModel? Find(TrainingConfig config)
    {
        if (config.InitialModel is not { } name) return null;
        string path = config.Resolve(name);
        var found = ModelDirectory.LoadConfig(path);
        if (found.Architecture != config.Shape.Architecture) throw new GlmException($"initial_model: {path}: expected the architecture that is trained, {config.Shape.Architecture}, found {found.Architecture}");
        JsonObject wanted = Fields(config.Shape), fields = Fields(config.OfRowLength(found));
        foreach (string field in wanted.Concat(fields).Select(pair => pair.Key).Distinct())
            if (!JsonNode.DeepEquals(fields[field], wanted[field])) throw new GlmException($"initial_model: {path}: {field}: expected {Told(wanted[field])}, as it is trained, found {Told(fields[field])}");
        return new InitialModel(path, config.Shape);
    }

    /// <summary>A part's weights by name, as float32.</summary>
    /// <exception cref="GlmException">A tensor is missing, damaged, quantised or of another shape.</exception>
    public Dictionary<string, Tensor> Weights(ModelPart part)
    {
        var store = ModelDirectory.OpenStore(_path);
        var weights = new Dictionary<string, Tensor>();
        foreach (var (name, shape) in _shape.Parameters().Where(parameter => part.Has(parameter.Name)))
        {
            if (store.FindInfo(name) is null) throw new GlmException($"initial_model: {_path}: {name}: expected a tensor, found none");
            var tensor = store[name];
            if (!tensor.Type.IsFloat() || !tensor.Shape.SequenceEqual(shape))
                throw new GlmException($"initial_model: {store.FileOf(name)}: {name}: expected floating-point numbers [{string.Join(", ", shape)}], found {tensor}");
            var mine = Sharding.Part(name, tensor, part.Tensors.Rank, part.Tensors.Size);
            weights[name] = Tensor.Allocate(DType.Float32, mine.Shape);
            weights[name].CopyFrom(mine);
        }
        return weights;
    }

    private static string Told(JsonNode? value) => value?.ToString() ?? "none, which is the default";

    private static JsonObject Fields(ModelConfig shape) => JsonNode.Parse(shape.ToJson())!.AsObject();
}
