using Glm.Tensors;

namespace Glm.Models;

/// <summary>Position ids of some tokens, as a forward pass reads them.</summary>
/// <param name="Tokens">Int32 <c>[tokens]</c>; tokens may share one.</param>
/// <param name="Blocks">Positions inside the blank that is filled, int32 <c>[tokens]</c>, 0 in the context; null for models with one axis.</param>
public readonly record struct Positions(Tensor Tokens, Tensor? Blocks = null)
{
    /// <summary>The second axis of a model that has two.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    internal Tensor RequiredBlocks => Blocks ?? throw new ArgumentException("this model has positions on two axes, and one was given");

    /// <summary>Positions of a model with one axis.</summary>
    public static implicit operator Positions(Tensor tokens) => new(tokens);
}

/// <summary>Where a sequence fills a blank: what its positions follow from, whatever the model.</summary>
/// <param name="Division">Length of the context, which the model sees in both directions; the token after it is <c>sop</c>. 0 or 1 in a causal model.</param>
/// <param name="Mask">Index of the blank's token in the context.</param>
/// <param name="RunsOn">Whether the blank is <c>[gMASK]</c>, a continuation, where positions on a single axis run on (spec 1.8).</param>
public readonly record struct BlankPlace(int Division, int Mask, bool RunsOn);
