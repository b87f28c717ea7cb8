using Glm.Tensors;

namespace Glm.Models;

/// <summary>Cosines and sines of the rotary embedding (spec 1.5): angle[p, j] = p x base^(-2j / head size).</summary>
public sealed class RotaryTables
{
    /// <summary>Tables for positions 0 to <paramref name="positions"/> - 1.</summary>
    public RotaryTables(int positions, int headSize, RotaryMode mode, double rotaryBase = 10000)
    {
        int half = headSize / 2;
        float[] cos = new float[positions * half], sin = new float[positions * half];
        for (int j = 0; j < half; j++)
        {
            float inverseFrequency = (float)(1 / Math.Pow(rotaryBase, 2.0 * j / headSize));
            if (mode != RotaryMode.Exact) inverseFrequency = Rounded(inverseFrequency);
            for (int p = 0; p < positions; p++)
            {
                float angle = p * inverseFrequency;
                if (mode == RotaryMode.Fp16Table) angle = Rounded(angle);
                (double s, double c) = Math.SinCos(angle);
                (cos[p * half + j], sin[p * half + j]) = mode == RotaryMode.Fp16Table ? (Rounded((float)c), Rounded((float)s)) : ((float)c, (float)s);
            }
        }
        Cos = Tensor.From(cos, positions, half);
        Sin = Tensor.From(sin, positions, half);
    }

    /// <summary>Float32 <c>[positions, head size / 2]</c>.</summary>
    public Tensor Cos { get; }

    /// <summary>Float32 <c>[positions, head size / 2]</c>.</summary>
    public Tensor Sin { get; }

    private static float Rounded(float value) => (float)(Half)value;
}
