using Glm.Models;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>What answering takes with so many tokens of context.</summary>
/// <param name="Context">Tokens of the context.</param>
/// <param name="Fits">Whether weights, keys and values fit a device's memory.</param>
/// <param name="DeviceBytes">What each device holds.</param>
/// <param name="PromptSeconds">Reading the context.</param>
/// <param name="TokenSeconds">Each token after it.</param>
public sealed record InferencePoint(int Context, bool Fits, double DeviceBytes, double PromptSeconds, double TokenSeconds);

/// <summary>
/// What inference takes on hardware that need not be there, tensor-parallel over all devices of a node. Times are what the hardware cannot go below: weights, keys and
/// values read once for a token, matrix products at the device's efficiency for a context, all-reduces at the full rate of the links; engines take longer.
/// </summary>
public sealed class InferencePlan
{
    private const double ProgramBytes = 1L << 30; // of the driver and the libraries on each device, and of activations

    private readonly ModelConfig _model;
    private readonly Cluster _cluster;

    /// <summary>A plan.</summary>
    /// <param name="model">The model.</param>
    /// <param name="cluster">The hardware, of which one node is used.</param>
    /// <param name="weights">The type of the matrices.</param>
    /// <param name="contexts">Numbers of tokens to plan for.</param>
    public InferencePlan(ModelConfig model, Cluster cluster, DType weights, IEnumerable<int> contexts)
    {
        _model = model;
        _cluster = cluster;
        WeightType = weights;
        WeightBytes = ModelSize.WeightBytes(model, weights);
        Points = [.. contexts.Select(PointOf)];
    }

    /// <summary>The type of the matrices.</summary>
    public DType WeightType { get; }

    /// <summary>All weights.</summary>
    public long WeightBytes { get; }

    /// <summary>One for each context.</summary>
    public IReadOnlyList<InferencePoint> Points { get; }

    private InferencePoint PointOf(int context)
    {
        int devices = _cluster.DevicesPerNode;
        var device = _cluster.Device;
        double cache = (double)context * ModelSize.CacheBytesPerToken(_model, DType.Float16);
        double held = (WeightBytes + cache) / devices + ProgramBytes;
        double matrices = _model.Parameters().Where(parameter => _model.IsQuantizable(parameter.Name)).Sum(parameter => parameter.Shape.Aggregate(1.0, (product, size) => product * size));
        double head = (double)_model.Shape.Vocabulary * _model.Shape.Hidden;
        double pairs = (double)context * context * _model.Shape.Layers * _model.Shape.Heads.Heads * _model.Shape.Heads.HeadSize;
        double prompt = (2 * matrices * context + 4 * pairs + 2 * head) / (devices * device.Tflops * 1e12 * device.Efficiency);
        // What a token need not read of an embedding that is not the output matrix is the embedding.
        double unread = _model.Shape.TiedOutput ? 0 : 2 * head;
        double token = (WeightBytes - unread + cache) / devices / (device.BandwidthGbS * 1e9);
        return new InferencePoint(context, held <= device.MemoryGib * (1L << 30), held, prompt + ReduceSeconds(context), token + ReduceSeconds(1));
    }

    /// <summary>Two all-reduces of 16-bit activations for each layer.</summary>
    private double ReduceSeconds(int tokens)
    {
        int devices = _cluster.DevicesPerNode;
        return devices == 1 ? 0 : 2.0 * _model.Shape.Layers * (2.0 * (devices - 1) / devices) * (2.0 * tokens * _model.Shape.Hidden) / (_cluster.NodeGbS * 1e9);
    }
}
