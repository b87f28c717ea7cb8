using System.Diagnostics;
using System.Security.Cryptography;
using Glm.Tests;

namespace Glm.Cli.Tests;

/// <summary>Training as a process of its own that is killed without warning and resumed: the model at the end is the same, bit for bit.</summary>
public sealed class KilledTrainingTests
{
    [Fact]
    public void A_killed_run_resumes_bit_for_bit() => KillAndResume(kills: 3);

    [LongFact]
    public void A_run_killed_many_times_resumes_bit_for_bit() => KillAndResume(kills: 40);

    [Fact]
    public void An_interrupted_run_saves_and_exits_with_130()
    {
        using var run = new TinyRun(""", "train_samples": 100000, "save_interval": 100000""");
        using var process = Start(run, resume: false);
        WaitForSteps(process, run, 3);
        Process.Start("kill", ["-TERM", process.Id.ToString()]).WaitForExit();
        Assert.True(process.WaitForExit(60_000));
        Assert.Equal(130, process.ExitCode);
        Assert.Single(Directory.GetDirectories(run.In("run/checkpoints"), "step-*"));
    }

    private static void KillAndResume(int kills)
    {
        const string options = """, "train_samples": 400, "save_interval": 1""";
        using TinyRun straight = new(options), killed = new(options);
        using (var process = Start(straight, resume: false)) Finish(process);
        var random = new CounterRandom(11, 0);
        for (int kill = 0; kill < kills; kill++)
        {
            bool resume = Directory.Exists(killed.In("run/checkpoints")) && Directory.GetDirectories(killed.In("run/checkpoints"), "step-*").Length > 0;
            using var process = Start(killed, resume);
            WaitForSteps(process, killed, (kill + 1) * 90 / kills);
            Thread.Sleep(random.NextInt(20));
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
        using (var process = Start(killed, resume: true)) Finish(process);
        Assert.Equal(Model(straight), Model(killed));
    }

    private static string Model(TinyRun run) => System.Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(run.In("run/model/model.safetensors"))));

    private static Process Start(TinyRun run, bool resume)
    {
        string[] arguments = [typeof(CommandLine).Assembly.Location, "pretrain", "--config", run.In("run.json"), "--quiet", .. resume ? ["--resume"] : Array.Empty<string>()];
        return Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
    }

    private static void Finish(Process process)
    {
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error);
    }

    /// <summary>Waits until the log has this many lines, or the process ends.</summary>
    private static void WaitForSteps(Process process, TinyRun run, int steps)
    {
        string log = run.In("run/log.jsonl");
        while (!process.HasExited && (!File.Exists(log) || File.ReadAllText(log).Count(c => c == '\n') < steps)) Thread.Sleep(5);
    }
}
