namespace Glm.Tensors;

/// <summary>Activation recomputation: a segment keeps its input alone and runs again in the backward pass (paper section 2.4).</summary>
public static class Recomputation
{
    /// <summary>
    /// Runs <paramref name="segment"/> on <paramref name="x"/> without keeping what it computed on the way; the backward pass runs it once more from
    /// the same random counter, recorded, and goes back through it. Values and gradients are those of the segment itself, bit for bit.
    /// </summary>
    /// <param name="context">Where to run.</param>
    /// <param name="x">The segment's input.</param>
    /// <param name="segment">A function of x whose output has the shape of x, such as one layer.</param>
    public static Tensor Recompute(this Context context, Tensor x, Func<Tensor, Tensor> segment)
    {
        return context.Recording ? RecordSegment(context, x, segment) : segment(x);
    }

    private static Tensor RecordSegment(Context context, Tensor x, Func<Tensor, Tensor> segment)
    {
        ulong stream = context.Stream;
        var y = context.New(x.Shape);
        var mark = context.Arena.Mark;
        var tape = context.SwapTape(null);
        y.CopyFrom(segment(x));
        context.SwapTape(tape);
        context.Arena.Release(mark);
        // Whether the segment trains weights of its own is not known before it is recorded, so it always counts as wanted.
        context.Record(y, wanted: true, () =>
        {
            if (x.RequiresGradient)
            {
                // The gradient of the input outlives the segment, so it is allocated below the mark.
                var gradient = context.GradientOf(x, out bool first);
                if (first) gradient.Clear();
            }
            var inner = context.Arena.Mark;
            ulong later = context.Stream;
            context.Stream = stream;
            var segmentTape = new Tape();
            var outerTape = context.SwapTape(segmentTape);
            var again = segment(x);
            context.SwapTape(outerTape);
            again.Gradient = y.Gradient;
            segmentTape.Run();
            context.Stream = later;
            context.Arena.Release(inner);
        });
        return y;
    }
}
