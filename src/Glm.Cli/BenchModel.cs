using Glm.Models;
using Glm.Tensors;

namespace Glm.Cli;

/// <summary>The models that <c>glm bench</c> takes: a GGUF file, a model directory, or a named shape, which gets random weights.</summary>
internal static class BenchModel
{
    /// <summary>Opens a model; quantised matrices are packed for the kernels.</summary>
    /// <inheritdoc cref="ModelFile.Open"/>
    public static LimitedMemory Open(string? path, Workers workers, long? memory, int tokens, Terminal terminal, bool quiet, CancellationToken cancellation)
    {
        string location = ModelLocation.OrShipped(path);
        if (Directory.Exists(location) || File.Exists(location)) return ModelFile.Open(location, workers, memory, tokens, terminal, quiet, cancellation);
        if (Presets.Find(location) is { } shape) return new LimitedMemory(Random(location, shape), null, 0);
        throw new GlmException($"{location}: expected a GGUF file, the directory of a model, or one of {string.Join(", ", Presets.All.Keys)}");
    }

    /// <summary>Weights that mean nothing, in bfloat16; speed does not depend on their values.</summary>
    private static Glm130B Random(string name, Glm130BConfig shape)
    {
        long bytes = ModelSize.WeightBytes(shape, DType.BFloat16), free = Machine.FreeMemory();
        if (bytes > free) throw new GlmException($"{name}: expected {Units.Bytes(bytes)} of free memory for random weights, found {Units.Bytes(free)}");
        ulong stream = 0;
        return new Glm130B(shape, parameter => RandomTensor(shape, parameter, ++stream));
    }

    private static Tensor RandomTensor(Glm130BConfig config, string name, ulong stream)
    {
        int[] shape = config.Parameters().First(p => p.Name == name).Shape;
        var tensor = Tensor.Zeros(DType.Float32, shape);
        if (shape.Length == 1)
        {
            if (name.EndsWith("layernorm.weight", StringComparison.Ordinal)) TensorMath.Fill(tensor, 1);
            return tensor;
        }
        TensorMath.FillNormal(tensor, 0.02, seed: 1, stream);
        return tensor.To(DType.BFloat16);
    }
}
