using Glm.Distributed;

namespace Glm.Training;

/// <summary>
/// Where this process stands among those of a run: ranks are numbered by pipeline stage, then by data rank, then by tensor rank, so that those that talk most are
/// neighbours (spec 4.3).
/// </summary>
public sealed class ParallelLayout
{
    /// <summary>Shares out a job's ranks: so many share matrices, so many follow one another; what remains sees different data.</summary>
    /// <exception cref="GlmException">The number of ranks is not a multiple of both.</exception>
    public ParallelLayout(ProcessGroup world, int tensorParallel, int pipelineParallel)
    {
        if (world.Size % (tensorParallel * pipelineParallel) != 0)
            throw new GlmException($"tensor_parallel, pipeline_parallel: expected a divisor of the {world.Size} ranks, found {tensorParallel} x {pipelineParallel}");
        World = world;
        Stages = pipelineParallel;
        int perStage = world.Size / pipelineParallel;
        Stage = world.Rank / perStage;
        int column = world.Rank % perStage;
        bool isEnd = Stage == 0 || Stage == Stages - 1;
        Tensors = world.Split(world.Rank / tensorParallel);
        Data = world.Split(Stage * tensorParallel + world.Rank % tensorParallel);
        Pipeline = world.Split(column);
        Ends = world.Split(isEnd ? column : world.Size + world.Rank);
        Files = world.Split(0);
    }

    /// <summary>All ranks.</summary>
    public ProcessGroup World { get; }

    /// <summary>Ranks that share the matrices of a stage.</summary>
    public ProcessGroup Tensors { get; }

    /// <summary>Ranks that have the same weights and see different data.</summary>
    public ProcessGroup Data { get; }

    /// <summary>The stages that a micro-batch goes through, in their order.</summary>
    public ProcessGroup Pipeline { get; }

    /// <summary>The first and the last stage, which both have the tied embedding.</summary>
    public ProcessGroup Ends { get; }

    /// <summary>All ranks, for checkpoints that are written in the background.</summary>
    public ProcessGroup Files { get; }

    /// <summary>What this process has sent in training: bytes, gradients included.</summary>
    public long SentBytes => World.SentBytes + Tensors.SentBytes + Data.SentBytes + Pipeline.SentBytes + Ends.SentBytes;

    /// <summary>The stage of this process.</summary>
    public int Stage { get; }

    /// <summary>Number of stages.</summary>
    public int Stages { get; }

    /// <summary>Whether this process writes what is written once: logs, the final model.</summary>
    public bool IsFirst => World.Rank == 0;
}
