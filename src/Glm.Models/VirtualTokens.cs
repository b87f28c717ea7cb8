using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// Trained keys and values that every token of every sequence sees (P-Tuning v2, ChatGLM spec 14.1). They have no positions: keys are not rotated, and the positions of a
/// sequence begin at 0 as without them.
/// </summary>
public sealed class VirtualTokens
{
    private VirtualTokens(int count, IReadOnlyList<Tensor> layers) => (Count, Layers) = (count, layers);

    /// <summary>Number of virtual tokens.</summary>
    public int Count { get; }

    /// <summary>Memory they take.</summary>
    internal long Bytes => Layers.Sum(layer => layer.Bytes);

    /// <summary>For each layer rows of its fused projection <c>[tokens, queries, keys and values]</c>, whose queries mean nothing. What is trained.</summary>
    public IReadOnlyList<Tensor> Layers { get; }

    /// <summary>Virtual tokens that are, to begin with, rows of the fused projections of a model, rotated as they are there.</summary>
    /// <param name="layers">For each layer float32 rows <c>[tokens, queries, keys and values]</c>.</param>
    public static VirtualTokens FromProjections(IReadOnlyList<Tensor> layers) => new(layers[0].Rows, layers);

    /// <summary>The keys and values in the layout of files (<see cref="Of"/>).</summary>
    internal Tensor KeyValues(ModelShape shape)
    {
        var heads = shape.Heads;
        int size = heads.HeadSize, columns = 2 * shape.Layers * heads.KeyValueHeads * size;
        float[] values = new float[Count * columns];
        for (int layer = 0; layer < Layers.Count; layer++)
        {
            float[] rows = Layers[layer].ToArray();
            for (int token = 0; token < Count; token++)
                for (int head = 0; head < heads.KeyValueHeads; head++)
                {
                    var row = rows.AsSpan(token * Layers[layer].Columns, Layers[layer].Columns);
                    int target = token * columns + (2 * layer * heads.KeyValueHeads + head) * size, place = head * heads.KeyValueStride;
                    row.Slice(heads.KeyOffset + place, size).CopyTo(values.AsSpan(target));
                    row.Slice(heads.ValueOffset + place, size).CopyTo(values.AsSpan(target + heads.KeyValueHeads * size));
                }
        }
        return Tensor.From(values, Count, columns);
    }

    /// <summary>The virtual tokens of a model.</summary>
    /// <param name="shape">The model's.</param>
    /// <param name="keyValues">By token, then layer, then key and value, then head <c>[count, 2 x layers x heads x head size]</c>.</param>
    internal static VirtualTokens Of(ModelShape shape, Tensor keyValues)
    {
        var heads = shape.Heads;
        int count = keyValues.Rows, size = heads.HeadSize, width = (heads.Heads + 2 * heads.KeyValueHeads) * size;
        float[] values = keyValues.ToArray();
        var layers = new Tensor[shape.Layers];
        for (int layer = 0; layer < layers.Length; layer++)
        {
            float[] rows = new float[count * width];
            for (int token = 0; token < count; token++)
                for (int head = 0; head < heads.KeyValueHeads; head++)
                {
                    var row = rows.AsSpan(token * width, width);
                    int source = token * keyValues.Columns + (2 * layer * heads.KeyValueHeads + head) * size, place = head * heads.KeyValueStride;
                    values.AsSpan(source, size).CopyTo(row[(heads.KeyOffset + place)..]);
                    values.AsSpan(source + heads.KeyValueHeads * size, size).CopyTo(row[(heads.ValueOffset + place)..]);
                }
            layers[layer] = Tensor.From(rows, count, width);
        }
        return new VirtualTokens(count, layers);
    }

    /// <summary>Attention inside segments of whole sequences, each of which sees the virtual tokens as well.</summary>
    /// <param name="context">Where to run.</param>
    /// <param name="segments">The segments, without virtual tokens.</param>
    /// <param name="attention">The model's attention inside given segments.</param>
    internal LanguageModel.Attend Within(Context context, AttentionSegment[] segments, Func<AttentionSegment[], LanguageModel.Attend> attention)
    {
        // The virtual tokens are put before the rows of every segment, and what they attend to is dropped.
        var rows = new List<int>();
        int[] back = new int[segments.Sum(segment => segment.Length)];
        var longer = new AttentionSegment[segments.Length];
        for (int i = 0; i < segments.Length; i++)
        {
            var (start, length, division) = segments[i];
            longer[i] = new AttentionSegment(rows.Count, Count + length, division == 0 ? 0 : Count + division);
            rows.AddRange(Enumerable.Range(0, Count));
            for (int row = start; row < start + length; row++)
            {
                back[row] = rows.Count;
                rows.Add(Count + row);
            }
        }
        var attend = attention(longer);
        return (qkv, layer) =>
        {
            var attended = attend(context.SelectRows(context.Prepend(Layers[layer], qkv), context.Integers([.. rows])), layer);
            return context.SelectRows(attended, context.Integers(back));
        };
    }
}
