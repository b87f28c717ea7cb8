using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models.Tests;

/// <summary>Small GLMs, OPT, BLOOM, GLM-4 and long contexts, loaded from directories as hubs have them, against the oracles in float64.</summary>
public sealed class OracleTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly string _folder = Directory.CreateTempSubdirectory("glm-models").FullName;
    private readonly Workers _workers = new(2);

    public static TheoryData<string> Cases => OracleCase.Names;

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_whole_sequence(string name)
    {
        var (oracle, model) = Load(name);
        int length = oracle.Ids.Length;
        var context = new Context(_workers);
        var hidden = model.Forward(context, context.Integers(oracle.Ids), Positions(context, oracle, 0, length), model.Within(context, [new(0, length, oracle.Division)]));
        Require(oracle, "whole", model.Logits(context, hidden));
    }

    /// <summary>The context in one pass, of a causal model in two, and the rest token by token, over the cache.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Cached_decoding(string name)
    {
        var (oracle, model) = Load(name);
        int length = oracle.Ids.Length, vocabulary = model.VocabSize;
        var cache = new KvCache(model.NumLayers, model.Heads);
        var sequence = cache.Add();
        var context = new Context(_workers);
        var logits = Tensor.Allocate(DType.Float32, length, vocabulary);
        for (int start = 0, end; start < length; start = end)
        {
            end = start == 0 ? oracle.Division + 1 : model.IsCausal && start == 1 ? length - 3 : start + 1;
            context.Reset();
            var part = sequence.Append(0, end - start, oracle.Division);
            var hidden = model.Forward(context, context.Integers(oracle.Ids.AsSpan(start, end - start)), Positions(context, oracle, start, end),
                (qkv, layer) => context.CachedAttention(qkv, model.Heads, cache.Pages(layer), [part], model.Slopes));
            logits.Slice(start, end - start).CopyFrom(model.Logits(context, hidden));
        }
        Require(oracle, "cached", logits);
    }

    /// <summary>Every parameter that training would change gets a gradient: no tensor of the forward pass was left off the tape.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_parameter_gets_a_gradient(string name)
    {
        var (oracle, loaded) = Load(name);
        var model = loaded.Config.Create(parameter => Trainable(loaded.Parameters.Single(p => p.Name == parameter).Tensor));
        int length = oracle.Ids.Length;
        var context = new Context(_workers);
        context.Record();
        var hidden = model.Forward(context, context.Integers(oracle.Ids), Positions(context, oracle, 0, length), model.Within(context, [new(0, length, oracle.Division)]));
        var targets = context.Integers([.. Enumerable.Range(0, length).Select(i => i % 5)]);
        var weights = context.Floats([.. Enumerable.Repeat(1f, length)], length);
        context.Backward(context.CrossEntropy(model.Logits(context, hidden), targets, weights).Loss);
        foreach (var (parameter, tensor) in model.Parameters)
            Assert.True(tensor.Gradient is { } gradient && gradient.ToArray().Any(value => value != 0), $"{name}: {parameter} has no gradient");
    }

    /// <summary>A model that is saved in our directory is the same model.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Saved_and_loaded_again(string name)
    {
        var (_, model) = Load(name);
        string target = Path.Combine(_folder, "again");
        ModelDirectory.Save(target, model);
        var again = ModelDirectory.Load(target);
        Assert.Equal(model.GetType(), again.GetType());
        foreach (var ((parameter, expected), (_, found)) in model.Parameters.Zip(again.Parameters)) Close.Require(parameter, expected.ToArray(), found.ToArray(), 0);
    }

    [Fact]
    public void Missing_and_wrong_tensors_are_named()
    {
        new OracleCase("opt").Save(_folder);
        string file = Path.Combine(_folder, ModelDirectory.WeightsFile);
        var whole = SafetensorsFile.Open(file);
        TensorEntry[] entries = [.. whole.Names.Select(name => new TensorEntry(name, DType.Float32, whole[name].Shape.ToArray(), () => whole[name]))];
        string other = Path.Combine(_folder, "other.safetensors");
        SafetensorsWriter.Write(other, [.. entries.Where(entry => !entry.Name.EndsWith("1.self_attn.k_proj.weight", StringComparison.Ordinal))], new Dictionary<string, string>());
        File.Move(other, file, overwrite: true);
        string reason = Assert.Throws<GlmException>(() => ModelDirectory.Load(_folder)).Message;
        Assert.Contains("model.decoder.layers.1.self_attn.q_proj.weight + model.decoder.layers.1.self_attn.k_proj.weight", reason);
        Assert.Contains("found none", reason);

        SafetensorsWriter.Write(other, [.. entries.Select(entry => !entry.Name.EndsWith("1.self_attn.k_proj.weight", StringComparison.Ordinal) ? entry
            : entry with { Shape = [20, 10], Parts = () => [Tensor.Zeros(DType.Float32, 20, 10)] })], new Dictionary<string, string>());
        File.Move(other, file, overwrite: true);
        reason = Assert.Throws<GlmException>(() => ModelDirectory.Load(_folder)).Message;
        Assert.Contains(file, reason);
        Assert.Contains("expected parts of one type and width, found Float32 [20, 20], Float32 [20, 10]", reason);
    }

    private static Tensor Trainable(Tensor tensor)
    {
        var copy = Tensor.From(tensor.ToArray(), tensor.Shape);
        copy.RequiresGradient = true;
        return copy;
    }

    private (OracleCase Oracle, LanguageModel Model) Load(string name)
    {
        var oracle = new OracleCase(name);
        oracle.Save(_folder);
        return (oracle, ModelDirectory.Load(_folder));
    }

    private static Positions Positions(Context context, OracleCase oracle, int start, int end)
    {
        Tensor[] axes = [.. oracle.Positions.Select(axis => context.Integers(axis.AsSpan(start, end - start)))];
        return new Positions(axes[0], axes.Length == 2 ? axes[1] : null);
    }

    private static void Require(OracleCase oracle, string what, Tensor logits)
    {
        foreach (var (row, expected) in oracle.Rows.Zip(oracle.Logits)) Close.Require($"{oracle.Name}, {what}: row {row}", expected, logits.Slice(row, 1).ToArray(), Tolerance);
    }
}
