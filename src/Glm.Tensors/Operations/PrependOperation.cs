namespace Glm.Tensors;

/// <summary>Rows put before other rows.</summary>
public static unsafe class PrependOperation
{
    /// <summary>The rows of <paramref name="first"/>, then those of <paramref name="x"/>, in the type of x; going back, each has its part of the gradient.</summary>
    /// <param name="context">Where to run.</param>
    /// <param name="first"><c>[a, columns]</c>, such as virtual tokens.</param>
    /// <param name="x"><c>[b, columns]</c>.</param>
    /// <returns><c>[a + b, columns]</c>.</returns>
    public static Tensor Prepend(this Context context, Tensor first, Tensor x)
    {
        if (first.Columns != x.Columns) throw new ArgumentException($"rows of {first} cannot stand before rows of {x}", nameof(first));
        var all = context.Arena.Allocate(x.Type, first.Rows + x.Rows, x.Columns);
        all.Slice(0, first.Rows).CopyFrom(first);
        all.Slice(first.Rows, x.Rows).CopyFrom(x);
        if (context.Recording) RecordBackward(context, first, x, all);
        return all;
    }

    private static void RecordBackward(Context context, Tensor first, Tensor x, Tensor all) =>
        context.Record(all, first.RequiresGradient || x.RequiresGradient, () =>
        {
            Add(first, all.Gradient!.Slice(0, first.Rows));
            Add(x, all.Gradient!.Slice(first.Rows, x.Rows));

            void Add(Tensor input, Tensor gradient)
            {
                if (!input.RequiresGradient) return;
                var target = context.GradientOf(input, out bool isNew);
                Vectors.Axpby(1, gradient.Floats, isNew ? 0 : 1, target.Floats, checked((int)gradient.Count));
            }
        });
}
