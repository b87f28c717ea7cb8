namespace Glm.Distributed.Tests;

/// <summary>What a rank does that mpirun starts.</summary>
internal static class RankProgram
{
    private static int Main(string[] arguments)
    {
        Environment.SetEnvironmentVariable("TERM", "dumb"); // mpirun gives its ranks a terminal of their own, which is none
        using var job = MpiJob.Start(Console.Error.WriteLine);
        try
        {
            Run(job.World, arguments[0]);
        }
        catch (Exception error)
        {
            job.Fail(() => Console.Error.WriteLine($"rank {job.World.Rank}: {error.Message}"), 1);
        }
        return 0;
    }

    private static void Run(ProcessGroup world, string what)
    {
        switch (what)
        {
            case "collectives":
                CollectiveChecks.Run(world);
                if (world.Rank == 0) Console.WriteLine($"{world.Size} ranks agree");
                break;
            case "fail":
                if (world.Rank == 2) throw new GlmException("the reason");
                world.Barrier();
                break;
            case "hang":
                Console.WriteLine($"rank {world.Rank} is process {Environment.ProcessId}");
                Console.Out.Flush();
                for (int i = 0; i < 1000; i++)
                {
                    Thread.Sleep(100);
                    world.Barrier();
                }
                break;
            default: throw new ArgumentException(what);
        }
    }
}
