using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Glm.Tensors;

namespace Glm.Models.Tests;

/// <summary>Damaged model directories are refused with a reason: never another exception, never memory for a size that nobody checked.</summary>
public sealed class DamagedModelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-models").FullName;
    private readonly byte[] _config, _weights;

    public DamagedModelTests()
    {
        var config = new Glm130BConfig { NumLayers = 1, HiddenSize = 4, InnerHiddenSize = 2, NumAttentionHeads = 1, VocabSize = 3, MaxSequenceLength = 5 };
        ModelDirectory.Save(_folder, config, Glm130B.Shapes(config).Select(p => (p.Name, Tensor.Zeros(DType.Float32, p.Shape))));
        (_config, _weights) = (File.ReadAllBytes(Config), File.ReadAllBytes(Weights));
    }

    private string Config => Path.Combine(_folder, ModelDirectory.ConfigFile);

    private string Weights => Path.Combine(_folder, ModelDirectory.WeightsFile);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Changed_configurations_give_a_model_or_a_reason()
    {
        var change = Gen.Choose(0, _config.Length - 1).Zip(Gen.Choose(1, 126));
        Check.QuickThrowOnFailure(Prop.ForAll(change.NonEmptyListOf().ToArbitrary(), changes =>
        {
            byte[] bytes = [.. _config];
            foreach (var (at, value) in changes) bytes[at] = (byte)value;
            return LoadsOrRefuses(Config, bytes);
        }));
    }

    /// <summary>Whatever stands in a field: huge and negative numbers, other types, nothing.</summary>
    [Fact]
    public void Changed_fields_give_a_model_or_a_reason()
    {
        string[] lines = Encoding.UTF8.GetString(_config).Split('\n');
        int[] fields = [.. Enumerable.Range(0, lines.Length).Where(i => lines[i].Contains(':'))];
        var values = Gen.Elements("0", "-1", "1", "7", "8", "1048576", "16777216", "2147483647", "4294967296", "1e300", "0.5", "null", "true", "\"exact\"", "\"x\"", "[]", "{}", "");
        Check.QuickThrowOnFailure(Prop.ForAll(Gen.Elements(fields).Zip(values).NonEmptyListOf().ToArbitrary(), changes =>
        {
            string[] changed = [.. lines];
            foreach (var (line, value) in changes) changed[line] = $"{changed[line].Split(':')[0]}: {value}{(lines[line].EndsWith(',') ? "," : "")}";
            return LoadsOrRefuses(Config, Encoding.UTF8.GetBytes(string.Join('\n', changed)));
        }));
    }

    [Fact]
    public void Changed_weights_give_a_model_or_a_reason()
    {
        var change = Gen.Choose(0, _weights.Length - 1).Zip(ArbMap.Default.GeneratorFor<byte>());
        Check.QuickThrowOnFailure(Prop.ForAll(change.NonEmptyListOf().ToArbitrary(), changes =>
        {
            byte[] bytes = [.. _weights];
            foreach (var (at, value) in changes) bytes[at] = value;
            return LoadsOrRefuses(Weights, bytes);
        }));
    }

    [Fact]
    public void Every_truncation_is_refused()
    {
        for (int length = 0; length < Encoding.UTF8.GetString(_config).TrimEnd().Length; length++)
        {
            File.WriteAllBytes(Config, _config[..length]);
            Assert.Throws<GlmException>(() => ModelDirectory.Load(_folder));
        }
        File.WriteAllBytes(Config, _config);
        for (int length = 0; length < _weights.Length; length += 7)
        {
            File.WriteAllBytes(Weights, _weights[..length]);
            Assert.Throws<GlmException>(() => ModelDirectory.Load(_folder));
        }
    }

    private bool LoadsOrRefuses(string path, byte[] bytes)
    {
        File.WriteAllBytes(path, bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            ModelDirectory.Load(_folder);
        }
        catch (GlmException error)
        {
            Assert.DoesNotContain('\n', error.Message);
        }
        // A model of this size with the rotary tables of all positions that a configuration can ask for with it.
        return GC.GetAllocatedBytesForCurrentThread() - before < 80 << 20;
    }
}
