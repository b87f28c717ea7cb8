using System.Diagnostics;
using System.Text;
using Glm.Tests;

namespace Glm.Tokenizers.Tests;

/// <summary>The original's command-line tools, where they are installed.</summary>
internal static class Spm
{
    /// <summary>Where <c>spm_encode</c> is, or null.</summary>
    public static string? Encoder { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, "spm_encode")).FirstOrDefault(File.Exists);

    /// <summary>Ids of each line.</summary>
    public static int[][] Encode(string model, IEnumerable<string> lines) =>
        [.. Run("spm_encode", lines, $"--model={model}", "--output_format=id").Select(ParseIds)];

    /// <summary>Text of each list of ids.</summary>
    public static string[] Decode(string model, IEnumerable<int[]> ids) =>
        Run("spm_decode", ids.Select(line => string.Join(' ', line)), $"--model={model}", "--input_format=id");

    public static int[] ParseIds(string line) => [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];

    private static string[] Run(string tool, IEnumerable<string> lines, params string[] arguments)
    {
        string input = Path.GetTempFileName(), output = Path.GetTempFileName();
        try
        {
            File.WriteAllText(input, string.Concat(lines.Select(line => line + "\n")), new UTF8Encoding(false));
            var start = new ProcessStartInfo(Path.Combine(Path.GetDirectoryName(Encoder)!, tool), [.. arguments, $"--input={input}", $"--output={output}"]);
            using Process process = Process.Start(start)!;
            process.WaitForExit();
            Assert.Equal(0, process.ExitCode);
            return File.ReadAllText(output).Split('\n')[..^1];
        }
        finally
        {
            File.Delete(input);
            File.Delete(output);
        }
    }
}

/// <summary>A test beside the original's tools; skipped where they, or the files it needs, are absent.</summary>
internal sealed class SpmFactAttribute : FactAttribute
{
    public SpmFactAttribute(bool tokenizers = true, bool data = false) =>
        Skip = Spm.Encoder is null ? "spm_encode is not installed (apt-get install sentencepiece)"
            : tokenizers && TestFiles.Tokenizers is null ? "the folder of tokenizer files is absent (set GLM_REFERENCE)"
            : data && TestFiles.Data is null ? "the data folder is absent (set GLM_DATA)"
            : null;
}
