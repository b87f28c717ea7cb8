namespace Glm.Tensors;

/// <summary>Where other processes have a part in a value, or in its gradient.</summary>
public static unsafe class ThroughOperation
{
    /// <summary>
    /// y = forward(x), dx = backward(dy), both of which change the elements in their place; null leaves them as they are. With collectives this is the pair of
    /// tensor parallelism: a sum over ranks on the way forward and nothing on the way back, or the other way round.
    /// </summary>
    /// <param name="context">Where to run.</param>
    /// <param name="x">Input, which becomes y: nothing else may read it if <paramref name="forward"/> is given.</param>
    /// <param name="forward">Changes x.</param>
    /// <param name="backward">Changes the float32 gradient of y, which is complete by then.</param>
    public static Tensor Through(this Context context, Tensor x, Action<Tensor>? forward, Action<Tensor>? backward)
    {
        forward?.Invoke(x);
        if (!context.Recording) return x;
        var y = x.Reshape(x.Shape); // the same memory with a gradient of its own
        context.Record(y, x.RequiresGradient, () =>
        {
            var dy = y.Gradient!;
            backward?.Invoke(dy);
            if (x.Gradient is null) x.Gradient = dy;
            else
            {
                var dx = x.Gradient;
                int columns = dx.Columns;
                context.ForRows(dx.Rows, (start, end, _) =>
                    Vectors.Axpby(1, dy.Floats + (long)start * columns, 1, dx.Floats + (long)start * columns, (end - start) * columns));
            }
        });
        return y;
    }
}
