using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Glm.Formats;
using Glm.Models;
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
/// The checkpoints of a run: folders <c>step-N</c> (<see cref="TrainingCheckpoint"/>). Every rank copies its share and writes it beside the checkpoint's place while
/// training goes on; when all are done, the folder takes its name in one rename, so that a folder of that name is whole. Reading verifies the hashes and takes any layout.
/// </summary>
public sealed class Checkpoints : IDisposable
{
    private const string Prefix = "step-", WeightKind = "weight", MeanKind = "mean", VarianceKind = "variance";
    private readonly TrainingConfig _config;
    private readonly ParallelLayout _layout;
    private readonly WeightShards _weights;
    private readonly string _folder;
    private readonly Lazy<List<(string Name, Tensor Source, Tensor Copy)>> _copies;
    private Task _writing = Task.CompletedTask;

    /// <summary>The checkpoints of a run, of which there need be none yet.</summary>
    public Checkpoints(TrainingConfig config, ParallelLayout layout, WeightShards weights)
    {
        _config = config;
        _layout = layout;
        _weights = weights;
        _folder = Path.Combine(config.Resolve(config.Output), "checkpoints");
        _copies = new(() => [.. Named().Select(named => (named.Name, named.Tensor, Tensor.Allocate(DType.Float32, named.Tensor.Shape)))]);
    }

    /// <summary>Whether there is any checkpoint.</summary>
    public bool Any => Steps().Count > 0;

    /// <summary>Begins to save a checkpoint: what is saved is how things stand now, and is on disk after <see cref="Wait"/>. Ranks call it together.</summary>
    /// <exception cref="GlmException">The checkpoint before could not be written.</exception>
    public void Save(TrainingState state)
    {
        Wait();
        foreach (var (_, source, copy) in _copies.Value) copy.CopyFrom(source);
        _writing = Task.Factory.StartNew(() => Write(state), default, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Returns when nothing is being written.</summary>
    /// <exception cref="GlmException">The last checkpoint could not be written, on this rank or another one; older ones are untouched.</exception>
    public void Wait()
    {
        var writing = _writing;
        _writing = Task.CompletedTask;
        writing.GetAwaiter().GetResult();
    }

    /// <summary>Throws if a checkpoint could not be written; does not wait for one that is being written.</summary>
    /// <exception cref="GlmException">It could not.</exception>
    public void ThrowIfFailed()
    {
        if (_writing.IsFaulted) Wait();
    }

    /// <summary>The newest checkpoint, when it is written.</summary>
    /// <exception cref="GlmException">There is none, or it could not be written.</exception>
    public TrainingCheckpoint Newest()
    {
        Wait();
        return Steps() is [.., var step] ? TrainingCheckpoint.At(PathOf(step)) : throw None();
    }

    /// <summary>Loads the newest checkpoint that is whole into weights and moments. Ranks call it together.</summary>
    /// <param name="warn">Told of checkpoints that are damaged and passed over.</param>
    /// <param name="regularOnly">Whether one of an interruption does not count: going back must not depend on where a run was interrupted.</param>
    /// <exception cref="GlmException">There is no whole checkpoint, or it is of another model.</exception>
    public TrainingState Load(Action<string> warn, bool regularOnly = false)
    {
        Wait();
        if (_layout.IsFirst) RemoveLeftovers();
        long[] steps = JsonSerializer.Deserialize<long[]>(_layout.World.Broadcast(JsonSerializer.SerializeToUtf8Bytes(Steps()), root: 0))!;
        foreach (long step in steps.Where(step => !regularOnly || IsRegular(step)).Reverse())
        {
            string path = PathOf(step);
            var (state, problem) = Verified(path);
            // Every rank looked at some of the files; all go by what all found.
            string[] problems = [.. _layout.World.AllGather(Encoding.UTF8.GetBytes(problem ?? "")).Where(text => text.Length > 0).Select(Encoding.UTF8.GetString)];
            if (problems.Length > 0 && _layout.IsFirst) warn($"{path}: damaged, passed over: {problems[0]}");
            if (problems.Length > 0) continue;
            Restore(TrainingCheckpoint.At(path, _config.Shape));
            return state!;
        }
        throw None();
    }

    /// <summary>Returns when nothing is being written, whether or not it could be.</summary>
    public void Settle() => _writing.ContinueWith(static _ => { }, TaskScheduler.Default).Wait();

    /// <inheritdoc/>
    public void Dispose() => Settle();

    private GlmException None() => new($"{_folder}: expected a whole checkpoint (step-N), found none");

    private IEnumerable<(string Name, Tensor Tensor)> Named() => _weights.Shards.Where(shard => shard.IsOwn).SelectMany(shard => new[]
    {
        ($"{WeightKind}.{shard.Name}", shard.Master), ($"{MeanKind}.{shard.Name}", shard.Mean), ($"{VarianceKind}.{shard.Name}", shard.Variance),
    });

    /// <summary>Writes this rank's file; the first rank lets the folder take its name when it has heard of all of them.</summary>
    private void Write(TrainingState state)
    {
        string path = PathOf(state.Step), temporary = Path.Combine(_folder, $".{Path.GetFileName(path)}.tmp");
        var mine = Attempt(() =>
        {
            Directory.CreateDirectory(temporary);
            string file = TrainingCheckpoint.FileOf(temporary, _layout.World.Rank);
            SafetensorsWriter.Write(file, [.. _copies.Value.Select(copy => (copy.Name, copy.Copy))]);
            return Hash(file);
        });
        FileResult[] all = [.. _layout.Files.AllGather(JsonSerializer.SerializeToUtf8Bytes(mine)).Select(bytes => JsonSerializer.Deserialize<FileResult>(bytes)!)];
        string? error = all.FirstOrDefault(result => result.Error is not null)?.Error;
        if (_layout.IsFirst) error ??= Attempt(() => Complete(state, path, temporary, [.. all.Select(result => result.Sha256!)])).Error;
        error = Encoding.UTF8.GetString(_layout.Files.Broadcast(Encoding.UTF8.GetBytes(error ?? ""), root: 0));
        if (error.Length == 0) return;
        if (_layout.IsFirst) TryDelete(temporary);
        throw new GlmException(error);
    }

    private string Complete(TrainingState state, string path, string temporary, string[] hashes)
    {
        var layout = new CheckpointLayout(_layout.Tensors.Size, _layout.Data.Size, _layout.Stages);
        AtomicFile.Write(Path.Combine(temporary, TrainingCheckpoint.StateFile), stream => JsonSerializer.Serialize(stream, new SavedState(state, layout, hashes), TrainingCheckpoint.Json));
        AtomicFile.Write(Path.Combine(temporary, ModelDirectory.ConfigFile), stream => stream.Write(Encoding.UTF8.GetBytes(_config.Shape.ToJson() + "\n")));
        File.Copy(_config.Resolve(_config.Tokenizer), Path.Combine(temporary, ModelDirectory.TokenizerFile), overwrite: true);
        AtomicDirectory.Place(temporary, path);
        RemoveOld();
        return "";
    }

    private static FileResult Attempt(Func<string> write)
    {
        try
        {
            return new FileResult(write(), null);
        }
        catch (Exception error) when (error is GlmException or IOException or UnauthorizedAccessException)
        {
            return new FileResult(null, error.Message);
        }
    }

    private void Restore(TrainingCheckpoint checkpoint)
    {
        foreach (var shard in _weights.Shards)
        {
            Read(WeightKind, shard.Master);
            Read(MeanKind, shard.Mean);
            Read(VarianceKind, shard.Variance);

            void Read(string kind, Tensor target)
            {
                var part = Sharding.Part(shard.Name, checkpoint.Read(kind, shard.Name), _layout.Tensors.Rank, _layout.Tensors.Size);
                target.CopyFrom(part.Reshape((int)part.Count).Slice((int)shard.Start, (int)target.Count));
            }
        }
        _weights.Gather();
    }

    /// <summary>The state of a checkpoint, and what is wrong with those of its files that are this rank's to look at.</summary>
    private (TrainingState? State, string? Problem) Verified(string folder)
    {
        try
        {
            var saved = JsonSerializer.Deserialize<SavedState>(File.ReadAllBytes(Path.Combine(folder, TrainingCheckpoint.StateFile)), TrainingCheckpoint.Json);
            if (saved is not { State: { } state, Layout: { } layout, Sha256: { } hashes } || hashes.Length != layout.Ranks)
                return (null, $"{TrainingCheckpoint.StateFile} does not hold a state, a layout and a hash for each file");
            for (int rank = _layout.World.Rank; rank < hashes.Length; rank += _layout.World.Size)
            {
                string file = TrainingCheckpoint.FileOf(folder, rank);
                if (Hash(file) != hashes[rank]) return (null, $"{Path.GetFileName(file)} has not the hash that {TrainingCheckpoint.StateFile} gives");
            }
            return (state, null);
        }
        catch (Exception error) when (error is GlmException or IOException or UnauthorizedAccessException or JsonException)
        {
            return (null, error.Message);
        }
    }

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return System.Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>Keeps the newest ones, the newest regular one, and those that are kept for ever.</summary>
    private void RemoveOld()
    {
        var steps = Steps();
        long? regular = steps.Where(IsRegular).Select(step => (long?)step).LastOrDefault();
        foreach (long step in steps.SkipLast(_config.KeepCheckpoints))
            if (step != regular && (_config.KeepInterval == 0 || step % _config.KeepInterval != 0)) TryDelete(PathOf(step));
    }

    /// <summary>Removes what was being written when a run was killed.</summary>
    private void RemoveLeftovers()
    {
        if (!Directory.Exists(_folder)) return;
        foreach (string leftover in Directory.EnumerateDirectories(_folder, $".{Prefix}*")) TryDelete(leftover);
    }

    private static void TryDelete(string folder)
    {
        try { if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true); }
        catch (IOException) { }
        catch (UnauthorizedAccessException) { }
    }

    private bool IsRegular(long step) => step % _config.SaveInterval == 0;

    private string PathOf(long step) => Path.Combine(_folder, $"{Prefix}{step:D8}");

    private List<long> Steps() => !Directory.Exists(_folder) ? [] : [.. Directory.EnumerateDirectories(_folder, Prefix + "*")
        .Select(path => long.TryParse(Path.GetFileName(path).AsSpan(Prefix.Length), out long step) ? step : -1).Where(step => step >= 0).Order()];

    private sealed record SavedState(TrainingState State, CheckpointLayout Layout, string[] Sha256);

    private sealed record FileResult(string? Sha256, string? Error);
}
