using Glm.Tensors;

namespace Glm.Models;

/// <summary>Cosines and sines of the rotary embedding (spec 1.5): angle[p, j] = p / scale x base^(-2j / width).</summary>
public sealed class RotaryTables
{
    /// <summary>Tables for positions 0 to <paramref name="positions"/> - 1.</summary>
    /// <param name="positions">Number of positions.</param>
    /// <param name="width">Elements of a head that are rotated.</param>
    /// <param name="mode">Rounding.</param>
    /// <param name="rotaryBase">The base of the frequencies.</param>
    /// <param name="positionScale">What positions are divided by, to interpolate between those of a shorter training (ChatGLM spec 3.4).</param>
    public RotaryTables(int positions, int width, RotaryMode mode, double rotaryBase = 10000, double positionScale = 1)
    {
        int half = width / 2;
        float[] cos = new float[positions * half], sin = new float[positions * half];
        for (int j = 0; j < half; j++)
        {
            float inverseFrequency = (float)(1 / Math.Pow(rotaryBase, 2.0 * j / width));
            if (mode != RotaryMode.Exact) inverseFrequency = Rounded(inverseFrequency);
            for (int p = 0; p < positions; p++)
            {
                float angle = (float)(p / positionScale) * inverseFrequency;
                if (mode == RotaryMode.Fp16Table) angle = Rounded(angle);
                (double s, double c) = Math.SinCos(angle);
                (cos[p * half + j], sin[p * half + j]) = mode == RotaryMode.Fp16Table ? (Rounded((float)c), Rounded((float)s)) : ((float)c, (float)s);
            }
        }
        Cos = Tensor.From(cos, positions, half);
        Sin = Tensor.From(sin, positions, half);
    }

    /// <summary>Float32 <c>[positions, width / 2]</c>.</summary>
    public Tensor Cos { get; }

    /// <summary>Float32 <c>[positions, width / 2]</c>.</summary>
    public Tensor Sin { get; }

    private static float Rounded(float value) => (float)(Half)value;
}
