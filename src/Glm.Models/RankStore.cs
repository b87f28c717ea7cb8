using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>What a tensor-parallel rank has of a checkpoint that is whole: tensors, bytes and scales of quantised ones alike, are cut when they are asked for.</summary>
internal sealed class RankStore(TensorStore whole, int rank, int ranks) : TensorStore(whole.Path)
{
    public override IReadOnlyList<string> Names => whole.Names;

    public override TensorInfo? FindInfo(string name)
    {
        if (whole.FindInfo(name) is not { } info || Sharding.RuleOf(name) == ShardingRule.Segments) return whole.FindInfo(name);
        int[] shape = Sharding.PartShape(name, info.Shape, ranks);
        return info with { Shape = shape, Bytes = Sharding.RuleOf(name) == ShardingRule.Replicated ? info.Bytes : info.Bytes / ranks };
    }

    public override string FileOf(string name) => whole.FileOf(name);

    protected override Tensor Read(string name)
    {
        var tensor = whole[name];
        var part = Sharding.Part(name, tensor, rank, ranks);
        if (part != tensor) tensor.ReleasePages();
        return part;
    }
}
