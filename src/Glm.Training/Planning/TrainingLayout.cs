namespace Glm.Training;

/// <summary>How a training run is laid out over devices (spec 4.1 and 4.3).</summary>
public sealed record TrainingLayout
{
    /// <summary>Ranks that share every matrix.</summary>
    public int TensorParallel { get; init; } = 1;

    /// <summary>Stages of the pipeline.</summary>
    public int PipelineParallel { get; init; } = 1;

    /// <summary>Rows that run through the model together.</summary>
    public int MicroBatch { get; init; } = 1;

    /// <summary>Rows of an optimiser step.</summary>
    public int GlobalBatch { get; init; } = 1;

    /// <summary>Global batch at the start of a ramp; 0 for no ramp.</summary>
    public int RampStart { get; init; }

    /// <summary>Increment of the ramp.</summary>
    public int RampIncrement { get; init; }

    /// <summary>Samples over which the batch ramps up.</summary>
    public long RampSamples { get; init; }

    /// <summary>Tokens of a row.</summary>
    public int SeqLength { get; init; } = 2048;

    /// <summary>Whether every layer is computed again in the backward pass, so that only its input is kept.</summary>
    public bool Recompute { get; init; } = true;

    /// <summary>The order in which stages compute.</summary>
    public PipelineSchedule Schedule { get; init; }

    /// <summary>Optimiser steps of the run; 0 to plan one step alone.</summary>
    public long Steps { get; init; }

    /// <summary>Batch size over the run.</summary>
    internal BatchRamp Batch => new(RampStart, RampStart > 0 ? RampIncrement : 0, RampSamples, GlobalBatch);

    /// <summary>Replicas of the model on so many devices.</summary>
    /// <exception cref="GlmException">The layout does not divide them, or a number is impossible.</exception>
    internal int DataParallel(int devices)
    {
        Require(TensorParallel > 0 && PipelineParallel > 0, "tensor_parallel, pipeline_parallel", "at least 1", $"{TensorParallel}, {PipelineParallel}");
        Require(MicroBatch > 0 && SeqLength > 0 && Steps >= 0, "micro_batch, seq_length, steps", "at least 1, 1 and 0", $"{MicroBatch}, {SeqLength}, {Steps}");
        long model = (long)TensorParallel * PipelineParallel;
        Require(devices % model == 0, "tensor_parallel x pipeline_parallel", $"a divisor of the {devices} devices", model);
        int replicas = (int)(devices / model);
        Require(GlobalBatch > 0 && GlobalBatch % ((long)replicas * MicroBatch) == 0, "global_batch", $"a multiple of {replicas} replicas x micro_batch {MicroBatch}", GlobalBatch);
        Require(RampStart >= 0 && RampStart <= GlobalBatch && RampStart % ((long)replicas * MicroBatch) == 0, "ramp_start", $"0 to global_batch, a multiple of {(long)replicas * MicroBatch}", RampStart);
        Require(RampStart == 0 || (RampIncrement > 0 && RampSamples > 0), "ramp_increment, ramp_samples", "more than 0", $"{RampIncrement}, {RampSamples}");
        return replicas;

        static void Require(bool holds, string field, string expected, object found)
        {
            if (!holds) throw new GlmException($"{field}: expected {expected}, found {found}");
        }
    }
}
