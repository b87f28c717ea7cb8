using System.Text.Json;
using Glm.Distributed;
using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>How many processes wrote a checkpoint, and so what each of its files holds.</summary>
/// <param name="TensorParallel">Ranks that shared matrices.</param>
/// <param name="DataParallel">Ranks that shared the elements of weights.</param>
/// <param name="PipelineParallel">Stages that shared layers.</param>
public sealed record CheckpointLayout(int TensorParallel, int DataParallel, int PipelineParallel)
{
    /// <summary>Number of processes, and of files.</summary>
    public int Ranks => TensorParallel * DataParallel * PipelineParallel;

    /// <summary>The process at a place.</summary>
    public int RankOf(int stage, int data, int tensor) => ((stage * DataParallel) + data) * TensorParallel + tensor;
}

/// <summary>
/// A checkpoint of pre-training: for each rank a file with its share of master weights (<c>weight.…</c>) and of the optimiser's moments (<c>mean.…</c>,
/// <c>variance.…</c>), the configuration and the state. As a store it is the model: weights are put together from the shares of all ranks, whatever their layout.
/// </summary>
public sealed class TrainingCheckpoint : TensorStore
{
    /// <summary>The file that says by which layout the others were written.</summary>
    public const string StateFile = "state.json";

    private readonly CheckpointLayout _layout;
    private readonly Dictionary<string, int[]> _shapes;
    private readonly ModelPart[] _stages;
    private readonly Lazy<SafetensorsFile>[] _files;

    private TrainingCheckpoint(string path, CheckpointLayout layout, ModelConfig config) : base(path)
    {
        _layout = layout;
        _shapes = config.Parameters().ToDictionary(p => p.Name, p => p.Shape);
        Names = [.. _shapes.Keys];
        _stages = [.. Enumerable.Range(0, layout.PipelineParallel).Select(stage => ModelPart.Stage(config.Shape.Layers, stage, layout.PipelineParallel, ProcessGroup.Alone))];
        _files = [.. Enumerable.Range(0, layout.Ranks).Select(rank => new Lazy<SafetensorsFile>(() => SafetensorsFile.Open(FileOf(path, rank))))];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Names { get; }

    /// <summary>Whether a directory is a checkpoint.</summary>
    public static bool IsCheckpoint(string path) => File.Exists(System.IO.Path.Combine(path, StateFile)) && File.Exists(FileOf(path, 0));

    /// <summary>The file of a rank.</summary>
    public static string FileOf(string path, int rank) => System.IO.Path.Combine(path, $"rank-{rank:D5}.safetensors");

    /// <summary>The field of <see cref="StateFile"/> that holds the <see cref="CheckpointLayout"/>.</summary>
    private sealed record Header(CheckpointLayout? Layout);

    /// <summary>How <see cref="StateFile"/> is written.</summary>
    public static JsonSerializerOptions Json { get; } = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    /// <summary>Opens a checkpoint; its files are opened when something is read from them.</summary>
    /// <exception cref="GlmException">A file is missing or damaged, or the layout is impossible.</exception>
    public static TrainingCheckpoint At(string path) => At(path, ConfigFile.Load(System.IO.Path.Combine(path, ModelDirectory.ConfigFile)));

    /// <inheritdoc cref="At(string)"/>
    public static TrainingCheckpoint At(string path, ModelConfig config)
    {
        string file = System.IO.Path.Combine(path, StateFile);
        var layout = ConfigJson.Read<Header>(file, "the state of a checkpoint").Layout;
        if (layout is not { TensorParallel: > 0 and <= 1 << 20, DataParallel: > 0 and <= 1 << 20, PipelineParallel: > 0 } || (long)layout.TensorParallel * layout.DataParallel * layout.PipelineParallel > 1 << 20)
            throw new GlmException($"{file}: layout: expected numbers of ranks of at least 1, found {layout?.ToString() ?? "none"}");
        return new TrainingCheckpoint(path, layout, config);
    }

    /// <inheritdoc/>
    public override TensorInfo? FindInfo(string name) => _shapes.TryGetValue(name, out int[]? shape)
        ? new TensorInfo("F32", DType.Float32, shape, DType.Float32.Bytes(shape.Aggregate(1L, (count, size) => count * size))) : null;

    /// <summary>A whole weight, mean or variance.</summary>
    /// <param name="kind"><c>weight</c>, <c>mean</c> or <c>variance</c>.</param>
    /// <param name="name">The parameter.</param>
    /// <exception cref="GlmException">A file is damaged, or does not hold what its rank should have.</exception>
    public Tensor Read(string kind, string name)
    {
        int stage = Array.FindIndex(_stages, part => part.Owns(name));
        int[] shape = Sharding.PartShape(name, _shapes[name], _layout.TensorParallel);
        int parts = Sharding.RuleOf(name) == ShardingRule.Replicated ? 1 : _layout.TensorParallel;
        var read = Enumerable.Range(0, parts).Select(tensor => Part(kind, name, shape, stage, tensor)).ToList();
        return parts == 1 ? read[0] : Sharding.Join(name, read);
    }

    /// <inheritdoc/>
    public override string FileOf(string name) => Path;

    /// <inheritdoc/>
    protected override Tensor Read(string name) => Read("weight", name);

    /// <summary>What a tensor-parallel rank had: the shares of its data ranks, one after the other.</summary>
    private Tensor Part(string kind, string name, int[] shape, int stage, int tensor)
    {
        string key = $"{kind}.{name}";
        var whole = Tensor.Allocate(DType.Float32, shape);
        var line = whole.Reshape((int)whole.Count);
        int done = 0;
        for (int data = 0; data < _layout.DataParallel; data++)
        {
            var file = _files[_layout.RankOf(stage, data, tensor)].Value;
            if (!file.Find(key, out var share)) continue; // small weights leave nothing to some ranks
            if (share.Type != DType.Float32 || share.Count > whole.Count - done)
                throw new GlmException($"{file.Path}: {key}: expected at most {whole.Count - done} float32 numbers, found {share}");
            line.Slice(done, (int)share.Count).CopyFrom(share);
            done += (int)share.Count;
        }
        if (done != whole.Count) throw new GlmException($"{Path}: {key}: expected {whole.Count} numbers in the files of its ranks, found {done}");
        return whole;
    }
}
