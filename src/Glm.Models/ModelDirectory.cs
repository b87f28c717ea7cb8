using Glm.Distributed;
using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// A model on disk: <c>config.json</c>, the tensors under the names of the released checkpoints (<see cref="TensorStore.Open"/>), and the tokenizer file.
/// Checkpoints in the original's layout are read as well (<see cref="SatCheckpoint"/>), of any tensor-parallel degree; their <c>config.json</c> is optional.
/// A quantised matrix <c>X.weight</c> is int8 <c>[out, in]</c> or <c>[out, in / 2]</c> and has its float16 scales beside it as <c>X.weight_scale</c>,
/// <c>[out]</c> or <c>[input segments, out]</c> (spec 6.2).
/// </summary>
public static class ModelDirectory
{
    /// <summary>The file of the shape.</summary>
    public const string ConfigFile = "config.json";

    /// <summary>The file of the weights.</summary>
    public const string WeightsFile = "model.safetensors";

    /// <summary>The file of the vocabulary.</summary>
    public const string TokenizerFile = "tokenizer.model";

    private const string IndexEnding = ".index.json", TorchStem = "pytorch_model";

    /// <summary>The shape of the model in a directory; of an original checkpoint without <c>config.json</c>, what its tensors tell.</summary>
    /// <exception cref="GlmException">There is no model, or its configuration is impossible.</exception>
    public static ModelConfig LoadConfig(string path)
    {
        string file = Path.Combine(path, ConfigFile);
        if (File.Exists(file)) return Models.ConfigFile.Load(file);
        if (SatCheckpoint.IsCheckpoint(path)) return InferredConfig.Read(OpenStore(path));
        throw new GlmException($"{path}: expected a model directory with {ConfigFile}, found none");
    }

    /// <summary>The tensors of a directory; those of an original checkpoint, or of one of pre-training, are joined from its ranks.</summary>
    /// <exception cref="GlmException">A file is missing or damaged, or files do not agree.</exception>
    public static TensorStore OpenStore(string path) =>
        SatCheckpoint.IsCheckpoint(path) ? new JoinedRanks(path, SatCheckpoint.Open(path).Ranks)
        : TrainingCheckpoint.IsCheckpoint(path) ? TrainingCheckpoint.At(path)
        : TensorStore.Open(path);

    /// <summary>
    /// Loads a model of the architecture that its configuration tells. Matrices stay as they are stored, as views of the mapped files (those of several ranks, and
    /// those stored in parts, are joined in memory); biases and layer norms are converted to float32. Tensors that the architecture does not have are ignored, as
    /// the original does.
    /// </summary>
    /// <exception cref="GlmException">A file is missing or damaged, a tensor is missing or has another shape than the configuration says.</exception>
    public static LanguageModel Load(string path) => Load(path, LoadConfig(path));

    /// <summary>Loads a model whose shape is known otherwise.</summary>
    /// <inheritdoc cref="Load(string)"/>
    public static LanguageModel Load(string path, ModelConfig config)
    {
        var parameters = Stored(path, config).Read();
        return config.Create(name => parameters[name]);
    }

    /// <summary>
    /// Loads a rank's share of a model, for inference over several processes. From an original checkpoint of as many ranks it is that rank's file, mapped; otherwise it is
    /// cut out of the whole, a tensor at a time.
    /// </summary>
    /// <param name="path">The directory.</param>
    /// <param name="ranks">The ranks that share the model.</param>
    /// <exception cref="GlmException">The model is not of GLM-130B's architecture, cannot be shared out among so many ranks, or is damaged.</exception>
    public static Glm130B Load(string path, ProcessGroup ranks)
    {
        if (LoadConfig(path) is not Glm130BConfig config) throw new GlmException($"{path}: expected a model of the architecture {Glm130BConfig.Type} to run in {ranks.Size} ranks, found {LoadConfig(path).Architecture}");
        var store = SatCheckpoint.IsCheckpoint(path) && SatCheckpoint.Open(path).Ranks is var files && files.Count == ranks.Size
            ? files[ranks.Rank] : new RankStore(OpenStore(path), ranks.Rank, ranks.Size);
        var part = ModelPart.Stage(config.NumLayers, 0, 1, ranks);
        var parameters = new StoredParameters(config, store, config.StoredNames).Read(part.Parameters(config));
        return new Glm130B(config, name => parameters[name], part);
    }

    /// <summary>Number of tensors and bytes of each type that a model's parameters are stored in, from the headers of its files alone.</summary>
    /// <exception cref="GlmException">A file is missing or damaged, or a tensor is missing.</exception>
    public static IReadOnlyDictionary<DType, (int Tensors, long Bytes)> Inventory(string path) => Stored(path, LoadConfig(path)).Inventory();

    /// <summary>Saves a model.</summary>
    /// <inheritdoc cref="Save(string, ModelConfig, IEnumerable{ValueTuple{string, Tensor}}, DType?, string?, CancellationToken)"/>
    public static void Save(string path, LanguageModel model, DType? matrixType = null, string? tokenizer = null, CancellationToken cancel = default) =>
        Save(path, model.Config, model.Parameters, matrixType, tokenizer, cancel);

    /// <summary>
    /// Saves a model: its directory appears when it is whole. Only a directory that holds nothing but such a model is replaced.
    /// </summary>
    /// <param name="path">The directory.</param>
    /// <param name="config">The shape.</param>
    /// <param name="tensors">The parameters by name; quantised ones with their scales.</param>
    /// <param name="matrixType">Floating-point type for matrices that are not quantised; as they are if null. Biases and layer norms are saved as float32.</param>
    /// <param name="tokenizer">A tokenizer file to copy.</param>
    /// <param name="cancel">Stops the writing; nothing is left then.</param>
    /// <exception cref="GlmException">A parameter is missing, or the directory cannot be written.</exception>
    public static void Save(
        string path, ModelConfig config, IEnumerable<(string Name, Tensor Tensor)> tensors, DType? matrixType = null, string? tokenizer = null,
        CancellationToken cancel = default)
    {
        RefuseOtherContent(path, []);
        var given = tensors.ToDictionary(t => t.Name, t => t.Tensor);
        var entries = new List<TensorEntry>();
        foreach (var (name, shape) in config.Validated(path).Parameters())
        {
            if (!given.TryGetValue(name, out var tensor)) throw new GlmException($"{path}: expected a tensor {name}, was given none");
            if (tensor.IsPacked) throw new ArgumentException($"{name} is packed for a kernel; models are saved with their matrices in rows", nameof(tensors));
            if (!tensor.Shape.SequenceEqual(shape)) throw new GlmException($"{path}: {name}: expected the shape [{string.Join(", ", shape)}], was given {tensor}");
            var type = shape.Length == 1 ? DType.Float32 : tensor.Scales is null ? matrixType ?? tensor.Type : tensor.Type;
            entries.Add(new TensorEntry(name, type, shape, () => tensor.To(type)));
            if (tensor.Scales is not { } scales) continue;
            if (scales.Rows == 1) scales = scales.Reshape(scales.Columns);
            entries.Add(new TensorEntry(StoredParameters.ScaleName(name), scales.Type, scales.Shape.ToArray(), () => scales));
        }
        AtomicDirectory.Write(path, folder =>
        {
            SafetensorsWriter.Write(Path.Combine(folder, WeightsFile), entries, new Dictionary<string, string> { ["format"] = "pt" }, cancel: cancel);
            AtomicFile.Write(Path.Combine(folder, ConfigFile), stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(config.ToJson() + "\n")));
            if (tokenizer is not null) File.Copy(tokenizer, Path.Combine(folder, TokenizerFile));
        });
    }

    internal static StoredParameters Stored(string path, ModelConfig config) => new(config, OpenStore(path), name => config.StoredNames(name).Prepend([name]).DistinctBy(parts => parts[0]));

    /// <summary>Writing replaces a whole directory, so one with anything else in it than a model is left alone.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="companions">Names of files that a model may have beside it.</param>
    /// <exception cref="GlmException">There is something else in it, or it is a file.</exception>
    internal static void RefuseOtherContent(string path, IReadOnlyList<string> companions)
    {
        if (File.Exists(path)) throw new GlmException($"{path}: expected a directory or nothing, found a file");
        if (!Directory.Exists(path)) return;
        string? iteration = SatCheckpoint.IsCheckpoint(path) ? SatCheckpoint.IterationOf(path) : null;
        foreach (string entry in Directory.EnumerateFileSystemEntries(path))
        {
            string name = Path.GetFileName(entry);
            bool belongs = name is ConfigFile or TokenizerFile or SatCheckpoint.LatestFile || companions.Contains(name) || (name == iteration && Directory.Exists(entry)) || HoldsWeights(name);
            if (!belongs) throw new GlmException($"{path}: expected nothing or a model directory to replace, found {name} in it");
        }
    }

    private static bool HoldsWeights(string name)
    {
        if (name.EndsWith(IndexEnding, StringComparison.Ordinal)) name = name[..^IndexEnding.Length];
        return name.EndsWith(".safetensors", StringComparison.Ordinal) || name.EndsWith(PackedWeights.Extension, StringComparison.Ordinal)
            || (name.StartsWith(TorchStem, StringComparison.Ordinal) && name.EndsWith(".bin", StringComparison.Ordinal));
    }
}
