using System.Security.Cryptography;
using System.Text.Json;
using Glm.Formats;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>Where a run stands.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="Samples">Samples consumed: trained on. Learning rate and batch size follow them.</param>
/// <param name="Tokens">Tokens that the model has seen, padding included.</param>
/// <param name="Seconds">Time spent in steps.</param>
public sealed record TrainingState(long Step, long Samples, long Tokens, double Seconds)
{
    /// <summary>Samples drawn and not trained on (spec 4.4).</summary>
    public long Discarded { get; init; }

    /// <summary>Steps among <see cref="Step"/> whose gradients overflowed, so that no weight changed.</summary>
    public long Overflows { get; init; }

    /// <summary>The loss scale; null at the beginning and where there is none.</summary>
    public LossScale? LossScale { get; init; }

    /// <summary>What the next step is compared with to tell a spike.</summary>
    public RecentSteps Recent { get; init; } = RecentSteps.None;
}

/// <summary>
/// The checkpoints of a run: folders <c>step-N</c> with master weights, optimiser moments and the state. A checkpoint is written beside its place,
/// hashed, and takes its name in one rename, so that a folder of that name is whole; reading verifies the hashes.
/// </summary>
public sealed class Checkpoints
{
    private const int Kept = 2;
    private const string TensorsFile = "tensors.safetensors", StateFile = "state.json";
    private readonly string _folder;
    private readonly int _interval;

    /// <summary>The checkpoints in a folder, which need not exist yet.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="interval">Steps between regular checkpoints; where a run was interrupted there are others.</param>
    public Checkpoints(string folder, int interval) => (_folder, _interval) = (folder, interval);

    private static JsonSerializerOptions Json { get; } = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    /// <summary>Whether there is any checkpoint.</summary>
    public bool Any => Steps().Count > 0;

    /// <summary>Saves a checkpoint and removes all but the newest two and the newest regular one.</summary>
    /// <exception cref="GlmException">It cannot be written; older checkpoints are untouched.</exception>
    public void Save(TrainingState state, TrainableWeights weights, AdamW optimizer)
    {
        var tensors = Named("weight", weights.Masters).Concat(Named("mean", optimizer.Means)).Concat(Named("variance", optimizer.Variances));
        AtomicDirectory.Write(PathOf(state.Step), folder =>
        {
            string file = Path.Combine(folder, TensorsFile);
            SafetensorsWriter.Write(file, [.. tensors]);
            var saved = new SavedState(state, Hash(file));
            AtomicFile.Write(Path.Combine(folder, StateFile), stream => JsonSerializer.Serialize(stream, saved, Json));
        });
        long? regular = Steps().Where(IsRegular).Select(step => (long?)step).LastOrDefault();
        foreach (long step in Steps().SkipLast(Kept).Where(step => step != regular)) TryDelete(PathOf(step));
    }

    /// <summary>Loads the newest checkpoint that is whole into weights and optimiser.</summary>
    /// <param name="weights">Receives the master weights.</param>
    /// <param name="optimizer">Receives the moments.</param>
    /// <param name="warn">Told of checkpoints that are damaged and passed over.</param>
    /// <param name="regularOnly">Whether one of an interruption does not count: going back must not depend on where a run was interrupted.</param>
    /// <exception cref="GlmException">There is no whole checkpoint, or it is of another model.</exception>
    public TrainingState Load(TrainableWeights weights, AdamW optimizer, Action<string> warn, bool regularOnly = false)
    {
        foreach (long step in Steps().Where(step => !regularOnly || IsRegular(step)).Reverse())
        {
            if (Verified(PathOf(step), warn) is not { } state) continue;
            string path = Path.Combine(PathOf(step), TensorsFile);
            var file = SafetensorsFile.Open(path);
            Restore(file, path, "weight", weights.Masters);
            Restore(file, path, "mean", optimizer.Means);
            Restore(file, path, "variance", optimizer.Variances);
            weights.Refresh();
            return state;
        }
        throw new GlmException($"{_folder}: expected a whole checkpoint (step-N), found none");
    }

    private static IEnumerable<(string Name, Tensor Tensor)> Named(string kind, Dictionary<string, Tensor> tensors) =>
        tensors.Select(pair => ($"{kind}.{pair.Key}", pair.Value));

    private static void Restore(SafetensorsFile file, string path, string kind, Dictionary<string, Tensor> tensors)
    {
        foreach (var (name, tensor) in tensors)
        {
            var saved = file[$"{kind}.{name}"];
            if (saved.Type != tensor.Type || !saved.Shape.SequenceEqual(tensor.Shape)) throw new GlmException($"{path}: {kind}.{name}: expected {tensor}, found {saved}");
            tensor.CopyFrom(saved);
        }
    }

    private static TrainingState? Verified(string folder, Action<string> warn)
    {
        try
        {
            var saved = JsonSerializer.Deserialize<SavedState>(File.ReadAllBytes(Path.Combine(folder, StateFile)), Json);
            if (saved?.State is null) throw new GlmException($"{StateFile} holds no state");
            if (Hash(Path.Combine(folder, TensorsFile)) != saved.Sha256) throw new GlmException($"{TensorsFile} has not the hash that {StateFile} gives");
            return saved.State;
        }
        catch (Exception error) when (error is GlmException or IOException or UnauthorizedAccessException or JsonException)
        {
            warn($"{folder}: damaged, passed over: {error.Message}");
            return null;
        }
    }

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return System.Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static void TryDelete(string folder)
    {
        try { if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true); }
        catch (IOException) { }
        catch (UnauthorizedAccessException) { }
    }

    private bool IsRegular(long step) => step % _interval == 0;

    private string PathOf(long step) => Path.Combine(_folder, $"step-{step:D8}");

    private List<long> Steps() => !Directory.Exists(_folder) ? [] : [.. Directory.EnumerateDirectories(_folder, "step-*")
        .Select(path => long.TryParse(Path.GetFileName(path).AsSpan(5), out long step) ? step : -1).Where(step => step >= 0).Order()];

    private sealed record SavedState(TrainingState State, string Sha256);
}
