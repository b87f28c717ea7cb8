namespace Glm.Models.Tests;

public sealed class PresetsTests
{
    public static TheoryData<string> Names => [.. Presets.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_preset_is_possible_and_survives_its_file(string name)
    {
        var config = Presets.Find(name)!.Validated(name);
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, config.ToJson());
            Assert.Equal(config, Glm130BConfig.Load(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Glm_130b_has_the_papers_number_of_parameters()
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(128_697_794_560, Presets.Find("glm-130b")!.ParameterCount);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 10 << 20);
        Assert.Equal(126_835_752_960, Glm130B.Shapes(Presets.Find("glm-130b")!).Where(p => Presets.Find("glm-130b")!.IsQuantizable(p.Name)).Sum(p => (long)p.Shape[0] * p.Shape[1]));
    }

    [Fact]
    public void Names_are_unknown_or_known() => Assert.Null(Presets.Find("glm-131b"));
}
