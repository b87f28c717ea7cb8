namespace Glm.Tensors;

/// <summary>What a query has seen of some keys: the maximum m of its scores s, the sum l of e^(s - m), the vector o of e^(s - m) v.</summary>
internal readonly unsafe struct PartialAttention(float* memory, int row, int size)
{
    /// <summary>Memory of one query.</summary>
    public static int Floats(int size) => size + 2;

    /// <summary>o <c>[size]</c>.</summary>
    public float* Sums => memory + (long)row * Floats(size);

    /// <summary>l.</summary>
    public float* Total => Sums + size;

    private float* Max => Total + 1;

    /// <summary>No keys seen.</summary>
    public void Clear()
    {
        new Span<float>(Sums, size + 1).Clear();
        *Max = float.NegativeInfinity;
    }

    /// <summary>Takes in the scores of some keys, which become weights; the caller adds the values times them to <see cref="Sums"/>.</summary>
    public void TakeScores(float* scores, int keys)
    {
        float larger = Math.Max(*Max, Vectors.Max(scores, keys)), factor = MathF.Exp(*Max - larger);
        *Total = *Total * factor + Vectors.ExpSum(scores, larger, keys);
        *Max = larger;
        if (factor != 1) Vectors.Scale(factor, Sums, size);
    }

    /// <summary>Takes in what the query has seen of other keys.</summary>
    public void Add(PartialAttention other)
    {
        float larger = Math.Max(*Max, *other.Max), factor = MathF.Exp(*Max - larger), otherFactor = MathF.Exp(*other.Max - larger);
        *Total = *Total * factor + *other.Total * otherFactor;
        *Max = larger;
        Vectors.Axpby(otherFactor, other.Sums, factor, Sums, size);
    }
}
