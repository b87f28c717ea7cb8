using System.Diagnostics;
using Glm.Distributed;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>The elements of a weight that this data rank updates, and what it needs for it.</summary>
/// <param name="Name">The weight.</param>
/// <param name="Start">Its first element.</param>
/// <param name="Master">Float32 <c>[elements]</c>.</param>
/// <param name="Gradient">Their gradients, of all data ranks together.</param>
/// <param name="Mean">Running means of the gradients.</param>
/// <param name="Variance">Running means of the squared gradients.</param>
/// <param name="Decays">Whether weight decay applies: to matrices.</param>
/// <param name="IsOwn">Whether this process counts and saves them, if several have the same.</param>
public sealed record WeightShard(string Name, long Start, Tensor Master, Tensor Gradient, Tensor Mean, Tensor Variance, bool Decays, bool IsOwn)
{
    /// <summary>The master as a matrix, if it is a whole one of a layer.</summary>
    public Tensor? LayerMatrix { get; init; }
}

/// <summary>
/// Weights and gradients over data ranks (ZeRO stage 1): each rank sums up the gradients of its share of every bucket, updates that share, and gets the others' new
/// weights. A bucket's sum begins as soon as the backward pass of the last micro-batch has left its layers, beside the pass itself.
/// </summary>
public sealed class WeightShards
{
    private const long BucketElements = 4 << 20;

    private readonly ProcessGroup _data, _ends;
    private readonly List<Bucket> _buckets = [];
    private readonly TensorLine? _tied;
    private Task _reductions = Task.CompletedTask;
    private int _begun;
    private long _ticks;

    /// <summary>Shares out the weights of a model among its data ranks.</summary>
    public WeightShards(TrainableWeights weights, TrainableModel model, ParallelLayout layout)
    {
        (_data, _ends) = (layout.Data, layout.Ends);
        List<string> names = [];
        long elements = 0;
        // In the order in which backward passes finish them: the last norm, the layers from the last one down, the embedding.
        var groups = model.Parameters.GroupBy(p => ModelPart.LayerOf(p.Name) ?? (ModelPart.PrecedesLayers(p.Name) ? -1 : model.NumLayers)).OrderByDescending(group => group.Key).ToList();
        foreach (var (i, group) in groups.Index())
        {
            names.AddRange(group.Select(p => p.Name));
            elements += group.Sum(p => p.Tensor.Count);
            // Both ends of a pipeline must share out the tied embedding alike, so it is a bucket of its own.
            if (elements < BucketElements && i + 1 < groups.Count && groups[i + 1].Key >= 0) continue;
            _buckets.Add(new Bucket(group.Key, [.. names], new TensorLine([.. names.Select(weights.Gradient)]), new TensorLine([.. names.Select(name => weights.Masters[name])])));
            names.Clear();
            elements = 0;
        }
        Shards = [.. _buckets.SelectMany(bucket => Of(bucket, weights, model.Part))];
        if (_ends.Size > 1) _tied = new TensorLine([.. Shards.Where(shard => ModelPart.IsEmbedding(shard.Name)).Select(shard => shard.Gradient)]);
    }

    /// <summary>Time that steps waited for gradients and weights of other data ranks; sums beside a backward pass cost none.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(0, _ticks);

    /// <summary>The shares of this rank.</summary>
    public IReadOnlyList<WeightShard> Shards { get; }

    /// <summary>To be called in the last backward pass of a step, when it has left a layer.</summary>
    public void LayerDone(int layer)
    {
        while (_begun < _buckets.Count && _buckets[_begun].LowestLayer >= layer) Begin();
    }

    /// <summary>Returns when the gradients of all shares are sums over the data ranks, and those of the tied embedding over both its ends.</summary>
    public void Finish()
    {
        while (_begun < _buckets.Count) Begin();
        _begun = 0;
        long began = Stopwatch.GetTimestamp();
        _reductions.GetAwaiter().GetResult();
        _ticks += Stopwatch.GetTimestamp() - began;
        _reductions = Task.CompletedTask;
        if (_tied is { Count: > 0 }) _ends.AllReduce(_tied);
    }

    /// <summary>Sum of the squares of the gradients that this process counts.</summary>
    public double OwnSquares(Workers workers) => Shards.Where(shard => shard.IsOwn).Sum(shard => TensorMath.SumOfSquares(workers, shard.Gradient));

    /// <summary>Gets the weights that other data ranks updated.</summary>
    public void Gather()
    {
        long began = Stopwatch.GetTimestamp();
        foreach (var bucket in _buckets) _data.AllGather(bucket.Masters);
        _ticks += Stopwatch.GetTimestamp() - began;
    }

    private void Begin()
    {
        var bucket = _buckets[_begun++];
        if (_data.Size > 1) _reductions = After(_reductions, bucket.Gradients);
    }

    private async Task After(Task before, TensorLine gradients)
    {
        await before.ConfigureAwait(false);
        // A thread of its own: it mostly waits.
        await Task.Factory.StartNew(() => _data.ReduceScatter(gradients), default, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
    }

    private IEnumerable<WeightShard> Of(Bucket bucket, TrainableWeights weights, ModelPart part)
    {
        for (int i = 0; i < bucket.Names.Length; i++)
        {
            string name = bucket.Names[i];
            var master = weights.Masters[name];
            var (start, count) = bucket.Gradients.ShareOf(i, _data.Rank, _data.Size);
            if (count == 0) continue;
            yield return new WeightShard(
                name, start, Share(master), Share(weights.Gradient(name)), Tensor.Zeros(DType.Float32, (int)count), Tensor.Zeros(DType.Float32, (int)count), master.Shape.Length > 1, part.Owns(name))
            {
                LayerMatrix = master.Shape.Length == 2 && count == master.Count && ModelPart.LayerOf(name) is not null ? master : null,
            };

            Tensor Share(Tensor tensor) => tensor.Reshape((int)tensor.Count).Slice((int)start, (int)count);
        }
    }

    private sealed record Bucket(int LowestLayer, string[] Names, TensorLine Gradients, TensorLine Masters);
}
