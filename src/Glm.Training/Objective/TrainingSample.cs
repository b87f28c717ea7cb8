using Glm.Tensors;

namespace Glm.Training;

/// <summary>What a row of training data teaches; the numbers are those of the original's <c>task_type</c> (spec section 3.6).</summary>
public enum TrainingTask
{
    /// <summary><c>[MASK]</c>: short spans inside the text.</summary>
    ShortSpans = 0,

    /// <summary><c>[gMASK]</c>: one long span, usually the rest of the text.</summary>
    Generation = 1,

    /// <summary>Multi-task instruction pre-training: a prompt and its target.</summary>
    Multitask = 2,

    /// <summary><c>[sMASK]</c>: whole sentences.</summary>
    Sentences = 3,

    /// <summary>Every token after those before it, in left-to-right models; not a kind of the original's.</summary>
    NextToken = 4,
}

/// <summary>One row of training data, arrays of equal length <c>[seq]</c>; padding is 0 in every array.</summary>
public sealed class TrainingSample
{
    internal TrainingSample(int length, bool twoDimensional, TrainingTask task)
    {
        Tokens = new int[length];
        Targets = new int[length];
        Positions = new int[length];
        BlockPositions = twoDimensional ? new int[length] : null;
        LossMask = new byte[length];
        Task = task;
    }

    /// <summary>Ids that the model reads.</summary>
    public int[] Tokens { get; }

    /// <summary>The id to be predicted at each index; counts only where <see cref="LossMask"/> is 1.</summary>
    public int[] Targets { get; }

    /// <summary>Position of each token; in the 2D encoding the position of its blank in the context.</summary>
    public int[] Positions { get; }

    /// <summary>In the 2D encoding, the position inside the blank, from 1 (0 in the context); otherwise null.</summary>
    public int[]? BlockPositions { get; }

    /// <summary>1 where the loss is taken, otherwise 0.</summary>
    public byte[] LossMask { get; }

    /// <summary>The attention rule: segments in order, which together cover the row.</summary>
    public List<AttentionSegment> Segments { get; } = [];

    /// <summary>What the row teaches.</summary>
    public TrainingTask Task { get; }

    /// <summary>Tokens of the row.</summary>
    public int Length => Tokens.Length;
}
