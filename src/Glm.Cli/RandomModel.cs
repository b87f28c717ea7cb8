using Glm.Formats;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Cli;

/// <summary>Models of a named shape with weights that mean nothing, to measure speed, which does not depend on their values.</summary>
internal static class RandomModel
{
    private const int PatternValues = 1 << 20;
    private const float Deviation = 0.02f;

    /// <summary>A model in memory, in bfloat16.</summary>
    /// <exception cref="GlmException">There is too little memory.</exception>
    public static LanguageModel InMemory(string name, ModelConfig config)
    {
        long bytes = ModelSize.WeightBytes(config, DType.BFloat16), free = Machine.FreeMemory();
        if (bytes > free) throw new GlmException($"{name}: expected {Units.Bytes(bytes)} of free memory for random weights, found {Units.Bytes(free)}; --precision int4 or --layers makes it smaller");
        var shapes = config.Parameters().ToDictionary(p => p.Name, p => p.Shape);
        return config.Create(parameter => Dense(parameter, shapes[parameter], shapes[parameter].Length == 1 ? DType.Float32 : DType.BFloat16));
    }

    /// <summary>Writes a model directory whose layers are quantised by row, everything else in 16 bits (spec 6.1); one tensor is in memory at a time.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="config">The shape.</param>
    /// <param name="type">Int8 or Int4.</param>
    /// <param name="cancellation">Stops the writing.</param>
    /// <exception cref="GlmException">The directory cannot be written.</exception>
    public static void Write(string folder, ModelConfig config, DType type, CancellationToken cancellation)
    {
        var entries = new List<TensorEntry>();
        foreach (var (name, shape) in config.Parameters())
        {
            if (!config.IsQuantizable(name))
            {
                var stored = shape.Length == 1 ? DType.Float32 : DType.Float16;
                entries.Add(new TensorEntry(name, stored, shape, () => Dense(name, shape, stored)));
                continue;
            }
            int[] packed = [shape[0], type == DType.Int4 ? shape[1] / 2 : shape[1]];
            entries.Add(new TensorEntry(name, DType.Int8, packed, () => Integers(packed)));
            entries.Add(new TensorEntry(name + "_scale", DType.Float16, [shape[0]], () => Constant(DType.Float16, [shape[0]], Deviation / (type == DType.Int4 ? 4 : 64))));
        }
        Directory.CreateDirectory(folder);
        SafetensorsWriter.Write(Path.Combine(folder, ModelDirectory.WeightsFile), entries, cancel: cancellation);
        File.WriteAllText(Path.Combine(folder, ModelDirectory.ConfigFile), config.ToJson());
    }

    private static Tensor Dense(string name, int[] shape, DType type)
    {
        if (shape.Length == 1) return Constant(type, shape, name.EndsWith("layernorm.weight", StringComparison.Ordinal) ? 1 : 0);
        var pattern = Tensor.Zeros(DType.Float32, PatternValues);
        TensorMath.FillNormal(pattern, Deviation, seed: 1, stream: 1);
        byte[] bytes = new byte[type.Bytes(PatternValues)];
        pattern.To(type).CopyBytesTo(bytes);
        return Repeated(type, shape, bytes);
    }

    private static Tensor Integers(int[] shape)
    {
        byte[] bytes = new byte[PatternValues];
        new Random(1).NextBytes(bytes);
        return Repeated(DType.Int8, shape, bytes);
    }

    private static Tensor Constant(DType type, int[] shape, float value)
    {
        var tensor = Tensor.Zeros(DType.Float32, shape);
        TensorMath.Fill(tensor, value);
        return tensor.To(type);
    }

    /// <summary>A tensor of any size with the same bytes again and again.</summary>
    private static Tensor Repeated(DType type, int[] shape, byte[] bytes)
    {
        var tensor = Tensor.Allocate(type, shape);
        for (long done = 0; done < tensor.Bytes; done += bytes.Length) tensor.CopyBytesFrom(bytes.AsSpan(0, (int)Math.Min(bytes.Length, tensor.Bytes - done)), done);
        return tensor;
    }
}
