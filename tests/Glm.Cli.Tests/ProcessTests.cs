using System.Diagnostics;
using Glm.Tests;

namespace Glm.Cli.Tests;

/// <summary>What only a process of its own shows: signals, pipes, full disks.</summary>
public sealed class ProcessTests(TinyModel model) : IClassFixture<TinyModel>
{
    private static string Glm => $"dotnet '{Path.Combine(AppContext.BaseDirectory, "Glm.Cli.dll")}'";

    private static (int Code, string Out, string Error) Shell(string script)
    {
        // Tests that run in the background may have been told to ignore SIGINT, which programs inherit.
        string[] command = OperatingSystem.IsLinux() ? ["env", "--default-signal=INT", "bash", "-c", script] : ["bash", "-c", script];
        using var shell = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true })!;
        shell.StandardInput.Close();
        var error = shell.StandardError.ReadToEndAsync();
        string output = shell.StandardOutput.ReadToEnd();
        shell.WaitForExit();
        return (shell.ExitCode, output, error.Result);
    }

    [UnixFact]
    public void Interrupted_while_it_waits_for_input_is_130()
    {
        // Bash lets background processes ignore SIGINT; a new session with job control does not.
        var (code, _, error) = Shell($"set -m; mkfifo_dir=$(mktemp -d); mkfifo $mkfifo_dir/in; sleep 60 > $mkfifo_dir/in & holder=$!; {Glm} score --model '{model.Path}' - < $mkfifo_dir/in & job=$!; sleep 1; until kill -INT $job 2>/dev/null && sleep 0.5 && ! kill -0 $job 2>/dev/null; do sleep 0.2; done; wait $job; code=$?; kill $holder; rm -r $mkfifo_dir; exit $code");
        Assert.Equal(130, code);
        Assert.Contains("interrupted", error);
    }

    [UnixFact]
    public void An_interrupt_ends_an_answer_and_not_the_chat()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["chat.gguf"], new TinyGguf { WithVocabulary = true, Changed = ("chatglm.context_length", 60000u) }.ToArray());
        // Questions without end: nearly all of the time, an answer is under way. An interrupt between two answers ends the chat, and another one has to be tried.
        string script = $"""
            set -m; cd '{folder["."]}'; rm -f out error
            {Glm} chat --model chat.gguf --quiet < <(yes Hello) > out 2> error & job=$!
            until [ -s out ] || ! kill -0 $job; do sleep 0.1; done; kill -INT $job
            until grep -q interrupted error || ! kill -0 $job; do sleep 0.1; done
            lines=$(wc -l < out); until [ $(wc -l < out) -gt $((lines + 2)) ] || ! kill -0 $job; do sleep 0.1; done
            kill -TERM $job; wait $job; code=$?; cat error; exit $code
            """;
        var (code, output, _) = Shell(script);
        for (int again = 0; again < 3 && output == "glm: interrupted\n"; again++) (code, output, _) = Shell(script);
        Assert.Equal(130, code);
        Assert.StartsWith("(interrupted)\nglm: interrupted", output);
    }

    [UnixFact]
    public void A_reader_that_leaves_is_no_error()
    {
        var (_, output, error) = Shell($"{Glm} score --model '{model.Path}' '{TinyText.Document(1)}' | head -n 1");
        Assert.NotEqual("", output);
        Assert.Equal("", error);
    }

    [UnixFact]
    public void A_full_standard_output_is_1_with_one_line()
    {
        var (code, _, error) = Shell($"{Glm} info glm-130b > /dev/full");
        Assert.Equal(1, code);
        Assert.StartsWith("glm: ", Assert.Single(error.TrimEnd('\n').Split('\n')));
    }

    [TinyDiskFact]
    public void A_full_disk_while_saving_leaves_nothing_behind()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["disk"]);
        var (code, output, error) = Shell($"unshare -rm bash -c \"mount -t tmpfs -o size=16k tmpfs '{folder["disk"]}' && {Glm} convert '{model.Path}' '{folder["disk"]}/out' --quantize int8 --quiet; code=\\$?; ls -A '{folder["disk"]}'; exit \\$code\"");
        Assert.Equal(1, code);
        Assert.Equal("", output);
        Assert.Contains("out", Assert.Single(error.TrimEnd('\n').Split('\n')));
    }
}

/// <summary>A test that needs a Unix shell.</summary>
internal sealed class UnixFactAttribute : FactAttribute
{
    public UnixFactAttribute()
    {
        if (OperatingSystem.IsWindows()) Skip = "needs a Unix shell";
    }
}

/// <summary>A test that needs a disk of a few kilobytes, which takes a mount in a namespace of its own.</summary>
internal sealed class TinyDiskFactAttribute : FactAttribute
{
    private static readonly bool CanMount = Mounts();

    public TinyDiskFactAttribute()
    {
        if (!CanMount) Skip = "needs to mount a tmpfs in a namespace of its own (unshare -rm)";
    }

    private static bool Mounts()
    {
        try
        {
            using var mount = Process.Start(new ProcessStartInfo("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", Path.GetTempPath()]) { RedirectStandardError = true })!;
            mount.StandardError.ReadToEnd();
            mount.WaitForExit();
            return mount.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
