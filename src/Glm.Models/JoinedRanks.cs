using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// The tensor-parallel ranks of a checkpoint as one store: tensors are joined when they are asked for. Quantised matrices keep the scales of every rank, so that they
/// stand for the same numbers as in the ranks.
/// </summary>
internal sealed class JoinedRanks : TensorStore
{
    private readonly IReadOnlyList<TensorStore> _ranks;

    /// <exception cref="GlmException">A rank lacks a tensor of another one, or has it in another type or shape.</exception>
    public JoinedRanks(string path, IReadOnlyList<TensorStore> ranks) : base(path)
    {
        _ranks = ranks;
        foreach (var rank in ranks.Skip(1))
        {
            foreach (string name in Names)
            {
                TensorInfo expected = ranks[0].FindInfo(name)!;
                var found = rank.FindInfo(name) ?? throw new GlmException($"{rank.Path}: {name}: expected a tensor of every rank, found none");
                if (found.StoredAs != expected.StoredAs || !found.Shape.SequenceEqual(expected.Shape))
                    throw new GlmException($"{rank.Path}: {name}: expected {expected.StoredAs} [{string.Join(", ", expected.Shape)}] as in rank 0, found {found.StoredAs} [{string.Join(", ", found.Shape)}]");
            }
            if (rank.Names.Count != Names.Count)
                throw new GlmException($"{rank.Path}: expected the tensors of rank 0, found {rank.Names.First(name => ranks[0].FindInfo(name) is null)} besides");
        }
        foreach (string name in Names) FindInfo(name);
    }

    public override IReadOnlyList<string> Names => _ranks[0].Names;

    public override TensorInfo? FindInfo(string name)
    {
        if (_ranks[0].FindInfo(name) is not { } part) return null;
        int[] shape = Sharding.JoinedShape(name, part.Shape, _ranks.Count);
        return part with { Shape = shape, Bytes = Sharding.RuleOf(name) == ShardingRule.Replicated ? part.Bytes : part.Bytes * _ranks.Count };
    }

    public override string FileOf(string name) => _ranks[0].Path;

    protected override Tensor Read(string name) => Sharding.Join(name, [.. _ranks.Select(rank => rank[name])]);
}
