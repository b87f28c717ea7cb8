using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference;

/// <summary>Log-probabilities of given tokens after rows of hidden states.</summary>
internal static class TargetScores
{
    private const int LogitElements = 8 << 20;

    /// <summary>log p(targets[i] | hidden[rows[i]]). The logits of all rows at once would be the largest tensor by far, so they are computed a block of rows at a time.</summary>
    public static float[] Of(LanguageModel model, Context context, Tensor hidden, int[] rows, int[] targets)
    {
        float[] values = new float[rows.Length];
        int block = Math.Max(32, LogitElements / model.VocabSize);
        var mark = context.Arena.Mark;
        for (int start = 0; start < rows.Length; start += block, context.Arena.Release(mark))
        {
            int count = Math.Min(block, rows.Length - start);
            var logits = model.Logits(context, context.SelectRows(hidden, context.Integers(rows.AsSpan(start, count))));
            var weights = context.Floats(new float[count], count);
            var (_, losses) = context.CrossEntropy(logits, context.Integers(targets.AsSpan(start, count)), weights);
            losses.CopyTo(values.AsSpan(start, count));
        }
        for (int i = 0; i < values.Length; i++) values[i] = -values[i];
        return values;
    }
}
