using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference;

/// <summary>Texts as vectors: the mean of the hidden states after the last norm, scaled to length 1.</summary>
public static class TextEmbedding
{
    /// <summary>The vector of a text <c>[hidden]</c>, all of whose tokens see each other.</summary>
    /// <param name="model">A model that sees its context in both directions.</param>
    /// <param name="workers">Threads to compute with.</param>
    /// <param name="ids">The tokens.</param>
    /// <exception cref="GlmException">The model is causal, so that hidden states say what comes next rather than what was read; or there are no tokens, or too many.</exception>
    public static float[] Of(LanguageModel model, Workers workers, ReadOnlySpan<int> ids)
    {
        if (model.IsCausal) throw new GlmException("model: expected one that sees its context in both directions to embed texts, found a causal one");
        if (ids.IsEmpty || ids.Length > model.MaxSequenceLength) throw new GlmException($"input: expected 1 to {model.MaxSequenceLength} tokens, found {ids.Length}");
        var context = new Context(workers) { InputBits = model.InputBits };
        int[] positions = [.. Enumerable.Range(0, ids.Length)];
        var axes = new Positions(context.Integers(positions), model.PositionAxes == 2 ? context.Integers(new int[ids.Length]) : null);
        var hidden = model.Forward(context, context.Integers(ids), axes, model.Within(context, [new AttentionSegment(0, ids.Length, ids.Length)]));
        float[] states = new float[hidden.Count], mean = new float[hidden.Columns];
        hidden.CopyTo(states);
        for (int i = 0; i < states.Length; i++) mean[i % mean.Length] += states[i];
        float length = MathF.Sqrt(mean.Sum(x => x * x));
        if (!float.IsFinite(length) || length == 0) throw new GlmException($"the model's hidden states are not numbers (their mean has the length {length})");
        for (int i = 0; i < mean.Length; i++) mean[i] /= length;
        return mean;
    }
}
