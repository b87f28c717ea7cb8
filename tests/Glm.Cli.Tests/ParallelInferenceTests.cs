using Glm.Tests;

namespace Glm.Cli.Tests;

/// <summary>Commands that run a model in several processes print what they print in one.</summary>
public sealed class ParallelInferenceTests
{
    private static string Glm => typeof(CommandLine).Assembly.Location;

    [MpiFact]
    public void Ranks_generate_what_one_process_does()
    {
        const string text = "The king [MASK] away.";
        var (code, output, error) = Mpirun.Run(2, Glm, "generate", "--strategy", "greedy", "--quiet", text);
        Assert.True(code == 0, error);
        Assert.Equal(CommandRun.Of("generate", "--strategy", "greedy", "--quiet", text).Success().Trim(), output.Trim());
    }

    [MpiFact]
    public void The_first_rank_reads_for_all()
    {
        var process = Mpirun.Start(2, [Glm, "generate", "--quiet", "-"]);
        process.StandardInput.Write("The sea at night");
        process.StandardInput.Close();
        var (code, output, error) = Mpirun.Finish(process);
        Assert.True(code == 0, error);
        Assert.Equal(CommandRun.WithInput("The sea at night", "generate", "--quiet", "-").Success().Trim(), output.Trim());
    }

    [MpiFact]
    public void Ranks_evaluate_what_one_process_does()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["text.txt"], TinyText.Document(3));
        string[] arguments = ["eval", "--tasks", "bits-per-byte", "--data", folder["text.txt"], "--json", "--quiet"];
        var (code, output, error) = Mpirun.Run(2, [Glm, .. arguments]);
        Assert.True(code == 0, error);
        Assert.Equal(Metric(CommandRun.Of(arguments).Success()), Metric(output), 1e-5);

        static double Metric(string json) => System.Text.Json.JsonDocument.Parse(json[json.IndexOf('{')..]).RootElement.GetProperty("metrics").GetProperty("bits_per_byte").GetDouble();
    }
}
