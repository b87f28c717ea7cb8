using Glm.Tests;

namespace Glm.Cli.Tests;

public sealed class BenchTests(TinyModel model) : IClassFixture<TinyModel>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0u, 4.0)]
    [InlineData(2u, 18.0 / 32)]
    public void A_gguf_file_is_measured(uint type, double bytesPerWeight)
    {
        var report = CommandRun.Of("bench", "--model", Gguf(new TinyGguf { MatrixType = type }), "-p", "40", "-n", "3", "--threads", "2", "--json", "--quiet").Json();
        Assert.Equal(["engine", "model", "threads", "isa", "prompt", "generate", "batch", "load_s", "pp_tok_s", "tg_tok_s", "bytes_per_token", "read_gb_s",
            "bandwidth_share", "arithmetic_share", "resident_mb", "kv_cache"], report.EnumerateObject().Select(field => field.Name));
        Assert.StartsWith("Glm.NET", report.GetProperty("engine").GetString());
        Assert.Equal("tiny.gguf", report.GetProperty("model").GetString());
        Assert.Equal((40, 3, 1, 2), (Int(report, "prompt"), Int(report, "generate"), Int(report, "batch"), Int(report, "threads")));
        foreach (string field in new[] { "pp_tok_s", "tg_tok_s", "bytes_per_token", "read_gb_s", "resident_mb" }) Assert.True(report.GetProperty(field).GetDouble() > 0, field);
        foreach (string field in new[] { "bandwidth_share", "arithmetic_share" }) Assert.InRange(report.GetProperty(field).GetDouble(), 0, 10);
        // All matrices but the embedding, a little for norms, biases, one row of the embedding and the cache.
        double matrices = (TinyGguf.Layers * TinyGguf.Hidden * ((TinyGguf.Heads + 2 * TinyGguf.Groups) * TinyGguf.HeadSize + TinyGguf.Hidden + 3 * TinyGguf.Inner)
            + TinyGguf.Vocabulary * TinyGguf.Hidden) * bytesPerWeight;
        Assert.InRange(report.GetProperty("bytes_per_token").GetDouble(), matrices, matrices + 40_000);
    }

    [Fact]
    public void Rounded_keys_and_values_are_fewer_bytes()
    {
        string file = Gguf(new TinyGguf());
        double[] bytes = [.. new[] { "fp32", "bf16", "int8" }.Select(cache =>
        {
            var report = CommandRun.Of("bench", "--model", file, "-p", "100", "-n", "1", "--kv-cache", cache, "--json", "--quiet").Json();
            Assert.Equal(cache, report.GetProperty("kv_cache").GetString());
            return report.GetProperty("bytes_per_token").GetDouble();
        })];
        const double values = 100.0 * 2 * TinyGguf.Layers * TinyGguf.Groups * TinyGguf.HeadSize;
        Assert.Equal(2 * values, bytes[0] - bytes[1], 1.0);
        Assert.Equal(2 * values - values * (1 + 4.0 / TinyGguf.HeadSize), bytes[1] - bytes[2], 1.0);
        CommandRun.Of("bench", "--model", file, "--kv-cache", "int4").Reason(CommandLine.WrongUsage);
    }

    [Fact]
    public void A_batch_shares_the_reading_of_the_weights()
    {
        string file = Gguf(new TinyGguf());
        double alone = Bytes(1), together = Bytes(4);
        Assert.InRange(together, alone / 4, alone / 2);

        double Bytes(int batch) => CommandRun.Of("bench", "--model", file, "-p", "8", "-n", "2", "-b", $"{batch}", "--json", "--quiet").Json().GetProperty("bytes_per_token").GetDouble();
    }

    [Fact]
    public void A_directory_is_measured_and_shown_as_a_table()
    {
        var run = CommandRun.Of("bench", "--model", model.Path, "-p", "20", "-n", "2");
        Assert.Contains("tokens/s", run.Success());
        Assert.Contains("GB/s", run.Out);
        Assert.Contains("loading the model", run.Error);
    }

    [Fact]
    public void A_shape_gets_random_weights() =>
        Assert.Equal("glm-3m", CommandRun.Of("bench", "--model", "glm-3m", "-p", "4", "-n", "1", "--json", "--quiet").Json().GetProperty("model").GetString());

    [Fact]
    public void A_quantised_shape_of_one_layer_leaves_nothing_on_disk()
    {
        string temporary = Path.GetTempPath();
        string[] before = Directory.GetDirectories(temporary, "glm-bench-*");
        var report = CommandRun.Of("bench", "--model", "glm-3m", "--layers", "1", "--precision", "int4", "--memory", "2GB", "-p", "4", "-n", "1", "--json", "--quiet").Json();
        Assert.True(Int(report, "bytes_per_token") < 6_000_000);
        Assert.False(report.TryGetProperty("disk_share", out _)); // all of it fits
        Assert.Empty(Directory.GetDirectories(temporary, "glm-bench-*").Except(before));
    }

    [Fact]
    public void What_cannot_be_measured_is_refused()
    {
        Assert.Contains("memory: expected at least", CommandRun.Of("bench", "--model", Gguf(new TinyGguf()), "--memory", "1MB", "-p", "4", "-n", "1", "--quiet").Reason());
        Assert.Contains("4GB", CommandRun.Of("bench", "--memory", "much").Reason(CommandLine.WrongUsage));
        Assert.Contains("--layers", CommandRun.Of("bench", "--model", Gguf(new TinyGguf()), "--layers", "1", "--quiet").Reason(CommandLine.WrongUsage));
        Assert.Contains("at most the model's 128", CommandRun.Of("bench", "--model", Gguf(new TinyGguf()), "-p", "120", "-n", "9", "--quiet").Reason());
        Assert.Contains("glm-130b", CommandRun.Of("bench", "--model", _folder["absent"], "--quiet").Reason());
        Assert.Contains("magic", CommandRun.Of("bench", "--model", _folder.Write("bad.gguf", "not a model"), "--quiet").Reason());
        CommandRun.Of("bench", "-p", "0").Reason(CommandLine.WrongUsage);
    }

    private static int Int(System.Text.Json.JsonElement report, string field) => report.GetProperty(field).GetInt32();

    private string Gguf(TinyGguf file)
    {
        File.WriteAllBytes(_folder["tiny.gguf"], file.ToArray());
        return _folder["tiny.gguf"];
    }
}
