using Glm.Tensors;

namespace Glm.Training;

/// <summary>How rows of text become samples; the names are those of a configuration.</summary>
public enum ObjectiveKind
{
    /// <summary>Blanks are filled with all of the text around them in view: GLM's objective (<see cref="GlmObjective"/>).</summary>
    [System.Text.Json.Serialization.JsonStringEnumMemberName("blanks")]
    Blanks,

    /// <summary>Every token is predicted from those before it (<see cref="CausalObjective"/>).</summary>
    [System.Text.Json.Serialization.JsonStringEnumMemberName("causal")]
    Causal,
}

/// <summary>Next-token prediction, the objective of left-to-right models: of n ids, the last n - 1 are targets.</summary>
public static class CausalObjective
{
    /// <summary>A row of <paramref name="length"/> tokens; what the ids leave is padding.</summary>
    /// <exception cref="ArgumentException">There are fewer than 2 ids, or more than <paramref name="length"/> + 1.</exception>
    public static TrainingSample Build(ReadOnlySpan<int> ids, int length)
    {
        if (ids.Length < 2 || ids.Length > length + 1) throw new ArgumentException($"expected 2 to {length + 1} ids, found {ids.Length}", nameof(ids));
        var sample = new TrainingSample(length, twoDimensional: false, TrainingTask.NextToken);
        int targets = ids.Length - 1;
        ids[..targets].CopyTo(sample.Tokens);
        ids[1..].CopyTo(sample.Targets);
        sample.LossMask.AsSpan(0, targets).Fill(1);
        for (int i = 0; i < targets; i++) sample.Positions[i] = i;
        sample.Segments.Add(new AttentionSegment(0, length, Division: 0));
        return sample;
    }
}
