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
    /// <param name="part">Which part of the vocabulary the logits are of, if other processes have the rest.</param>
    /// <returns>The scalar loss, and the loss l of each row.</returns>
    /// <exception cref="GlmException">A target lies outside the vocabulary.</exception>
    public static (Tensor Loss, Tensor TokenLosses) CrossEntropy(this Context context, Tensor logits, Tensor targets, Tensor weights, VocabularyPart? part = null)
    {
        int rows = logits.Rows, vocabulary = part?.Vocabulary ?? logits.Columns, firstId = part?.FirstId ?? 0;
        int* target = targets.Ints;
        for (int i = 0; i < rows; i++)
            if ((uint)target[i] >= (uint)vocabulary) throw new GlmException($"target {target[i]} of row {i} lies outside the vocabulary of {vocabulary}");
        var losses = context.Arena.Allocate(DType.Float32, rows);
        var normalizers = context.Arena.Allocate(DType.Float32, rows);
        context.ForRows(rows, new ForwardBody(logits, targets, firstId, losses, normalizers), block: 4);
        part?.Join(normalizers, losses);
        for (int row = 0; row < rows; row++) losses.Floats[row] = normalizers.Floats[row] - losses.Floats[row];
        var loss = context.Arena.Allocate(DType.Float32, 1);
        double sum = 0;
        for (int row = 0; row < rows; row++) sum += (double)weights.Floats[row] * losses.Floats[row];
        loss.Floats[0] = (float)sum;
        if (context.Recording) RecordBackward(context, logits, targets, firstId, weights, normalizers, loss);
        return (loss, losses);
    }

    private static void RecordBackward(Context context, Tensor logits, Tensor targets, int firstId, Tensor weights, Tensor normalizers, Tensor loss) =>
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
                    int target = targets.Ints[row] - firstId;
                    if ((uint)target < (uint)vocabulary) values[target] -= factor;
                }
            }, block: 4);
            logits.Gradient = logits;
        });

    /// <summary>The normaliser of each row, log(sum of e^logits), and in the place of its loss the logit of its target, 0 where it is not here.</summary>
    private readonly struct ForwardBody(Tensor logits, Tensor targets, int firstId, Tensor losses, Tensor normalizers) : IRangeBody
    {
        public void Invoke(long start, long end, int worker)
        {
            int vocabulary = logits.Columns;
            for (long row = start; row < end; row++)
            {
                float* values = logits.Floats + row * vocabulary;
                float max = Vectors.Max(values, vocabulary);
                normalizers.Floats[row] = max + MathF.Log(Vectors.SumExp(values, max, vocabulary));
                int target = targets.Ints[row] - firstId;
                losses.Floats[row] = (uint)target < (uint)vocabulary ? values[target] : 0;
            }
        }
    }
}

/// <summary>The ids that a process computes logits of, while others compute those of the rest of a vocabulary.</summary>
/// <param name="FirstId">The first of them.</param>
/// <param name="Vocabulary">Number of ids of all processes together.</param>
/// <param name="Join">
/// Makes of this process' float32 normalisers <c>[rows]</c> (log of the sum of the exponentials of its logits) and targets' logits <c>[rows]</c> (0 where it does not
/// have the target) those of the whole vocabulary, in their place.
/// </param>
public sealed record VocabularyPart(int FirstId, int Vocabulary, Action<Tensor, Tensor> Join);
