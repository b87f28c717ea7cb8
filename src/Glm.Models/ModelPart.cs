using System.Globalization;
using Glm.Distributed;

namespace Glm.Models;

/// <summary>
/// The part of a model that a process holds: consecutive layers (a pipeline stage), and of each of their matrices the share of its rank in a tensor-parallel group,
/// cut as <see cref="Sharding"/> cuts files.
/// </summary>
/// <param name="Tensors">The ranks that share the matrices.</param>
/// <param name="FirstLayer">The first layer.</param>
/// <param name="EndLayer">The layer after the last one.</param>
/// <param name="HasEmbedding">Whether the part begins with the embedding.</param>
/// <param name="HasHead">Whether the part ends with the last layer norm and the output matrix, which is the embedding.</param>
public sealed record ModelPart(ProcessGroup Tensors, int FirstLayer, int EndLayer, bool HasEmbedding, bool HasHead)
{
    private const string Embedding = "transformer.word_embeddings.weight";
    private static readonly string[] LayerPrefixes = ["transformer.layers.", "transformer.h."];

    /// <summary>
    /// Stage <paramref name="stage"/> of <paramref name="stages"/>. The embedding and the head count as one layer each, so that stages have about the same to do (spec 4.3).
    /// </summary>
    /// <exception cref="GlmException">The model has not as many layers.</exception>
    public static ModelPart Stage(int layers, int stage, int stages, ProcessGroup tensors)
    {
        int units = layers + 2;
        if (stages > units) throw new GlmException($"pipeline_parallel: expected at most {units} for {layers} layers, found {stages}");
        int first = units * stage / stages, end = units * (stage + 1) / stages;
        return new ModelPart(tensors, Math.Clamp(first - 1, 0, layers), Math.Clamp(end - 1, 0, layers), stage == 0, stage == stages - 1);
    }

    /// <summary>The whole model.</summary>
    public static ModelPart Whole(int layers) => Stage(layers, 0, 1, ProcessGroup.Alone);

    /// <summary>Whether the part has a parameter, or a share of it.</summary>
    public bool Has(string name)
    {
        if (IsEmbedding(name)) return HasEmbedding || HasHead;
        return LayerOf(name) is { } layer ? layer >= FirstLayer && layer < EndLayer : HasHead;
    }

    /// <summary>The layer that a parameter belongs to, or null.</summary>
    public static int? LayerOf(string name) => LayerPrefixes.FirstOrDefault(prefix => name.StartsWith(prefix, StringComparison.Ordinal)) is { Length: var start }
        ? int.Parse(name.AsSpan(start, name.IndexOf('.', start) - start), CultureInfo.InvariantCulture) : null;

    /// <summary>Whether a parameter is used before the first layer: the embedding, and a layer norm that follows it.</summary>
    public static bool PrecedesLayers(string name) => name.StartsWith("transformer.word_embeddings", StringComparison.Ordinal);

    /// <summary>Whether a parameter is the embedding, which is the output matrix as well.</summary>
    public static bool IsEmbedding(string name) => name == Embedding;

    /// <summary>Whether this process is the one to count and save a parameter that several have: whole on every tensor-parallel rank, or tied between the ends of a pipeline.</summary>
    public bool Owns(string name) => Has(name) && (!IsEmbedding(name) || HasEmbedding) && (Tensors.Rank == 0 || Sharding.RuleOf(name) != ShardingRule.Replicated);

    /// <summary>Names and shapes of the parameters of this part.</summary>
    /// <exception cref="GlmException">A matrix cannot be shared out among so many ranks.</exception>
    public IEnumerable<(string Name, int[] Shape)> Parameters(Glm130BConfig config) =>
        Glm130B.Shapes(config).Where(parameter => Has(parameter.Name)).Select(parameter => (parameter.Name, Sharding.PartShape(parameter.Name, parameter.Shape, Tensors.Size)));

    /// <summary>What the part's attention sees of the heads.</summary>
    /// <exception cref="GlmException">The heads cannot be shared out.</exception>
    internal ModelShape Shape(ModelShape whole)
    {
        int heads = whole.Heads.Heads;
        if (heads % Tensors.Size != 0) throw new GlmException($"tensor_parallel: expected a divisor of the {heads} attention heads, found {Tensors.Size}");
        int mine = heads / Tensors.Size;
        return whole with { Heads = Glm.Tensors.HeadLayout.Interleaved(mine, whole.Heads.HeadSize) with { FirstHead = mine * Tensors.Rank, AllHeads = heads } };
    }
}
