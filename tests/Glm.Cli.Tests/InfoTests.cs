using Glm.Models;

namespace Glm.Cli.Tests;

public sealed class InfoTests
{
    public static TheoryData<string> PresetNames => [.. Presets.All.Keys];

    [Theory]
    [MemberData(nameof(PresetNames))]
    public void Presets_are_described_without_weights(string name)
    {
        var info = CommandRun.Of("info", name, "--json").Json();
        var config = Presets.Find(name)!;
        Assert.Equal("glm-130b", info.GetProperty("architecture").GetString());
        Assert.Equal(config.ParameterCount, info.GetProperty("parameters").GetInt64());
        Assert.Equal(config.NumLayers, info.GetProperty("config").GetProperty("num_layers").GetInt32());
        Assert.Equal(2 * config.ParameterCount, info.GetProperty("bytes").GetInt64());
        Assert.Contains($"{config.ParameterCount:N0}", CommandRun.Of("info", name).Success());
    }

    // Spec 1.1 and 6.1: the sizes of GLM-130B.
    [Fact]
    public void GLM_130B_has_the_published_size()
    {
        var info = CommandRun.Of("info", "glm-130b", "--json").Json();
        Assert.Equal(128_697_794_560, info.GetProperty("parameters").GetInt64());
        var bytes = info.GetProperty("bytes_by_precision");
        const long quantised = 126_835_752_960, rest = 1_862_041_600;
        const long scales = 2 * 70L * ((3 * 12288) + 12288 + (2 * 32768) + 12288);
        Assert.Equal(2 * (quantised + rest), bytes.GetProperty("bf16").GetInt64());
        Assert.Equal(quantised + (2 * rest) + scales, bytes.GetProperty("int8").GetInt64());
        Assert.Equal((quantised / 2) + (2 * rest) + scales, bytes.GetProperty("int4").GetInt64());
        Assert.Equal(2L * 70 * 2 * 12288, info.GetProperty("kv_bytes_per_token").GetProperty("bf16").GetInt64());
        Assert.Equal(70L * 2 * (12288 + 96 * 4), info.GetProperty("kv_bytes_per_token").GetProperty("int8").GetInt64());
    }

    [Fact]
    public void A_config_json_is_a_shape_for_info_plan_and_bench()
    {
        using var folder = new TemporaryFolder();
        string path = folder["shape.json"];
        File.WriteAllText(path, (Presets.Find("glm-3m")! with { NumLayers = 2 }).ToJson());
        Assert.Equal(2, Presets.Shape(path)!.Shape.Layers);
        long parameters = Presets.Shape(path)!.ParameterCount;
        Assert.Equal(parameters, CommandRun.Of("info", path, "--json").Json().GetProperty("parameters").GetInt64());
        Assert.Equal(parameters, CommandRun.Of("plan", "--model", path, "--cluster", "cpu-2", "--json").Json().GetProperty("parameters").GetInt64());
        Assert.True(CommandRun.Of("bench", "--model", path, "-p", "4", "-n", "2", "--layers", "1", "--runs", "1", "--json", "--quiet").Json().GetProperty("tg_tok_s").GetDouble() > 0);
        File.WriteAllText(path, "{}");
        Assert.Contains("shape.json", CommandRun.Of("info", path).Reason());
    }

    [Fact]
    public void What_is_neither_a_preset_nor_a_directory_is_refused()
    {
        string reason = CommandRun.Of("info", "glm-131b").Reason();
        Assert.Contains("glm-131b", reason);
        Assert.Contains("glm-130b", reason);
    }

    [Fact]
    public void With_a_memory_it_says_what_stays_on_disk()
    {
        var needs = CommandRun.Of("info", "glm-130b", "--memory", "64GB", "--json").Json().GetProperty("with_memory");
        var int4 = needs.GetProperty("precisions").GetProperty("int4");
        long disk = int4.GetProperty("disk_bytes_per_token").GetInt64();
        Assert.True(int4.GetProperty("runs").GetBoolean());
        Assert.InRange(disk, 67_159_736_320 - 64_000_000_000, 67_159_736_320);
        double least = disk / (needs.GetProperty("disk_gb_s").GetDouble() * 1e9);
        Assert.InRange(int4.GetProperty("seconds_per_token").GetDouble(), 0.98 * least, double.MaxValue);
        Assert.Contains("from disk", CommandRun.Of("info", "glm-3m", "--memory", "1GB").Success());
    }
}
