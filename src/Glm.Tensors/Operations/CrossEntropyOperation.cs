using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>Softmax cross entropy.</summary>
public static unsafe class CrossEntropyOperation
{
    /// <summary>
    /// loss = sum of w[i] l[i], l[i] = log(sum of e^logits[i]) - logits[i, target[i]], in nats and float32.
    /// </summary>
    /// <remarks>
    /// dlogits[i] = w[i] dloss (softmax(logits[i]) - onehot(target[i])). The gradient takes the place of the logits, which is the largest tensor of a
    /// step: after the backward pass they are gone.
    /// </remarks>
    /// <param name="context">Where to run.</param>
    /// <param name="logits">Float32 <c>[rows, vocabulary]</c>.</param>
    /// <param name="targets">Int32 <c>[rows]</c>.</param>
    /// <param name="weights">Float32 <c>[rows]</c>: loss mask and normalisation.</param>
    /// <returns>The scalar loss, and the loss l of each row.</returns>
    /// <exception cref="GlmException">A target lies outside the vocabulary.</exception>
    public static (Tensor Loss, Tensor TokenLosses) CrossEntropy(this Context context, Tensor logits, Tensor targets, Tensor weights)
    {
        int rows = logits.Rows, vocabulary = logits.Columns;
        int* target = targets.Ints;
        for (int i = 0; i < rows; i++)
            if ((uint)target[i] >= (uint)vocabulary) throw new GlmException($"target {target[i]} of row {i} lies outside the vocabulary of {vocabulary}");
        var losses = context.Arena.Allocate(DType.Float32, rows);
        var normalizers = context.Arena.Allocate(DType.Float32, rows);
        context.ForRows(rows, new ForwardBody(logits, targets, losses, normalizers), block: 4);
        var loss = context.Arena.Allocate(DType.Float32, 1);
        double sum = 0;
        for (int row = 0; row < rows; row++) sum += (double)weights.Floats[row] * losses.Floats[row];
        loss.Floats[0] = (float)sum;
        if (context.Recording) RecordBackward(context, logits, targets, weights, normalizers, loss);
        return (loss, losses);
    }

    private static void RecordBackward(Context context, Tensor logits, Tensor targets, Tensor weights, Tensor normalizers, Tensor loss) =>
        context.Record(loss, logits.RequiresGradient, () =>
        {
            int rows = logits.Rows, vocabulary = logits.Columns;
            float upstream = loss.Gradient!.Floats[0];
            context.ForRows(rows, (start, end, _) =>
            {
                for (int row = start; row < end; row++)
                {
                    float* values = logits.Floats + (long)row * vocabulary;
                    float factor = upstream * weights.Floats[row];
                    Vector512<float> shift = Vector512.Create(normalizers.Floats[row]), scale = Vector512.Create(factor);
                    for (int i = 0; i < vocabulary; i += Vectors.Width)
                        Vectors.Store(scale * VectorMath.Exp(Vectors.Load(values + i, vocabulary - i) - shift), values + i, vocabulary - i);
                    values[targets.Ints[row]] -= factor;
                }
            }, block: 4);
            logits.Gradient = logits;
        });

    private readonly struct ForwardBody(Tensor logits, Tensor targets, Tensor losses, Tensor normalizers) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int vocabulary = logits.Columns;
            for (long row = start; row < end; row++)
            {
                float* values = logits.Floats + row * vocabulary;
                float max = Vectors.Max(values, vocabulary);
                normalizers.Floats[row] = max + MathF.Log(Vectors.SumExp(values, max, vocabulary));
                losses.Floats[row] = normalizers.Floats[row] - values[targets.Ints[row]];
            }
        }
    }
}
