namespace Glm.Tensors;

/// <summary>Rounding to binary16 of what is stored as float32.</summary>
public static class HalfRounding
{
    /// <summary>
    /// Rounds float32 numbers in place as activations are rounded, where those are binary16, and their gradient on the way back: logits, a product in binary16
    /// from which the loss is computed in float32. Does nothing in other contexts.
    /// </summary>
    /// <returns><paramref name="x"/>.</returns>
    public static Tensor RoundAsActivation(this Context context, Tensor x)
    {
        if (context.ActivationType != DType.Float16) return x;
        context.RoundToHalf(x);
        if (context.Recording) RecordBackward(context, x);
        return x;
    }

    private static void RecordBackward(Context context, Tensor x) => context.Record(x, x.RequiresGradient, () => context.RoundToHalf(x.Gradient!));
}
