using System.Text.Json.Serialization;
using Glm.Tensors;

namespace Glm.Training;

/// <summary>The type in which a run computes; master weights, sums, weights' gradients and the loss are float32 in all.</summary>
public enum Precision
{
    /// <summary>Weights and activations in float32.</summary>
    [JsonStringEnumMemberName("float32")]
    Float32,

    /// <summary>Matrices and activations in bfloat16.</summary>
    [JsonStringEnumMemberName("bfloat16")]
    BFloat16,

    /// <summary>
    /// Matrices, activations and activations' gradients in binary16, every operation's result rounded with overflow to infinity, under a dynamic loss scale: as
    /// GLM-130B was trained (spec 4.1). On processors without arithmetic of that kind it is for study, not for speed.
    /// </summary>
    [JsonStringEnumMemberName("float16")]
    Float16,
}

/// <summary>What follows from a precision.</summary>
public static class Precisions
{
    /// <summary>The type of matrices and activations.</summary>
    public static DType ActivationType(this Precision precision) => precision switch
    {
        Precision.BFloat16 => DType.BFloat16,
        Precision.Float16 => DType.Float16,
        _ => DType.Float32,
    };
}
