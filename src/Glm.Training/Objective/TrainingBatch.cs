using Glm.Tensors;

namespace Glm.Training;

/// <summary>A micro-batch: rows of equal length stacked into flat arrays <c>[rows * seq]</c>, row after row.</summary>
public sealed class TrainingBatch
{
    private TrainingBatch(int rows, int length, bool twoDimensional)
    {
        Rows = rows;
        SequenceLength = length;
        Tokens = new int[rows * length];
        Targets = new int[rows * length];
        Positions = new int[rows * length];
        BlockPositions = twoDimensional ? new int[rows * length] : null;
        LossMask = new byte[rows * length];
        Tasks = new TrainingTask[rows];
        SegmentOffsets = new int[rows + 1];
    }

    /// <summary>Rows, the batch size.</summary>
    public int Rows { get; }

    /// <summary>Tokens of each row.</summary>
    public int SequenceLength { get; }

    /// <summary>Ids that the model reads, <c>[rows * seq]</c>.</summary>
    public int[] Tokens { get; }

    /// <summary>Ids to be predicted, <c>[rows * seq]</c>.</summary>
    public int[] Targets { get; }

    /// <summary>Positions, <c>[rows * seq]</c>.</summary>
    public int[] Positions { get; }

    /// <summary>Block positions of the 2D encoding, <c>[rows * seq]</c>, or null.</summary>
    public int[]? BlockPositions { get; }

    /// <summary>1 where the loss is taken, <c>[rows * seq]</c>.</summary>
    public byte[] LossMask { get; }

    /// <summary>The segments of all rows; <see cref="AttentionSegment.Start"/> is an index of the flat arrays.</summary>
    public List<AttentionSegment> Segments { get; } = [];

    /// <summary>The segments of row r are those from <c>SegmentOffsets[r]</c> to before <c>SegmentOffsets[r + 1]</c>; <c>[rows + 1]</c>.</summary>
    public int[] SegmentOffsets { get; }

    /// <summary>What each row teaches, <c>[rows]</c>.</summary>
    public TrainingTask[] Tasks { get; }

    /// <summary>Stacks samples of equal length.</summary>
    /// <exception cref="ArgumentException">There are no samples, or their lengths or position encodings differ.</exception>
    public static TrainingBatch Stack(IReadOnlyList<TrainingSample> samples)
    {
        if (samples.Count == 0) throw new ArgumentException("a batch needs at least one sample", nameof(samples));
        int length = samples[0].Length;
        bool twoDimensional = samples[0].BlockPositions is not null;
        var batch = new TrainingBatch(samples.Count, length, twoDimensional);
        for (int row = 0; row < samples.Count; row++)
        {
            TrainingSample sample = samples[row];
            if (sample.Length != length || (sample.BlockPositions is not null) != twoDimensional)
                throw new ArgumentException($"sample {row} has another length or position encoding than sample 0", nameof(samples));
            int start = row * length;
            sample.Tokens.CopyTo(batch.Tokens, start);
            sample.Targets.CopyTo(batch.Targets, start);
            sample.Positions.CopyTo(batch.Positions, start);
            sample.BlockPositions?.CopyTo(batch.BlockPositions!, start);
            sample.LossMask.CopyTo(batch.LossMask, start);
            foreach (AttentionSegment segment in sample.Segments)
                batch.Segments.Add(segment with { Start = start + segment.Start });
            batch.SegmentOffsets[row + 1] = batch.Segments.Count;
            batch.Tasks[row] = sample.Task;
        }
        return batch;
    }
}
