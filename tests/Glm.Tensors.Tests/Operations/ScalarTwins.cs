using Glm.Tensors;

namespace Glm.Tests;

/// <summary>The operations as plain loops in double precision.</summary>
internal static class ScalarTwins
{
    /// <summary>y = x W^T + b</summary>
    public static double[] Linear(double[] x, double[] weight, double[]? bias, int inner)
    {
        int rows = x.Length / inner, columns = weight.Length / inner;
        var y = new double[rows * columns];
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
            {
                double sum = bias?[j] ?? 0;
                for (int k = 0; k < inner; k++) sum += x[i * inner + k] * weight[j * inner + k];
                y[i * columns + j] = sum;
            }
        return y;
    }

    /// <summary>y = (x - mean) / sqrt(variance + epsilon) g + b</summary>
    public static double[] LayerNorm(double[] x, double[] gain, double[] bias, double epsilon)
    {
        int width = gain.Length;
        return [.. x.Chunk(width).SelectMany(row =>
        {
            double mean = row.Average(), variance = row.Select(v => (v - mean) * (v - mean)).Average();
            return row.Select((v, i) => (v - mean) / Math.Sqrt(variance + epsilon) * gain[i] + bias[i]);
        })];
    }

    /// <summary>y = x / sqrt(mean square + epsilon) g</summary>
    public static double[] RmsNorm(double[] x, double[] gain, double epsilon) =>
        [.. x.Chunk(gain.Length).SelectMany(row => row.Select((v, i) => v / Math.Sqrt(row.Select(w => w * w).Average() + epsilon) * gain[i]))];

    /// <summary>y = v / (1 + e^-v) u, [v, u] = z</summary>
    public static double[] SwiGlu(double[] z, int inner) =>
        [.. z.Chunk(2 * inner).SelectMany(row => Enumerable.Range(0, inner).Select(i => row[i] / (1 + Math.Exp(-row[i])) * row[inner + i]))];

    /// <summary>y = u v Phi(v), [u, v] = z</summary>
    public static double[] GeGlu(double[] z, int inner) =>
        [.. z.Chunk(2 * inner).SelectMany(row => Enumerable.Range(0, inner).Select(i => row[i] * row[inner + i] * Normal(row[inner + i])))];

    /// <summary>Phi(x) = 1/2 + phi(x) (x + x^3/3 + x^5/(3 5) + …), whose terms have one sign.</summary>
    private static double Normal(double x)
    {
        double term = x, sum = x;
        for (int k = 3; Math.Abs(term) > 1e-18; k += 2) sum += term *= x * x / k;
        return 0.5 + sum * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);
    }

    /// <summary>y = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))</summary>
    public static double[] GeluTanh(double[] z) => Array.ConvertAll(z, x => x / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))));

    /// <summary>y[i] = table[ids[i]]</summary>
    public static double[] Select(double[] table, int[] ids, int width) => [.. ids.SelectMany(id => table.Skip(id * width).Take(width))];

    /// <summary>sum of w (log sum e^x - x[target])</summary>
    public static double[] CrossEntropy(double[] logits, int[] targets, float[] weights)
    {
        int width = logits.Length / targets.Length;
        return [logits.Chunk(width).Select((row, i) => weights[i] * (Math.Log(row.Sum(Math.Exp)) - row[targets[i]])).Sum()];
    }

    /// <summary>(x1, x2) -> (x1 c - x2 s, x2 c + x1 s) for the pairs of the first 2 <paramref name="half"/> elements of every query and key.</summary>
    public static double[] Rotary(double[] qkv, HeadLayout layout, int[] positions, float[] cos, float[] sin, int half, RotaryPairing pairing = RotaryPairing.Halves)
    {
        double[] y = [.. qkv];
        int width = qkv.Length / positions.Length;
        for (int row = 0; row < positions.Length; row++)
        {
            for (int head = 0; head < layout.Heads; head++) Rotate(row, layout.QueryOffset + head * layout.QueryStride);
            for (int head = 0; head < layout.KeyValueHeads; head++) Rotate(row, layout.KeyOffset + head * layout.KeyValueStride);
        }
        return y;

        void Rotate(int row, int column)
        {
            for (int i = 0; i < half; i++)
            {
                int first = row * width + column + (pairing == RotaryPairing.Halves ? i : 2 * i), second = first + (pairing == RotaryPairing.Halves ? half : 1);
                double c = cos[positions[row] * half + i], s = sin[positions[row] * half + i];
                (y[first], y[second]) = (qkv[first] * c - qkv[second] * s, qkv[second] * c + qkv[first] * s);
            }
        }
    }

    /// <summary>
    /// O = softmax(Q K^T / sqrt(head size) + slope (j - i)) V over j &lt; max(division, i + 1); <paramref name="keep"/>(row, head, column) multiplies the
    /// probabilities.
    /// </summary>
    public static double[] Attention(
        double[] qkv, HeadLayout layout, int rows, AttentionSegment[] segments, Func<int, int, int, double>? keep = null, float[]? slopes = null)
    {
        int size = layout.HeadSize, width = qkv.Length / rows;
        var output = new double[rows * layout.Heads * size];
        foreach (var segment in segments)
            for (int head = 0; head < layout.Heads; head++)
                for (int i = 0; i < segment.Length; i++)
                {
                    int group = head / (layout.Heads / layout.KeyValueHeads), query = (segment.Start + i) * width + layout.QueryOffset + head * layout.QueryStride;
                    var scores = new double[Math.Min(segment.Length, Math.Max(segment.Division, i + 1))];
                    for (int j = 0; j < scores.Length; j++)
                    {
                        if (slopes is not null) scores[j] = slopes[head] * (double)(j - i);
                        int key = (segment.Start + j) * width + layout.KeyOffset + group * layout.KeyValueStride;
                        for (int k = 0; k < size; k++) scores[j] += qkv[query + k] * qkv[key + k] / Math.Sqrt(size);
                    }
                    double sum = scores.Sum(Math.Exp);
                    for (int j = 0; j < scores.Length; j++)
                    {
                        int value = (segment.Start + j) * width + layout.ValueOffset + group * layout.KeyValueStride;
                        double p = Math.Exp(scores[j]) / sum * (keep?.Invoke(segment.Start + i, head, j) ?? 1);
                        for (int k = 0; k < size; k++) output[((segment.Start + i) * layout.Heads + head) * size + k] += p * qkv[value + k];
                    }
                }
        return output;
    }
}
