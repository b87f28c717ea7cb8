using System.Runtime.InteropServices;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>Row-wise INT8 and INT4 of the original (spec 6.1): the four matrices of every layer; embedding, biases and layer norms stay as they are.</summary>
public static class Quantization
{
    private const int BlockRows = 64;

    /// <summary>A model whose matrices are quantised from their weights rounded to float16. Everything else is shared with <paramref name="model"/>.</summary>
    /// <param name="model">A model with floating-point matrices.</param>
    /// <param name="bits">8 or 4.</param>
    /// <param name="workers">The threads to use.</param>
    /// <param name="progress">Told the share of the matrices that are done.</param>
    /// <param name="cancel">Stops between matrices.</param>
    /// <exception cref="GlmException">Another number of bits, a model that is quantised already, weights that are not finite in float16, or an odd width for INT4.</exception>
    public static LanguageModel Quantize(LanguageModel model, int bits, Workers workers, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        var type = bits switch
        {
            8 => DType.Int8,
            4 => DType.Int4,
            _ => throw new GlmException($"quantisation: expected 8 or 4 bits, found {bits}"),
        };
        var tensors = model.Parameters.ToDictionary(p => p.Name, p => p.Tensor);
        string[] names = [.. tensors.Keys.Where(model.Config.IsQuantizable)];
        for (int i = 0; i < names.Length; i++)
        {
            cancel.ThrowIfCancellationRequested();
            var weight = tensors[names[i]];
            if (!weight.Type.IsFloat()) throw new GlmException($"{names[i]}: expected floating-point weights to quantise, found {weight}");
            tensors[names[i]] = Quantize(names[i], weight, type, workers);
            progress?.Report((i + 1.0) / names.Length);
        }
        return model.With(name => tensors[name]);
    }

    /// <summary>A matrix <c>[out, in]</c> quantised by output row and input segment.</summary>
    /// <param name="name">What to name in errors.</param>
    /// <param name="weight">The matrix, of a floating-point type, or of blocks, which are decoded a few rows at a time.</param>
    /// <param name="type"><see cref="DType.Int8"/> or <see cref="DType.Int4"/>.</param>
    /// <param name="workers">The threads to use.</param>
    /// <param name="segments">Parts of the input with scales of their own, as in a file that is quantised per tensor-parallel shard.</param>
    /// <exception cref="GlmException">The weights cannot be quantised.</exception>
    public static Tensor Quantize(string name, Tensor weight, DType type, Workers workers, int segments = 1)
    {
        if (!weight.Type.IsFloat() && !weight.Type.IsBlock()) throw new GlmException($"{name}: expected floating-point weights to quantise, found {weight}");
        int rows = weight.Rows, columns = weight.Columns, packedColumns = (int)type.Bytes(columns);
        Tensor packed = Tensor.Allocate(DType.Int8, rows, packedColumns), scales = Tensor.Allocate(DType.Float16, segments, rows);
        workers.For((rows + BlockRows - 1) / BlockRows, (block, _) =>
        {
            int start = block * BlockRows, count = Math.Min(BlockRows, rows - start);
            byte[] halves = new byte[2L * count * columns], integers = new byte[count * packedColumns], blockScales = new byte[2 * segments * count];
            weight.Slice(start, count).To(DType.Float16).CopyBytesTo(halves);
            try
            {
                RowQuantizer.Quantize(MemoryMarshal.Cast<byte, Half>(halves), columns, segments, type, integers, MemoryMarshal.Cast<byte, Half>(blockScales.AsSpan()));
            }
            catch (GlmException error)
            {
                throw new GlmException($"{name}, rows from {start}: {error.Message}", error);
            }
            packed.CopyBytesFrom(integers, (long)start * packedColumns);
            for (int segment = 0; segment < segments; segment++)
                scales.CopyBytesFrom(blockScales.AsSpan(2 * segment * count, 2 * count), 2L * (segment * rows + start));
        });
        return packed.AsQuantized(rows, columns, scales);
    }

    /// <summary>The float16 weights fp16(integer x scale) that a matrix quantised by row stands for.</summary>
    public static Tensor Dequantize(Tensor weight, Workers workers)
    {
        if (weight.Scales is not { } scales) throw new ArgumentException($"{weight} is not quantised by row", nameof(weight));
        int rows = weight.Rows, columns = weight.Columns, segments = scales.Rows, packedColumns = (int)weight.Type.Bytes(columns);
        var dense = Tensor.Allocate(DType.Float16, rows, columns);
        workers.For((rows + BlockRows - 1) / BlockRows, (block, _) =>
        {
            int start = block * BlockRows, count = Math.Min(BlockRows, rows - start);
            byte[] halves = new byte[2 * count * columns], integers = new byte[count * packedColumns], blockScales = new byte[2 * segments * count];
            weight.CopyBytesTo(integers, (long)start * packedColumns);
            for (int segment = 0; segment < segments; segment++) scales.CopyBytesTo(blockScales.AsSpan(2 * segment * count, 2 * count), 2L * ((long)segment * rows + start));
            RowQuantizer.Dequantize(integers, columns, segments, weight.Type, MemoryMarshal.Cast<byte, Half>(blockScales), MemoryMarshal.Cast<byte, Half>(halves.AsSpan()));
            dense.CopyBytesFrom(halves, 2L * start * columns);
        });
        return dense;
    }
}
