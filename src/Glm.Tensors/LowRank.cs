namespace Glm.Tensors;

/// <summary>What a low-rank adapter adds to the product with a weight W: x W^T + (x Down^T) Up^T, the factor of the adapter being part of Up.</summary>
/// <param name="Down"><c>[rank, in]</c>.</param>
/// <param name="Up"><c>[out, rank]</c>.</param>
public sealed record LowRank(Tensor Down, Tensor Up);
