namespace Glm.Tensors;

/// <summary>
/// How attention rounds its scores where activations are binary16 (spec 1.6); in other contexts scores are float32 and nothing of this is used.
/// </summary>
/// <param name="LayerScale">
/// c: scores are stored as Q K^T / (sqrt(d) c) and multiplied by c again in the float32 softmax, so that large ones do not overflow (query-key layer scaling).
/// </param>
/// <param name="HalfSoftmax">
/// Whether the softmax is computed in binary16 too, differences, exponentials, their sum and the quotients each rounded: what diverged at GLM-130B's scale
/// (paper section 2.3). Then nothing undoes the scaling, and c should be 1.
/// </param>
public readonly record struct ScorePrecision(float LayerScale = 1, bool HalfSoftmax = false)
{
    /// <summary>Scores as they are. (Of a struct, defaults of parameters do not count where none is given.)</summary>
    public ScorePrecision() : this(LayerScale: 1) { }
}

/// <summary>The steps of a row of scores in binary16, forward and back; numbers lie as float32 and are rounded after every step.</summary>
internal readonly unsafe struct HalfScores(ScorePrecision precision)
{
    /// <summary>c (<see cref="ScorePrecision.LayerScale"/>).</summary>
    public float LayerScale => precision.LayerScale;

    /// <summary>Scores as the softmax reads them, from products that have not been rounded yet.</summary>
    public void ReadScores(float* row, int count)
    {
        Round(row, count);
        if (!precision.HalfSoftmax) Vectors.Scale(precision.LayerScale, row, count);
    }

    /// <summary>Scores to probabilities.</summary>
    public void Softmax(float* row, int count)
    {
        float max = Vectors.Max(row, count), sum;
        if (precision.HalfSoftmax)
        {
            for (int j = 0; j < count; j++) row[j] -= max;
            Round(row, count);
            Vectors.ExpSum(row, 0, count);
            Round(row, count);
            sum = (float)(Half)Vectors.Sum(row, count);
        }
        else sum = Vectors.ExpSum(row, max, count);
        for (int j = 0; j < count; j++) row[j] /= sum;
        Round(row, count);
    }

    /// <summary>The gradient of scores as they were stored, from probabilities p and their gradient, in its place: c p (dp - sum of p dp), softmax backward.</summary>
    public void Backward(float* p, float* gradient, int count)
    {
        float sum = Vectors.Dot(p, gradient, count);
        float factor = precision.HalfSoftmax ? 1 : precision.LayerScale;
        for (int j = 0; j < count; j++) gradient[j] = factor * p[j] * (gradient[j] - sum);
        Round(gradient, count);
    }

    /// <summary>Rounds numbers to binary16.</summary>
    public static void Round(float* values, int count) => Conversion.RoundToHalf(values, count, Isa.Current);
}
