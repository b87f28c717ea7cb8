using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>Saving and loading, and the original's quantised checkpoints through both.</summary>
public sealed class ModelDirectoryTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-models").FullName;
    private readonly Workers _workers = new(2);

    private string Target => Path.Combine(_folder, "model");

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(DType.Float32)]
    [InlineData(DType.BFloat16)]
    [InlineData(DType.Float16)]
    public void A_saved_model_is_loaded_as_it_was(DType? type)
    {
        var model = ReferenceModel.Load();
        string tokenizer = Path.Combine(_folder, "pieces");
        File.WriteAllText(tokenizer, "a vocabulary");
        ModelDirectory.Save(Target, model, type, tokenizer);
        var loaded = ModelDirectory.Load(Target);
        Assert.Equal(model.Config, loaded.Config);
        foreach (var ((name, expected), (_, found)) in model.Parameters.Zip(loaded.Parameters))
        {
            var wanted = expected.Shape.Length == 1 ? expected : expected.To(type ?? DType.Float32);
            Assert.Equal(wanted.ToString(), found.ToString());
            Assert.True(OriginalCheckpoints.Bytes(wanted).SequenceEqual(OriginalCheckpoints.Bytes(found)), name);
        }
        Assert.Equal("a vocabulary", File.ReadAllText(Path.Combine(Target, ModelDirectory.TokenizerFile)));
        ModelDirectory.Save(Target, loaded);
        Assert.Equal(["config.json", "model.safetensors"], Directory.GetFiles(Target).Select(Path.GetFileName).Order());
        Assert.Equal([Target], Directory.GetDirectories(_folder));
    }

    [Fact]
    public void A_directory_with_anything_else_is_not_replaced()
    {
        var model = ReferenceModel.Load();
        Directory.CreateDirectory(Target);
        File.WriteAllText(Path.Combine(Target, "thesis.txt"), "dear");
        Assert.Contains("found thesis.txt", Assert.Throws<GlmException>(() => ModelDirectory.Save(Target, model)).Message);
        Assert.Equal("dear", File.ReadAllText(Path.Combine(Target, "thesis.txt")));
    }

    [Fact]
    public void A_save_that_fails_leaves_the_old_model()
    {
        var model = ReferenceModel.Load();
        ModelDirectory.Save(Target, model);
        Assert.Throws<OperationCanceledException>(() => ModelDirectory.Save(Target, model, DType.Float16, cancel: new CancellationToken(true)));
        Assert.Throws<GlmException>(() => ModelDirectory.Save(Target, model, tokenizer: Path.Combine(_folder, "missing")));
        Assert.Contains("final_layernorm.bias", Assert.Throws<GlmException>(() => ModelDirectory.Save(Target, model.Config, model.Parameters.SkipLast(1))).Message);
        Assert.Equal(DType.Float32, ModelDirectory.Load(Target).WordEmbeddings.Type);
        Assert.Equal([Target], Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public void What_is_missing_or_wrong_is_named()
    {
        Assert.Contains("config.json", Assert.Throws<GlmException>(() => ModelDirectory.Load(Target)).Message);
        var model = ReferenceModel.Load();
        Write(model, [.. model.Parameters.SkipLast(1)]);
        Assert.Contains("transformer.final_layernorm.bias", Assert.Throws<GlmException>(() => ModelDirectory.Load(Target)).Message);
        Write(model, [.. model.Parameters.SkipLast(1), ("transformer.final_layernorm.bias", Tensor.Zeros(DType.Float32, 63))]);
        Assert.Contains("final_layernorm.bias: expected floating-point numbers [64], found Float32 [63]", Assert.Throws<GlmException>(() => ModelDirectory.Load(Target)).Message);
        const string dense = "transformer.layers.0.attention.dense.weight";
        Write(model, [.. model.Parameters.Where(p => p.Name != dense), (dense, Tensor.Zeros(DType.Int8, 64, 32))]);
        Assert.Contains("dense.weight: expected floating-point", Assert.Throws<GlmException>(() => ModelDirectory.Load(Target)).Message);
        Write(model, [.. model.Parameters.Where(p => p.Name != dense), (dense, Tensor.Zeros(DType.Int8, 64, 32)), (dense + "_scale", Tensor.Zeros(DType.Float16, 3, 64))]);
        Assert.Contains("expected a quantised weight [64, 64], found Int8 [64, 32] with scales Float16 [3, 64]", Assert.Throws<GlmException>(() => ModelDirectory.Load(Target)).Message);
        SafetensorsWriter.Write(Path.Combine(Target, "more.safetensors"), [(dense, Tensor.Zeros(DType.Int8, 1))]);
        Assert.Contains("expected each tensor once", Assert.Throws<GlmException>(() => ModelDirectory.Load(Target)).Message);
    }

    /// <summary>Every checkpoint of every precision and degree: loaded from its ranks and run, saved, loaded and run.</summary>
    [WholeReferenceFact]
    public void Original_checkpoints_give_the_originals_logits()
    {
        var expected = SafetensorsFile.Open(Path.Combine(OriginalCheckpoints.Folder, "expected_logits.safetensors"));
        int compared = 0;
        foreach (string name in OriginalCheckpoints.Names)
        {
            var original = ModelDirectory.Load(Path.Combine(OriginalCheckpoints.Folder, name), ReferenceModel.Config());
            ModelDirectory.Save(Target, original);
            var saved = ModelDirectory.Load(Target);
            // Sharding does not change what is computed unless each shard was quantised by itself.
            string run = name.StartsWith("fp", StringComparison.Ordinal) ? OriginalCheckpoints.Precision(name) + "-tp1" : name;
            foreach (string entry in expected.Names.Where(entry => entry.StartsWith(run + ".", StringComparison.Ordinal)))
                foreach (var model in new[] { original, saved })
                {
                    compared++;
                    if (entry.EndsWith(".dequantized", StringComparison.Ordinal)) RequireDequantized(model, entry, expected[entry]);
                    else RequireLogits(model, entry, entry.Split('.')[1], expected[entry]);
                }
        }
        Assert.True(compared > 0, "no checkpoint was compared");
    }

    private void RequireLogits(LanguageModel model, string what, string caseName, Tensor expected)
    {
        var file = ReferenceModel.Case(caseName + ".safetensors");
        var segments = ReferenceModel.Segments(file);
        var context = new Context(_workers);
        var hidden = model.Forward(context, context.Integers(file.Integers("tokens")), context.Integers(file.Integers("position_ids")), model.Within(context, segments));
        var logits = model.Logits(context, hidden);
        var wanted = expected.Reshape(logits.Shape);
        foreach (var segment in segments)
            Close.Require(what, wanted.Slice(segment.Start, segment.Length).ToArray(), logits.Slice(segment.Start, segment.Length).ToArray(), 1e-4);
    }

    /// <summary>The unit matrix times a weight is the transposed weight, exactly.</summary>
    private void RequireDequantized(LanguageModel model, string what, Tensor expected)
    {
        var weight = model.Parameters.Single(p => p.Name.StartsWith("transformer.layers.0.", StringComparison.Ordinal) && p.Name.EndsWith($"{what.Split('.')[2]}.weight", StringComparison.Ordinal)).Tensor;
        var context = new Context(_workers);
        float[] unit = new float[weight.Columns * weight.Columns], values = expected.ToArray();
        for (int i = 0; i < weight.Columns; i++) unit[i * (weight.Columns + 1)] = 1;
        float[] product = context.Linear(context.Floats(unit, weight.Columns, weight.Columns), weight).ToArray();
        for (int row = 0; row < weight.Rows; row++)
            for (int column = 0; column < weight.Columns; column++)
                Assert.Equal(values[row * weight.Columns + column], product[column * weight.Rows + row]);
    }

    private void Write(LanguageModel model, (string, Tensor)[] tensors)
    {
        Directory.CreateDirectory(Target);
        File.WriteAllText(Path.Combine(Target, ModelDirectory.ConfigFile), model.Config.ToJson());
        SafetensorsWriter.Write(Path.Combine(Target, ModelDirectory.WeightsFile), tensors);
    }
}
