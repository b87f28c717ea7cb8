using Glm.Models;

namespace Glm.Training;

/// <summary>What a device of a stage holds while it trains, in bytes.</summary>
/// <param name="Weights">16-bit weights.</param>
/// <param name="Gradients">Their gradients, as wide.</param>
/// <param name="Optimizer">Float32 weights and AdamW's two means, shared out over the replicas (ZeRO-1).</param>
/// <param name="Activations">What the backward passes of the micro-batches in flight need, and one layer being computed.</param>
public sealed record StageMemory(double Weights, double Gradients, double Optimizer, double Activations)
{
    /// <summary>All of it.</summary>
    public double Total => Weights + Gradients + Optimizer + Activations;
}

/// <summary>Bytes that a device sends in an optimiser step.</summary>
/// <param name="TensorParallel">All-reduces of activations, two for a layer in each pass (four in a backward pass that computes the layer again).</param>
/// <param name="PipelineParallel">Activations and their gradients to the neighbours.</param>
/// <param name="DataParallel">All-reduce of gradients, and the new weights from those who have their optimiser states.</param>
public sealed record StepTraffic(double TensorParallel, double PipelineParallel, double DataParallel);

/// <summary>A whole run.</summary>
/// <param name="Steps">Optimiser steps.</param>
/// <param name="Samples">Rows.</param>
/// <param name="Tokens">Tokens.</param>
/// <param name="Days">How long it takes, if nothing fails.</param>
/// <param name="MegawattHours">Energy; null if the power is not known.</param>
/// <param name="TonsOfCarbonDioxide">What making that energy gives off; null if that is not known.</param>
public sealed record RunPlan(long Steps, long Samples, double Tokens, double Days, double? MegawattHours, double? TonsOfCarbonDioxide);

/// <summary>
/// What training a GLM takes on hardware that need not be there (spec 4.3). Operations count a multiplication and an addition as two. Estimated times are those of
/// matrix products at the device's efficiency, of all-reduces, of the pipeline's event-by-event simulation and of the gradients' all-reduce after it.
/// </summary>
public sealed class TrainingPlan
{
    private readonly Glm130BConfig _model;
    private readonly Cluster _cluster;
    private readonly TrainingLayout _layout;
    private readonly ModelPart[] _stages;
    private readonly double _layerWeights; // of matrices
    private readonly double? _measured;

    /// <summary>A plan.</summary>
    /// <param name="model">What is trained.</param>
    /// <param name="cluster">On what.</param>
    /// <param name="layout">How.</param>
    /// <param name="stepSeconds">The time of a full step if it was measured; it is estimated if null.</param>
    /// <exception cref="GlmException">The layout does not fit the devices or the model.</exception>
    public TrainingPlan(Glm130BConfig model, Cluster cluster, TrainingLayout layout, double? stepSeconds = null)
    {
        _model = model;
        _cluster = cluster;
        _layout = layout;
        _measured = stepSeconds;
        DataParallel = layout.DataParallel(cluster.Devices);
        if (model.NumAttentionHeads % layout.TensorParallel != 0)
            throw new GlmException($"tensor_parallel: expected a divisor of the {model.NumAttentionHeads} attention heads, found {layout.TensorParallel}");
        _stages = [.. Enumerable.Range(0, layout.PipelineParallel).Select(stage => ModelPart.Stage(model.NumLayers, stage, layout.PipelineParallel, Distributed.ProcessGroup.Alone))];
        _layerWeights = Glm130B.Shapes(model).Where(parameter => model.IsQuantizable(parameter.Name)).Sum(parameter => Count(parameter.Shape)) / model.NumLayers;
        Memory = [.. _stages.Select(MemoryOf)];
        Traffic = TrafficOf();
        Simulation = Simulate(layout.GlobalBatch);
        EstimatedSeconds = StepSeconds(layout.GlobalBatch);
        Run = layout.Steps > 0 ? RunOf() : null;
    }

    /// <summary>Replicas of the model.</summary>
    public int DataParallel { get; }

    /// <summary>Micro-batches that a pipeline computes in a full step.</summary>
    public int MicroBatches => MicroBatchesOf(_layout.GlobalBatch);

    /// <summary>What a device of each stage holds.</summary>
    public IReadOnlyList<StageMemory> Memory { get; }

    /// <summary>What the device that sends most does, in a full step.</summary>
    public StepTraffic Traffic { get; }

    /// <summary>A full step of the pipeline.</summary>
    public PipelineSimulation Simulation { get; }

    /// <summary>The share of a full step in which stages of equal speed wait: (p - 1) / (m + p - 1) with p stages and m micro-batches.</summary>
    public double IdealBubble => (_layout.PipelineParallel - 1.0) / (MicroBatches + _layout.PipelineParallel - 1);

    /// <summary>Time that a full step should take.</summary>
    public double EstimatedSeconds { get; }

    /// <summary>Time of a full step that the figures below are for: measured, or else estimated.</summary>
    public double Seconds => _measured ?? EstimatedSeconds;

    /// <summary>Whether <see cref="Seconds"/> was measured.</summary>
    public bool IsMeasured => _measured is not null;

    /// <summary>Tokens of a full step.</summary>
    public double Tokens => (double)_layout.GlobalBatch * _layout.SeqLength;

    /// <summary>
    /// Operations that the devices do in a full step, as the run's own logs count them (spec 4.3): forward, twice that backward, and forward once more where layers are
    /// computed again; for GLM-130B that is 24 c B s l h^2 (1 + s / 6h + V / 16 l h) with c = 4.
    /// </summary>
    public double HardwareOperations => Tokens * (Passes * _model.NumLayers * LayerOperations + 3 * HeadOperations);

    /// <summary>10^12 operations per second and device.</summary>
    public double Tflops => HardwareOperations / (Seconds * _cluster.Devices * 1e12);

    /// <summary>PaLM's model FLOP utilisation: (6 N + 12 l h s) operations a token, whatever is computed twice, as a share of the peak.</summary>
    public double ModelUtilization => Tokens * (6.0 * _model.ParameterCount + 12.0 * _model.NumLayers * _model.HiddenSize * _layout.SeqLength) / (Seconds * _cluster.Devices * _cluster.Device.Tflops * 1e12);

    /// <summary>PaLM's hardware FLOP utilisation: the same with the forward passes that are computed again.</summary>
    public double HardwareUtilization => ModelUtilization * Passes / 3;

    /// <summary>The whole run; null if no number of steps is given.</summary>
    public RunPlan? Run { get; }

    /// <summary>Forward passes that an optimiser step is worth: one, two for the backward pass, and one more where layers are computed again.</summary>
    private int Passes => _layout.Recompute ? 4 : 3;

    /// <summary>Operations of a layer for a token, forward: its matrices, and scores and sums over the whole row.</summary>
    private double LayerOperations => 2 * _layerWeights + 4.0 * _layout.SeqLength * _model.HiddenSize;

    private double HeadOperations => 2.0 * _model.VocabSize * _model.HiddenSize;

    private double MicroTokens => (double)_layout.MicroBatch * _layout.SeqLength;

    /// <summary>16-bit activations of a micro-batch between two layers.</summary>
    private double BoundaryBytes => 2 * MicroTokens * _model.HiddenSize;

    private int MicroBatchesOf(int batch) => batch / (DataParallel * _layout.MicroBatch);

    private static double Count(int[] shape) => shape.Aggregate(1.0, (product, size) => product * size);

    /// <summary>Parameters of a stage on each of its tensor-parallel ranks.</summary>
    private double ParametersOf(ModelPart stage) =>
        stage.Parameters(_model).Sum(parameter => Count(parameter.Shape) / (Sharding.RuleOf(parameter.Name) == ShardingRule.Replicated ? 1 : _layout.TensorParallel));

    private StageMemory MemoryOf(ModelPart part, int stage)
    {
        double parameters = ParametersOf(part);
        int layers = part.EndLayer - part.FirstLayer, inFlight = PipelineOrder.InFlight(_layout.Schedule, _stages.Length, stage, MicroBatches);
        // Korthikanti et al. 2022, equation 2, which holds for a gated unit of 8/3 h too: bytes that the backward pass of a layer needs.
        double layer = MicroTokens * _model.HiddenSize * (34 + 5.0 * _model.NumAttentionHeads * _layout.SeqLength / _model.HiddenSize) / _layout.TensorParallel;
        double kept = _layout.Recompute ? BoundaryBytes / _layout.TensorParallel : layer;
        double logits = part.HasHead ? 6 * MicroTokens * _model.VocabSize / _layout.TensorParallel : 0;
        return new StageMemory(2 * parameters, 2 * parameters, 12 * parameters / DataParallel, inFlight * layers * kept + (_layout.Recompute ? layer : 0) + logits);
    }

    private StepTraffic TrafficOf()
    {
        double layers = _stages.Max(part => part.EndLayer - part.FirstLayer);
        double gradients = 2 * _stages.Max(ParametersOf);
        int neighbours = Math.Min(2, _stages.Length - 1);
        return new StepTraffic(
            MicroBatches * layers * (_layout.Recompute ? 6 : 4) * RingBytes(BoundaryBytes, _layout.TensorParallel),
            MicroBatches * neighbours * BoundaryBytes / _layout.TensorParallel,
            RingBytes(gradients, DataParallel) * 1.5);
    }

    /// <summary>What each of so many ranks sends in a ring all-reduce.</summary>
    private static double RingBytes(double bytes, int ranks) => 2.0 * (ranks - 1) / ranks * bytes;

    /// <summary>10^9 bytes a second between devices whose ranks are so many apart.</summary>
    private double LinkGbS(int distance) => distance <= _cluster.DevicesPerNode ? _cluster.NodeGbS : _cluster.NetworkGbS;

    private PipelineSimulation Simulate(int batch)
    {
        double device = _cluster.Device.Tflops * 1e12 * _cluster.Device.Efficiency, tensors = LinkGbS(_layout.TensorParallel) * 1e9;
        double reduce = _layout.TensorParallel > 1 ? 2 * RingBytes(BoundaryBytes, _layout.TensorParallel) / tensors : 0; // of a layer and pass
        double transfer = _stages.Length > 1 ? BoundaryBytes / _layout.TensorParallel / (LinkGbS(_layout.TensorParallel * _stages.Length) * 1e9) : 0;
        return PipelineSimulation.Run(_layout.Schedule, [.. _stages.Select(Times)], MicroBatchesOf(batch), transfer);

        (double Forward, double Backward) Times(ModelPart part)
        {
            int layers = part.EndLayer - part.FirstLayer;
            double layer = MicroTokens * LayerOperations / _layout.TensorParallel / device;
            double head = part.HasHead ? MicroTokens * HeadOperations / _layout.TensorParallel / device : 0;
            return (layers * (layer + reduce) + head, layers * ((Passes - 1) * layer + (Passes - 2) * reduce) + 2 * head);
        }
    }

    private double StepSeconds(int batch) =>
        (batch == _layout.GlobalBatch ? Simulation : Simulate(batch)).Seconds + (DataParallel > 1 ? Traffic.DataParallel / (LinkGbS(_cluster.Devices) * 1e9) : 0);

    private RunPlan RunOf()
    {
        var batches = _layout.Batch;
        int least = DataParallel * _layout.MicroBatch;
        var seconds = new Dictionary<int, double>();
        long samples = 0;
        double time = 0, scale = Seconds / EstimatedSeconds;
        for (long step = 0; step < _layout.Steps; step++)
        {
            int batch = Math.Max(least, batches.At(samples) / least * least);
            if (!seconds.TryGetValue(batch, out double one)) seconds.Add(batch, one = StepSeconds(batch));
            time += one * scale;
            samples += batch;
        }
        double? energy = _cluster.NodeKw > 0 ? time / 3600 * _cluster.NodeKw * _cluster.Nodes / 1000 : null;
        return new RunPlan(_layout.Steps, samples, (double)samples * _layout.SeqLength, time / 86400, energy, _cluster.CarbonKgPerKwh > 0 ? energy * _cluster.CarbonKgPerKwh : null);
    }
}
