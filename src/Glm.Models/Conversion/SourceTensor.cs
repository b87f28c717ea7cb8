using Glm.Tensors;

namespace Glm.Models;

/// <summary>A tensor of the source of a conversion. Reading it gives a view of a mapped file, or a copy of one tensor alone.</summary>
/// <param name="Name">Its name in the architecture.</param>
/// <param name="Type">What it is stored as.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Load">Reads it.</param>
internal sealed record SourceTensor(string Name, DType Type, int[] Shape, Func<Tensor> Load)
{
    /// <summary>The scales of a matrix that is quantised by row, under a name of their own.</summary>
    public SourceTensor? Scales { get; init; }

    /// <summary>Whether the architecture has it; what else a checkpoint holds passes as it is.</summary>
    public bool IsParameter { get; init; } = true;
}
