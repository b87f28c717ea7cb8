using System.Runtime.CompilerServices;

namespace Glm.Tensors;

/// <summary>What happens to finished sums on their way to memory.</summary>
internal static unsafe class Epilogue
{
    /// <summary>
    /// target = fma(alpha, sums, beta * previous) + bias for <paramref name="count"/> elements; <paramref name="previous"/> and
    /// <paramref name="bias"/> may be null, <paramref name="target"/> may be one of the others.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<V, L>(float* sums, float alpha, float* previous, float beta, float* bias, float* target, int count)
        where V : struct where L : struct, ILanes<V>
    {
        V alphas = L.Create(alpha), betas = L.Create(beta);
        int i = 0;
        for (; i + L.Count <= count; i += L.Count)
        {
            V value = previous is null
                ? L.Multiply(alphas, L.Load(sums + i))
                : L.Fma(alphas, L.Load(sums + i), L.Multiply(betas, L.Load(previous + i)));
            if (bias is not null) value = L.Add(value, L.Load(bias + i));
            L.Store(value, target + i);
        }
        for (; i < count; i++)
        {
            float value = previous is null ? alpha * sums[i] : MathF.FusedMultiplyAdd(alpha, sums[i], beta * previous[i]);
            target[i] = bias is not null ? value + bias[i] : value;
        }
    }
}
