using System.Diagnostics;
using System.Text.Json;
using Glm.Tests;

namespace Glm.Tokenizers.Tests;

/// <summary>Texts of the pre-training data.</summary>
internal static class Documents
{
    /// <summary>The texts of one file, for example <c>valid-en</c>.</summary>
    public static List<string> Read(string name)
    {
        string file = Path.Combine(TestFiles.Data!, "pretrain", name + ".jsonl.zst");
        using Process process = Process.Start(new ProcessStartInfo("zstd", ["-dc", file]) { RedirectStandardOutput = true })!;
        var texts = new List<string>();
        while (process.StandardOutput.ReadLine() is { } line)
        {
            using JsonDocument record = JsonDocument.Parse(line);
            texts.Add(record.RootElement.GetProperty("text").GetString()!);
        }
        return texts;
    }
}
