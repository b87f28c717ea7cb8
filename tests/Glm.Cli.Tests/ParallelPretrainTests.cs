using System.Diagnostics;
using System.Security.Cryptography;
using Glm.Distributed;
using Glm.Tests;
using Glm.Training;

namespace Glm.Cli.Tests;

/// <summary><c>mpirun -n N glm pretrain</c>: the run of one process in another layout, and what happens when a rank is lost, hangs or cannot write.</summary>
public sealed class ParallelPretrainTests
{
    private const string Options = """, "train_samples": 160, "global_batch": 8, "hidden_dropout": 0, "attention_dropout": 0, "save_interval": 100, "eval_interval": 10""";
    private static readonly TimeSpan EndsWithin = TimeSpan.FromSeconds(30);

    private static readonly Lazy<IReadOnlyList<StepLog>> One = new(() =>
    {
        using var run = new TinyRun(Options);
        Assert.Equal(0, CommandRun.Of("pretrain", "--config", run.In("run.json"), "--quiet").Code);
        return RunLog.Read(run.In("run/log.jsonl"));
    });

    [MpiTheory]
    [InlineData(2, 1, 1)]
    [InlineData(1, 2, 1)]
    [InlineData(1, 1, 2)]
    [InlineData(2, 2, 2)]
    public void Processes_train_as_one_does(int tensors, int stages, int data)
    {
        using var run = new TinyRun(Options);
        var (code, output, error) = Mpirun.Run(tensors * stages * data, [.. Arguments(run, resume: false), "--tensor-parallel", $"{tensors}", "--pipeline-parallel", $"{stages}"]);
        Assert.True(code == 0, error);
        Assert.Single(output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("20 steps", output);
        IReadOnlyList<StepLog> expected = One.Value, found = RunLog.Read(run.In("run/log.jsonl"));
        Assert.Equal(expected.Count, found.Count);
        for (int i = 0; i < found.Count; i++) Assert.InRange(found[i].Loss / expected[i].Loss, 1 - (i == 0 ? 1e-6 : 1e-4), 1 + (i == 0 ? 1e-6 : 1e-4));
        Assert.Equal(0, CommandRun.Of("info", run.In("run/model")).Code);
    }

    [MpiFact]
    public void Killed_ranks_leave_a_run_that_goes_on_bit_for_bit() => KillAndResume(kills: 2);

    [LongMpiFact]
    public void Ranks_killed_many_times_leave_a_run_that_goes_on_bit_for_bit() => KillAndResume(kills: 10);

    [MpiFact]
    public void A_rank_that_cannot_write_ends_the_job_with_its_reason()
    {
        using var run = new TinyRun();
        Directory.CreateDirectory(run.In("run/checkpoints/.step-00000003.tmp/rank-00001.safetensors"));
        var (code, _, error) = Mpirun.Run(2, Arguments(run, resume: false));
        Assert.Equal(1, code);
        Assert.Contains("rank-00001.safetensors: cannot be written", Assert.Single(Reasons(error)));
        Assert.Empty(Directory.GetDirectories(run.In("run/checkpoints"), "step-*"));
    }

    [MpiFact]
    public void A_rank_that_hangs_ends_the_job()
    {
        using var run = new TinyRun(Endless);
        var process = Start(run, resume: false, (MpiJob.SilenceVariable, "5"));
        WaitForSteps(process, run, 3);
        Signal("STOP", Ranks(process)[1]);
        var (code, error) = Ended(process);
        Assert.Equal(1, code);
        Assert.Contains("has been silent for 5 s", Assert.Single(Reasons(error)));
    }

    [MpiFact]
    public void An_interrupted_rank_lets_all_save_and_end()
    {
        using var run = new TinyRun(Endless);
        var process = Start(run, resume: false);
        WaitForSteps(process, run, 3);
        Signal("TERM", Ranks(process)[1]);
        var (code, error) = Ended(process);
        Assert.Equal(130, code);
        Assert.Equal(["glm: interrupted"], Reasons(error));
        Assert.Single(Directory.GetDirectories(run.In("run/checkpoints"), "step-*"));
    }

    [MpiFact]
    public void An_interrupted_job_ends()
    {
        using var run = new TinyRun(Endless);
        var process = Start(run, resume: false);
        WaitForSteps(process, run, 3);
        Signal("TERM", process.Id);
        Assert.NotEqual(0, Ended(process).Code);
    }

    [MpiFact]
    public void What_ranks_cannot_do_is_said_once()
    {
        var (code, _, error) = Mpirun.Run(2, typeof(CommandLine).Assembly.Location, "tokenize", "encode", "x");
        Assert.Equal(2, code);
        Assert.Contains("runs in one process", Assert.Single(Reasons(error)));
        (code, _, error) = Mpirun.Run(2, typeof(CommandLine).Assembly.Location, "pretrain", "--config", "missing.json");
        Assert.Equal(1, code);
        Assert.Contains("missing.json", Assert.Single(Reasons(error)));
    }

    private const string Endless = """, "train_samples": 100000, "save_interval": 100000""";

    private static void KillAndResume(int kills)
    {
        const string options = """, "train_samples": 160, "save_interval": 2""";
        using TinyRun straight = new(options), killed = new(options);
        var (code, _, error) = Mpirun.Run(4, [.. Arguments(straight, resume: false), "--tensor-parallel", "2"]);
        Assert.True(code == 0, error);
        var random = new CounterRandom(11, 0);
        for (int kill = 0; kill < kills; kill++)
        {
            var process = Start(killed, CanResume(killed));
            WaitForSteps(process, killed, 1 + ((kill + 1) * 36 / kills));
            Thread.Sleep(random.NextInt(30));
            int[] ranks = Ranks(process);
            if (ranks.Length > 0) Signal("KILL", ranks[random.NextInt(ranks.Length)]);
            Ended(process);
        }
        (code, _, error) = Mpirun.Finish(Start(killed, CanResume(killed)));
        Assert.True(code == 0, error);
        Assert.Equal(Model(straight), Model(killed));
    }

    private static bool CanResume(TinyRun run) => Directory.Exists(run.In("run/checkpoints")) && Directory.GetDirectories(run.In("run/checkpoints"), "step-*").Length > 0;

    private static string Model(TinyRun run) => System.Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(run.In("run/model/model.safetensors"))));

    private static string[] Arguments(TinyRun run, bool resume) =>
        [typeof(CommandLine).Assembly.Location, "pretrain", "--config", run.In("run.json"), "--quiet", .. resume ? ["--resume"] : Array.Empty<string>()];

    private static Process Start(TinyRun run, bool resume, params (string Name, string Value)[] environment) => Mpirun.Start(4, [.. Arguments(run, resume), "--tensor-parallel", "2"], environment);

    /// <summary>What the command itself said, without mpirun's notes.</summary>
    private static string[] Reasons(string error) => [.. error.Split('\n').Where(line => line.StartsWith("glm: ", StringComparison.Ordinal)).Select(line => line.TrimEnd())];

    private static (int Code, string Error) Ended(Process process)
    {
        var watch = Stopwatch.StartNew();
        var (code, _, error) = Mpirun.Finish(process);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, EndsWithin);
        return (code, error);
    }

    /// <summary>The processes that mpirun started.</summary>
    private static int[] Ranks(Process mpirun) => [.. Directory.GetDirectories("/proc").Select(path => int.TryParse(Path.GetFileName(path), out int id) ? id : 0)
        .Where(id => id > 0 && Parent(id) == mpirun.Id).Order()];

    private static int Parent(int id)
    {
        try
        {
            string status = File.ReadAllText($"/proc/{id}/stat");
            return int.Parse(status[(status.LastIndexOf(')') + 2)..].Split(' ')[1]);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static void Signal(string name, int process) => Process.Start("kill", [$"-{name}", process.ToString()]).WaitForExit();

    private static void WaitForSteps(Process process, TinyRun run, int steps)
    {
        string log = run.In("run/log.jsonl");
        while (!process.HasExited && (!File.Exists(log) || File.ReadAllText(log).Count(c => c == '\n') < steps)) Thread.Sleep(5);
    }
}
