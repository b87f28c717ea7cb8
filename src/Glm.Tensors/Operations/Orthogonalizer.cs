using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// Makes of a matrix one of about the same rows and columns whose singular values are near 1, by five Newton-Schulz steps (Jordan et al., Muon, 2024): what Muon moves weights by.
/// Products are of bfloat16 where the processor has them, which is precise enough here.
/// </summary>
/// <param name="workers">Threads.</param>
public sealed unsafe class Orthogonalizer(Workers workers)
{
    private const int Steps = 5;

    // The quintic a x + b x^3 + c x^5, whose iteration brings 0 < x <= 1 near 1 fastest; it stays between about 0.7 and 1.2.
    private const float A = 3.4445f, B = -4.7750f, C = 2.0315f;

    private static readonly Arithmetic Products = Context.ArithmeticOf(DType.BFloat16);

    private Tensor? _matrix, _next, _square, _polynomial;

    /// <summary>
    /// One step of Muon with Nesterov momentum on a float32 matrix: m = momentum m + g, u = g + momentum m, and
    /// w = (1 - rate decay) w - rate 0.2 sqrt(max(rows, columns)) orthogonalised(u): an element moves by about 0.2 rate, as AdamW's do
    /// (Liu et al., Muon is Scalable for LLM Training, arXiv 2502.16982, section 2.2).
    /// </summary>
    /// <param name="weight">w <c>[rows, columns]</c>.</param>
    /// <param name="gradient">g x <paramref name="gradientScale"/> is the gradient.</param>
    /// <param name="mean">m.</param>
    /// <param name="rate">Learning rate.</param>
    /// <param name="momentum">Decay of the sum of gradients.</param>
    /// <param name="decay">Decoupled weight decay.</param>
    /// <param name="gradientScale">Factor on the gradient.</param>
    public void Step(Tensor weight, Tensor gradient, Tensor mean, float rate, float momentum, float decay, float gradientScale)
    {
        int rows = weight.Rows, columns = weight.Columns;
        var update = Buffer(ref _matrix, rows, columns);
        float* g = gradient.Floats, m = mean.Floats, u = update.Floats, w = weight.Floats;
        workers.Split(weight.Count, Vectors.Width, (start, end, _) =>
        {
            for (long i = start; i < end; i += Vectors.Width)
            {
                int left = (int)Math.Min(Vectors.Width, end - i);
                var now = Vectors.Load(g + i, left) * gradientScale;
                var sum = Vector512.FusedMultiplyAdd(Vector512.Create(momentum), Vectors.Load(m + i, left), now);
                Vectors.Store(sum, m + i, left);
                Vectors.Store(Vector512.FusedMultiplyAdd(Vector512.Create(momentum), sum, now), u + i, left);
            }
        });
        float* direction = Orthogonalize(update).Floats;
        float keep = 1 - rate * decay, step = rate * 0.2f * MathF.Sqrt(Math.Max(rows, columns));
        workers.Split(weight.Count, Vectors.Width, (start, end, _) => Vectors.Axpby(-step, direction + start, keep, w + start, (int)(end - start)));
        GC.KeepAlive(weight);
        GC.KeepAlive(gradient);
        GC.KeepAlive(mean);
    }

    /// <summary>The orthogonalised matrix, in memory that the next call takes; <paramref name="matrix"/> is lost.</summary>
    public Tensor Orthogonalize(Tensor matrix)
    {
        int rows = matrix.Rows, columns = matrix.Columns, small = Math.Min(rows, columns);
        Tensor x = matrix, next = Buffer(ref _next, rows, columns), square = Buffer(ref _square, small, small), polynomial = Buffer(ref _polynomial, small, small);
        float norm = (float)Math.Sqrt(TensorMath.SumOfSquares(workers, x));
        Vectors.Scale(1 / (norm + 1e-7f), x.Floats, (int)x.Count);
        for (int step = 0; step < Steps; step++)
        {
            Matrix current = x.AsMatrix(), s = square.AsMatrix();
            // On the side where the square matrices are smaller: S = X X^T, X = (a + b S + c S S) X, or S = X^T X, X = X (a + b S + c S S).
            if (rows <= columns) Multiply(current, current.Transposed, s, 1, 0);
            else Multiply(current.Transposed, current, s, 1, 0);
            polynomial.CopyFrom(square);
            Multiply(s, s, polynomial.AsMatrix(), C, B);
            next.CopyFrom(x);
            if (rows <= columns) Multiply(polynomial.AsMatrix(), current, next.AsMatrix(), 1, A);
            else Multiply(current, polynomial.AsMatrix(), next.AsMatrix(), 1, A);
            (x, next) = (next, x);
        }
        return x;
    }

    private void Multiply(in Matrix a, in Matrix b, in Matrix c, float alpha, float beta) => MatMul.Multiply(workers, a, b, c, alpha, beta, null, Isa.Current, Products);

    private static Tensor Buffer(ref Tensor? buffer, int rows, int columns)
    {
        if (buffer is null || buffer.Count < (long)rows * columns) buffer = Tensor.Allocate(DType.Float32, rows * columns);
        return buffer.Reshape((int)buffer.Count).Slice(0, rows * columns).Reshape(rows, columns);
    }
}
