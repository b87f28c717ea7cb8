namespace Glm.Distributed;

/// <summary>
/// This process as a rank of a job that <c>mpirun</c> (or Slurm) started. It ends well by <see cref="Dispose"/>, which all ranks reach together, or by
/// <see cref="Fail"/>, which ends all of them.
/// </summary>
public sealed class MpiJob : IDisposable
{
    /// <summary>Environment variable: seconds for which a rank may be silent.</summary>
    public const string SilenceVariable = "GLM_MPI_SILENCE";

    private static readonly TimeSpan DefaultSilence = TimeSpan.FromSeconds(15);

    private readonly MpiLink _link;
    private readonly Heartbeat? _heartbeat;
    private int _ended;

    private MpiJob(Action<string> report)
    {
        _link = new MpiLink();
        World = ProcessGroup.World(_link);
        var silence = double.TryParse(Environment.GetEnvironmentVariable(SilenceVariable), out double seconds) && seconds > 0 ? TimeSpan.FromSeconds(seconds) : DefaultSilence;
        if (World.Size > 1)
            _heartbeat = new Heartbeat(_link, silence, rank => End(() => report($"rank {rank} has been silent for {silence.TotalSeconds:0} s: it hangs or is out of reach; the job ends")));
    }

    /// <summary>Whether this process was started as one of several ranks.</summary>
    public static bool IsRank => int.TryParse(Environment.GetEnvironmentVariable("OMPI_COMM_WORLD_SIZE"), out int size) && size > 1;

    /// <summary>Number of ranks on this machine, which share its processors; 1 outside a job.</summary>
    public static int RanksHere => int.TryParse(Environment.GetEnvironmentVariable("OMPI_COMM_WORLD_LOCAL_SIZE"), out int ranks) && ranks > 1 ? ranks : 1;

    /// <summary>All ranks.</summary>
    public ProcessGroup World { get; }

    /// <summary>Takes part in the job.</summary>
    /// <param name="report">Told, on one rank, why the job ends before its time.</param>
    /// <exception cref="GlmException">MPI is not there, or refuses.</exception>
    public static MpiJob Start(Action<string> report) => new(report);

    /// <summary>
    /// Ends all ranks because of an error on this one; does not return. Ranks that fail for the same reason at the same time leave the word to the first: the others
    /// wait a little, and are ended meanwhile.
    /// </summary>
    /// <param name="report">Says the reason.</param>
    /// <param name="code">Exit code.</param>
    /// <param name="terminated">Cancelled when the process is told to end, as mpirun tells those that wait.</param>
    public void Fail(Action report, int code, CancellationToken terminated = default)
    {
        if (World.Rank > 0)
        {
            var patience = TimeSpan.FromMilliseconds(Math.Min(4000, 2000 + (50 * World.Rank)));
            if (terminated.IsCancellationRequested) Thread.Sleep(patience);
            else if (terminated.WaitHandle.WaitOne(patience)) Environment.Exit(code);
        }
        End(report, code);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0) return;
        World.Barrier();
        _heartbeat?.Dispose();
        _link.Complete();
    }

    private void End(Action report, int code = 1)
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0) return;
        report();
        _link.Abort(code);
    }
}
