using Glm.Tests;

namespace Glm.Distributed.Tests;

/// <summary>Collectives among threads and among processes, and how a job ends that cannot go on.</summary>
public sealed class CollectivesTests
{
    private static string Program => typeof(RankProgram).Assembly.Location;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(8)]
    public void Threads_agree(int ranks) => InProcessJob.Run(ranks, CollectiveChecks.Run);

    [MpiTheory]
    [InlineData(2)]
    [InlineData(3)]
    public void Processes_agree(int ranks)
    {
        var (code, output, error) = Mpirun.Run(ranks, Program, "collectives");
        Assert.True(code == 0, error);
        Assert.Contains($"{ranks} ranks agree", output);
    }

    [Fact]
    public void A_thread_that_fails_ends_the_others()
    {
        var error = Assert.Throws<GlmException>(() => InProcessJob.Run(3, group =>
        {
            if (group.Rank == 1) throw new GlmException("the reason");
            group.Barrier();
        }));
        Assert.Equal("the reason", error.Message);
    }

    [MpiFact]
    public void A_process_that_fails_ends_the_others_with_its_reason()
    {
        var (code, _, error) = Mpirun.Run(4, Program, "fail");
        Assert.Equal(1, code);
        Assert.Single(error.Split('\n'), line => line.Contains("the reason"));
    }

    [MpiFact]
    public void A_process_that_hangs_ends_the_job()
    {
        var process = Mpirun.Start(3, [Program, "hang"], (MpiJob.SilenceVariable, "10"));
        string? line;
        while ((line = process.StandardOutput.ReadLine()) is not null && !line.StartsWith("rank 1 ", StringComparison.Ordinal)) { }
        string id = line!.Split(' ')[^1];
        System.Diagnostics.Process.Start("kill", ["-STOP", id]).WaitForExit();
        var (code, _, error) = Mpirun.Finish(process);
        Assert.Equal(1, code);
        Assert.Single(error.Split('\n'), text => text.Contains("rank 1 has been silent for 10 s"));
    }
}
