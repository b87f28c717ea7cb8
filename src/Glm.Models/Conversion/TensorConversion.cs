using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>Turns tensors of a source into entries of files, a few rows at a time, so that no more than the source's tensor is ever in memory.</summary>
/// <param name="workers">Threads to quantise with.</param>
/// <param name="written">Told the bytes of each part that is written.</param>
internal sealed class TensorConversion(Workers workers, Action<long> written)
{
    private const long PartBytes = 4 << 20;

    /// <summary>The matrix that was quantised last: its integers and its scales are often written one after the other.</summary>
    private (SourceTensor Source, DType Type, Tensor Quantized)? _last;

    /// <summary>The entries of a tensor: itself and, if it is quantised by row, its scales.</summary>
    /// <param name="source">The tensor.</param>
    /// <param name="type">What it becomes.</param>
    /// <param name="name">What it is called in the file, if not as in the architecture.</param>
    public IEnumerable<TensorEntry> Entries(SourceTensor source, DType type, string? name = null)
    {
        name ??= source.Name;
        if (type is DType.Int8 or DType.Int4 && (source.Type.IsFloat() || source.Type.IsBlock()))
        {
            yield return new TensorEntry(name, type, source.Shape, () => Told(Quantized(source, type), last: false));
            yield return new TensorEntry(StoredParameters.ScaleName(name), DType.Float16, [source.Shape[0]], () => Told(Quantized(source, type).Scales!.Reshape(source.Shape[0]), last: true));
            yield break;
        }
        yield return new TensorEntry(name, type, source.Shape, () => Converted(source, type));
        if (source.Scales is { } scales) yield return new TensorEntry(scales.Name, scales.Type, scales.Shape, () => Converted(scales, scales.Type));
    }

    private IEnumerable<Tensor> Told(Tensor tensor, bool last)
    {
        yield return tensor;
        if (last) _last = null;
        written(tensor.Bytes);
    }

    private Tensor Quantized(SourceTensor source, DType type)
    {
        if (_last is { } last && last.Source == source && last.Type == type) return last.Quantized;
        _last = null;
        var weight = source.Load();
        var quantized = Quantization.Quantize(source.Name, weight, type, workers);
        weight.ReleasePages();
        _last = (source, type, quantized);
        return quantized;
    }

    private IEnumerable<Tensor> Converted(SourceTensor source, DType type)
    {
        var tensor = source.Load();
        // Vectors are small, and what is quantised by row is copied as it is.
        if (tensor.Shape.Length != 2 || tensor.Scales is not null)
        {
            var whole = tensor.Type == type || tensor.Scales is not null ? tensor : tensor.To(type);
            yield return whole;
            tensor.ReleasePages();
            written(whole.Bytes);
            yield break;
        }
        int step = (int)Math.Clamp(PartBytes / DType.Float32.Bytes(tensor.Columns), 1, tensor.Rows);
        Tensor? floats = tensor.Type == type ? null : Tensor.Allocate(DType.Float32, step, tensor.Columns), result = tensor.Type == type ? null : Tensor.Allocate(type, step, tensor.Columns);
        for (int start = 0; start < tensor.Rows; start += step)
        {
            int count = Math.Min(step, tensor.Rows - start);
            var rows = tensor.Slice(start, count);
            var part = rows;
            if (floats is not null)
            {
                floats.Slice(0, count).CopyFrom(rows);
                part = result!.Slice(0, count);
                try
                {
                    part.CopyFrom(floats.Slice(0, count));
                }
                catch (GlmException error)
                {
                    throw new GlmException($"{source.Name}, rows from {start}: {error.Message}", error);
                }
            }
            yield return part;
            rows.ReleasePages();
            written(part.Bytes);
        }
    }
}
