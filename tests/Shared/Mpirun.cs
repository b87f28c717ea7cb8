using System.Diagnostics;

namespace Glm.Tests;

/// <summary>Ranks as processes, where OpenMPI is installed.</summary>
internal static class Mpirun
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    /// <summary>Why tests with processes are skipped, or null.</summary>
    public static string? Missing =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, "mpirun"))) ? null : "mpirun is not installed (apt install openmpi-bin)";

    /// <summary>Starts a .NET program as so many ranks.</summary>
    /// <param name="ranks">Number of processes.</param>
    /// <param name="arguments">The program's assembly and its arguments.</param>
    /// <param name="environment">Variables of the ranks.</param>
    public static Process Start(int ranks, IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("mpirun", ["-n", ranks.ToString(), "--oversubscribe", "--bind-to", "none", "dotnet", .. arguments])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        // Tests run as root in containers, where one process may not read another's memory.
        (string, string)[] always = [("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"), ("OMPI_MCA_btl_vader_single_copy_mechanism", "none"), ("DOTNET_TieredPGO", "0")];
        foreach (var (name, value) in always.Concat(environment))
            start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>Runs ranks to their end: exit code and everything they wrote.</summary>
    public static (int Code, string Output, string Error) Run(int ranks, params IEnumerable<string> arguments) => Finish(Start(ranks, arguments));

    /// <summary>Waits for the end of ranks.</summary>
    public static (int Code, string Output, string Error) Finish(Process process)
    {
        using (process)
        {
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(Limit))
            {
                process.Kill(entireProcessTree: true);
                throw new TimeoutException($"ranks still run after {Limit}: {error.Result}");
            }
            return (process.ExitCode, output.Result, error.Result);
        }
    }
}

/// <summary>A test with ranks as processes.</summary>
public sealed class MpiFactAttribute : FactAttribute
{
    public MpiFactAttribute() => Skip = Mpirun.Missing;
}

/// <summary>Tests with ranks as processes.</summary>
public sealed class MpiTheoryAttribute : TheoryAttribute
{
    public MpiTheoryAttribute() => Skip = Mpirun.Missing;
}

/// <summary>A test of a slow suite with ranks as processes.</summary>
public sealed class LongMpiFactAttribute : FactAttribute
{
    public LongMpiFactAttribute() => Skip = Mpirun.Missing ?? (Environment.GetEnvironmentVariable("GLM_LONG") == "1" ? null : "slow: runs with ./test.sh --long");
}
