using System.Numerics;

namespace Glm.Inference;

/// <summary>Arithmetic on one row of logits on the host.</summary>
internal static class LogitMath
{
    /// <summary>What the original writes over logits of forbidden tokens: the least float16.</summary>
    public const float Forbidden = -65504;

    /// <summary>log(sum of e^x), computed from the largest x.</summary>
    /// <exception cref="GlmException">A logit is not a number, or none is finite.</exception>
    public static double LogSumExp(ReadOnlySpan<float> x)
    {
        float max = Max(x);
        double sum = 0;
        int width = Vector<float>.Count, i = 0;
        var sums = Vector<float>.Zero;
        for (; i <= x.Length - width; i += width) sums += Vector.Exp(new Vector<float>(x[i..]) - new Vector<float>(max));
        for (; i < x.Length; i++) sum += MathF.Exp(x[i] - max);
        double result = max + Math.Log(sum + Vector.Sum(sums));
        return double.IsFinite(result) ? result : throw new GlmException($"the model's logits are not numbers (their log-sum-exp is {result})");
    }

    /// <summary>The largest value.</summary>
    public static float Max(ReadOnlySpan<float> x)
    {
        int width = Vector<float>.Count, i = 0;
        float max = float.NegativeInfinity;
        var maxima = new Vector<float>(max);
        for (; i <= x.Length - width; i += width) maxima = Vector.Max(maxima, new Vector<float>(x[i..]));
        for (int lane = 0; lane < width; lane++) max = MathF.Max(max, maxima[lane]);
        for (; i < x.Length; i++) max = MathF.Max(max, x[i]);
        return max;
    }

    /// <summary>How many values at the beginning are below a limit.</summary>
    public static int CountBelow(ReadOnlySpan<float> x, float limit)
    {
        int width = Vector<float>.Count, i = 0;
        var limits = new Vector<float>(limit);
        while (i <= x.Length - width && Vector.LessThanAll(new Vector<float>(x[i..]), limits)) i += width;
        while (i < x.Length && x[i] < limit) i++;
        return i;
    }

    /// <summary>Where the largest value stands first.</summary>
    public static int ArgMax(ReadOnlySpan<float> x) => x.IndexOf(Max(x));

    /// <summary>The <paramref name="k"/>-th largest value, k from 1.</summary>
    public static float KthLargest(ReadOnlySpan<float> x, int k)
    {
        if (k == 1) return Max(x);
        var kept = new PriorityQueue<float, float>(k);
        foreach (float value in x)
        {
            if (kept.Count < k) kept.Enqueue(value, value);
            else if (value > kept.Peek()) kept.EnqueueDequeue(value, value);
        }
        return kept.Peek();
    }

    /// <summary>The most probable tokens, the first one first; equal ones by id.</summary>
    public static TokenProbability[] Top(ReadOnlySpan<float> x, int count, float logSum)
    {
        count = Math.Min(count, x.Length);
        float least = KthLargest(x, count);
        var top = new List<TokenProbability>(count + 1);
        for (int i = 0; i < x.Length; i++)
            if (x[i] >= least) top.Add(new TokenProbability(i, x[i] - logSum));
        top.Sort((a, b) => a.LogProbability != b.LogProbability ? b.LogProbability.CompareTo(a.LogProbability) : a.Id.CompareTo(b.Id));
        return [.. top.Take(count)];
    }
}
