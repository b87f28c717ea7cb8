using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models.Tests;

/// <summary>
/// The tensor-parallel shards of an original checkpoint put together (spec 7.3), as the checkpoints' mirrors hold them. Quantised matrices that are cut
/// along their input keep one segment of scales per shard.
/// </summary>
internal static class OriginalShards
{
    /// <summary>The names of checkpoints in a folder of <c>NAME.mp_rank_NN.safetensors</c>.</summary>
    public static IEnumerable<string> Names(string folder) =>
        Directory.GetFiles(folder, "*.mp_rank_*.safetensors").Select(file => Path.GetFileName(file).Split('.')[0]).Distinct().Order();

    public static SafetensorsFile[] Open(string folder, string name) =>
        [.. Directory.GetFiles(folder, $"{name}.mp_rank_*.safetensors").Order().Select(SafetensorsFile.Open)];

    /// <summary>The whole model's parameters.</summary>
    public static IEnumerable<(string Name, Tensor Tensor)> Merge(Glm130BConfig config, SafetensorsFile[] shards)
    {
        foreach (var (name, shape) in Glm130B.Shapes(config))
        {
            Tensor[] parts = [.. shards.Select(shard => shard[name])];
            bool quantized = shards[0].Find(name + "_scale", out _);
            Tensor[] scales = quantized ? [.. shards.Select(shard => shard[name + "_scale"])] : [];
            var tensor = CutAlongInput(name) ? Columns(parts) : name.Contains("dense_h_to_4h") ? Gated(parts) : Replicated(name) ? parts[0] : Rows(parts);
            if (quantized)
                tensor = tensor.AsQuantized(shape[0], shape[1],
                    CutAlongInput(name) ? Rows(scales).Reshape(shards.Length, shape[0]) : name.Contains("dense_h_to_4h") ? Gated(scales) : Rows(scales));
            yield return (name, tensor);
        }
    }

    /// <summary>Whether a matrix is cut along its input dimension.</summary>
    public static bool CutAlongInput(string name) => name.EndsWith("attention.dense.weight", StringComparison.Ordinal) || name.EndsWith("dense_4h_to_h.weight", StringComparison.Ordinal);

    private static bool Replicated(string name) =>
        name.Contains("layernorm") || name.EndsWith("attention.dense.bias", StringComparison.Ordinal) || name.EndsWith("dense_4h_to_h.bias", StringComparison.Ordinal);

    /// <summary>One below the other.</summary>
    private static Tensor Rows(params Tensor[] parts)
    {
        int[] shape = parts[0].Shape.ToArray();
        shape[0] = parts.Sum(part => part.Shape[0]);
        var whole = Tensor.Allocate(parts[0].Type, shape);
        long offset = 0;
        foreach (var part in parts)
        {
            whole.CopyBytesFrom(Bytes(part), offset);
            offset += part.Bytes;
        }
        return whole;
    }

    /// <summary>Side by side.</summary>
    private static Tensor Columns(Tensor[] parts)
    {
        int rows = parts[0].Rows;
        var whole = Tensor.Allocate(parts[0].Type, rows, parts.Sum(part => part.Columns));
        long offset = 0;
        for (int row = 0; row < rows; row++)
            foreach (var part in parts)
            {
                whole.CopyBytesFrom(Bytes(part.Slice(row, 1)), offset);
                offset += part.Bytes / rows;
            }
        return whole;
    }

    /// <summary>The linear halves of all shards, then the gated halves.</summary>
    private static Tensor Gated(Tensor[] parts)
    {
        int half = parts[0].Shape[0] / 2;
        return Rows([.. parts.Select(part => part.Slice(0, half)), .. parts.Select(part => part.Slice(half, half))]);
    }

    public static byte[] Bytes(Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        tensor.CopyBytesTo(bytes);
        return bytes;
    }
}
