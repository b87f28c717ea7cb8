using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>Whole-tensor arithmetic that the optimiser and initialisation need.</summary>
public static unsafe class TensorMath
{
    private const int Block = 1 << 14;

    /// <summary>Sum of the squares of all elements, in double precision, the same for any number of threads.</summary>
    public static double SumOfSquares(Workers workers, Tensor tensor)
    {
        float* x = tensor.Floats;
        long count = tensor.Count;
        int blocks = (int)((count + Block - 1) / Block);
        double[] sums = new double[blocks];
        workers.For(blocks, (block, _) =>
        {
            long start = (long)block * Block;
            int n = (int)Math.Min(Block, count - start);
            Vector512<double> sum = Vector512<double>.Zero;
            for (int i = 0; i < n; i += Vectors.Width)
            {
                var (low, high) = Vector512.Widen(Vectors.Load(x + start + i, n - i));
                sum += low * low + high * high;
            }
            sums[block] = Vector512.Sum(sum);
        });
        GC.KeepAlive(tensor);
        return sums.Sum();
    }

    /// <summary>Fills a float32 tensor with normal numbers of mean 0 drawn by (seed, stream, element).</summary>
    public static void FillNormal(Tensor tensor, double standardDeviation, ulong seed, ulong stream)
    {
        float* x = tensor.Floats;
        var random = new CounterRandom(seed, stream);
        for (long i = 0; i < tensor.Count; i++) x[i] = (float)(random.NextGaussian() * standardDeviation);
        GC.KeepAlive(tensor);
    }

    /// <summary>Sets all elements of a float32 tensor.</summary>
    public static void Fill(Tensor tensor, float value)
    {
        float* x = tensor.Floats;
        for (long i = 0; i < tensor.Count; i++) x[i] = value;
        GC.KeepAlive(tensor);
    }

    /// <summary>
    /// One AdamW step (Loshchilov and Hutter; spec 4.1) on float32 tensors of the same shape: with g = gradient x gradientScale,
    /// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, w -= rate (m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + epsilon) + decay w).
    /// </summary>
    public static void AdamW(
        Workers workers, Tensor weight, Tensor gradient, Tensor mean, Tensor variance, in AdamWStep step)
    {
        float* w = weight.Floats, g = gradient.Floats, m = mean.Floats, v = variance.Floats;
        long count = weight.Count;
        var s = step;
        workers.For((int)((count + Block - 1) / Block), (block, _) =>
        {
            long start = (long)block * Block;
            Update(w + start, g + start, m + start, v + start, (int)Math.Min(Block, count - start), s);
        });
        GC.KeepAlive(weight);
        GC.KeepAlive(gradient);
        GC.KeepAlive(mean);
        GC.KeepAlive(variance);
    }

    private static void Update(float* w, float* g, float* m, float* v, int n, in AdamWStep s)
    {
        Vector512<float> scale = Vector512.Create(s.GradientScale), b1 = Vector512.Create(s.Beta1), b2 = Vector512.Create(s.Beta2);
        Vector512<float> c1 = Vector512.Create(1 - s.Beta1), c2 = Vector512.Create(1 - s.Beta2), epsilon = Vector512.Create(s.Epsilon);
        var keep = Vector512.Create(1 - s.Rate * s.Decay);
        var rate = Vector512.Create((float)(s.Rate / (1 - Math.Pow(s.Beta1, s.Number))));
        var root = Vector512.Create((float)(1 / Math.Sqrt(1 - Math.Pow(s.Beta2, s.Number))));
        for (int i = 0; i < n; i += Vectors.Width)
        {
            int left = n - i;
            var gradient = Vectors.Load(g + i, left) * scale;
            var mean = b1 * Vectors.Load(m + i, left) + c1 * gradient;
            var variance = b2 * Vectors.Load(v + i, left) + c2 * gradient * gradient;
            var weight = Vectors.Load(w + i, left) * keep - rate * mean / (Vector512.Sqrt(variance) * root + epsilon);
            Vectors.Store(mean, m + i, left);
            Vectors.Store(variance, v + i, left);
            Vectors.Store(weight, w + i, left);
        }
    }
}

/// <summary>The numbers of one AdamW step.</summary>
/// <param name="Number">Number of the step, from 1, for the bias correction.</param>
/// <param name="Rate">Learning rate.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root.</param>
/// <param name="Decay">Decoupled weight decay; 0 for biases and layer norms.</param>
/// <param name="GradientScale">Factor on the gradient: clipping.</param>
public readonly record struct AdamWStep(long Number, float Rate, float Beta1, float Beta2, float Epsilon, float Decay, float GradientScale);
