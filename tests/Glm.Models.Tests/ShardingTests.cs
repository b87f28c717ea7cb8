using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>Cutting and joining for tensor-parallel ranks, against the files of the original's converter and through files of our own.</summary>
public sealed class ShardingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-models").FullName;
    private readonly Workers _workers = new(2);

    private string Target => Path.Combine(_folder, "model");

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>From every degree to every other of the same precision, all tensors of all ranks, bit for bit.</summary>
    [WholeReferenceFact]
    public void Conversions_between_degrees_are_the_originals()
    {
        int compared = 0;
        foreach (var precision in OriginalCheckpoints.Names.Where(name => name.StartsWith("fp", StringComparison.Ordinal)).GroupBy(OriginalCheckpoints.Precision))
            foreach (var from in precision.Select(OriginalCheckpoints.Open))
                foreach (var to in precision.Select(OriginalCheckpoints.Open))
                    for (int rank = 0; rank < to.Ranks.Count; rank++, compared++)
                        RequireEqual($"{from.Path} to {to.Ranks[rank].Path}", to.Ranks[rank], name => Converted(from.Ranks, name, rank, to.Ranks.Count));
        Assert.True(compared > 0, "no checkpoint was compared");
    }

    /// <summary>Quantised checkpoints are the quantised ranks of the float16 one.</summary>
    [WholeReferenceFact]
    public void Quantised_ranks_are_the_originals()
    {
        var source = OriginalCheckpoints.Open("fp16-tp1").Ranks;
        int compared = 0;
        foreach (string name in OriginalCheckpoints.Names.Where(name => name.StartsWith("int", StringComparison.Ordinal)))
        {
            var type = OriginalCheckpoints.Precision(name) == "int8" ? DType.Int8 : DType.Int4;
            var ranks = OriginalCheckpoints.Open(name).Ranks;
            for (int rank = 0; rank < ranks.Count; rank++)
                foreach (string tensor in source[0].Names)
                {
                    var part = Converted(source, tensor, rank, ranks.Count);
                    if (ReferenceModel.Config().IsQuantizable(tensor))
                    {
                        var stored = ranks[rank][tensor].AsQuantized(part.Rows, part.Columns, ranks[rank][tensor + "_scale"]);
                        OriginalCheckpoints.RequireEqual($"{name}, rank {rank}: {tensor}", stored, Quantization.Quantize(tensor, part, type, _workers));
                        compared++;
                    }
                    else OriginalCheckpoints.RequireEqual($"{name}, rank {rank}: {tensor}", ranks[rank][tensor], part);
                }
        }
        Assert.True(compared > 0, "no checkpoint was compared");
    }

    /// <summary>A model that is written for any number of ranks is the same model, dense or quantised, and its shape is found without a configuration.</summary>
    [Theory]
    [InlineData(1, null)]
    [InlineData(2, null)]
    [InlineData(4, null)]
    [InlineData(1, 8)]
    [InlineData(2, 8)]
    [InlineData(4, 4)]
    public void A_model_passes_through_ranks(int degree, int? bits)
    {
        LanguageModel model = ReferenceModel.Load();
        if (bits is { } b) model = Quantization.Quantize(model, b, _workers);
        WriteRanks(model, degree);
        var loaded = ModelDirectory.Load(Target, model.Config);
        float[] expected = Logits(model);
        Assert.Equal(expected, Logits(loaded));
        Assert.Equal(ReferenceModel.Config() with { RotaryMode = RotaryMode.Fp16Table, MaxSequenceLength = 2048 }, ModelDirectory.LoadConfig(Target));
        Assert.Equal(ModelDirectory.Inventory(Target).Keys.Order(), model.Parameters.Select(p => p.Tensor.Type).Distinct().Order());
        File.WriteAllText(Path.Combine(Target, ModelDirectory.ConfigFile), model.Config.ToJson());
        Assert.Equal(expected, Logits(ModelDirectory.Load(Target)));
    }

    [Fact]
    public void A_shape_that_tensors_do_not_tell_is_asked_for()
    {
        WriteRanks(ReferenceModel.Load(), 1, frequencies: false);
        Assert.Contains("expected config.json beside the checkpoint, since its tensors do not tell the number of heads", Assert.Throws<GlmException>(() => ModelDirectory.Load(Target)).Message);
    }

    /// <summary>The shapes of the 8 released files alone.</summary>
    [Fact]
    public void The_shapes_of_the_130_billion_are_cut_as_in_the_released_files()
    {
        var shapes = Glm130B.Shapes(Presets.Find("glm-130b")!).ToDictionary(p => p.Name, p => p.Shape);
        foreach (var (name, part) in new (string, int[])[]
        {
            ("transformer.word_embeddings.weight", [18816, 12288]), ("transformer.layers.69.attention.query_key_value.weight", [4608, 12288]), ("transformer.layers.0.attention.query_key_value.bias", [4608]),
            ("transformer.layers.0.attention.dense.weight", [12288, 1536]), ("transformer.layers.0.attention.dense.bias", [12288]), ("transformer.layers.0.mlp.dense_h_to_4h.weight", [8192, 12288]),
            ("transformer.layers.0.mlp.dense_h_to_4h.bias", [8192]), ("transformer.layers.0.mlp.dense_4h_to_h.weight", [12288, 4096]), ("transformer.layers.0.mlp.dense_4h_to_h.bias", [12288]),
            ("transformer.final_layernorm.weight", [12288]),
        })
            Assert.Equal(shapes[name], Sharding.JoinedShape(name, part, 8));
    }

    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.Float16)]
    [InlineData(DType.Int8)]
    public void Parts_join_to_the_whole(DType type)
    {
        foreach (var (name, rows, columns) in new[] { ("query_key_value.weight", 12, 7), ("mlp.dense_h_to_4h.weight", 24, 5), ("attention.dense.weight", 5, 12), ("dense_4h_to_h.weight_scale", 12, 3), ("a.layernorm.weight", 4, 3) })
            foreach (int ranks in new[] { 1, 2, 3, 4, 6 })
            {
                var whole = Random(type, rows, columns);
                Tensor[] parts = [.. Enumerable.Range(0, ranks).Select(rank => Sharding.Part(name, whole, rank, ranks))];
                OriginalCheckpoints.RequireEqual($"{name} of {ranks}", whole, Sharding.Join(name, parts));
            }
    }

    [Fact]
    public void What_cannot_be_shared_is_refused()
    {
        const string up = "mlp.dense_h_to_4h.weight", down = "mlp.dense_4h_to_h.weight";
        Assert.Contains($"{up}: expected a dimension 0 that 4 divides, for 2 ranks", Assert.Throws<GlmException>(() => Sharding.Part(up, Random(DType.Int8, 6, 3), 0, 2)).Message);
        Assert.Contains("dimension 1 that 2 divides", Assert.Throws<GlmException>(() => Sharding.Part(down, Random(DType.Int8, 4, 3), 0, 2)).Message);
        Assert.Contains("segments of scales that 3 ranks can share", Assert.Throws<GlmException>(() => Sharding.Part(down + "_scale", Random(DType.Float16, 2, 3), 0, 3)).Message);
        Assert.Contains("expected Int8 [1, 2] in every rank, found Int8 [2, 2]", Assert.Throws<GlmException>(() => Sharding.Join(down, [Random(DType.Int8, 1, 2), Random(DType.Int8, 2, 2)])).Message);
        Assert.Contains("expected what 2 ranks can have", Assert.Throws<GlmException>(() => Sharding.JoinedShape(up, [3, 2], 2)).Message);
        Assert.Contains("expected what 2 ranks can have", Assert.Throws<GlmException>(() => Sharding.JoinedShape(down, [3], 2)).Message);
        Assert.Contains("expected what 2 ranks can have", Assert.Throws<GlmException>(() => Sharding.JoinedShape("w", [int.MaxValue], 2)).Message);
    }

    [Fact]
    public void Ranks_that_do_not_agree_are_refused()
    {
        TensorEntry Entry(string name, params int[] shape) => new(name, DType.Float32, shape, () => Tensor.Zeros(DType.Float32, shape));
        SatCheckpoint.Write(Target, "1", [[Entry("a", 2), Entry("b", 2)], [Entry("a", 2)]]);
        Assert.Contains("mp_rank_01_model_states.pt: b: expected a tensor of every rank", Assert.Throws<GlmException>(() => ModelDirectory.OpenStore(Target)).Message);
        SatCheckpoint.Write(Target, "1", [[Entry("a", 2)], [Entry("a", 2), Entry("b", 2)]]);
        Assert.Contains("mp_rank_01_model_states.pt: expected the tensors of rank 0, found b besides", Assert.Throws<GlmException>(() => ModelDirectory.OpenStore(Target)).Message);
        SatCheckpoint.Write(Target, "1", [[Entry("a", 2)], [Entry("a", 3)]]);
        Assert.Contains("a: expected FloatStorage [2] as in rank 0, found FloatStorage [3]", Assert.Throws<GlmException>(() => ModelDirectory.OpenStore(Target)).Message);
    }

    private static Tensor Converted(IReadOnlyList<TensorStore> from, string name, int rank, int degree)
    {
        if (degree >= from.Count) return Sharding.Part(name, from[rank * from.Count / degree][name], rank % (degree / from.Count), degree / from.Count);
        int parts = from.Count / degree;
        return Sharding.Join(name, [.. from.Skip(rank * parts).Take(parts).Select(part => part[name])]);
    }

    private static void RequireEqual(string what, TensorStore expected, Func<string, Tensor> found)
    {
        foreach (string name in expected.Names) OriginalCheckpoints.RequireEqual($"{what}: {name}", expected[name], found(name));
    }

    private void WriteRanks(LanguageModel model, int degree, bool frequencies = true)
    {
        var whole = new List<(string Name, Tensor Tensor)>();
        foreach (var (name, tensor) in model.Parameters)
        {
            bool quantised = tensor.Scales is not null;
            whole.Add((name, quantised ? Stored(tensor) : tensor));
            if (quantised) whole.Add((name + "_scale", tensor.Scales!.Reshape(tensor.Rows)));
        }
        if (frequencies) whole.Add(("transformer.layers.0.attention.rotary_emb.inv_freq", Tensor.Zeros(DType.Float16, model.Heads.HeadSize / 2)));
        SatCheckpoint.Write(Target, "49300", [.. Enumerable.Range(0, degree).Select(rank => (IReadOnlyList<TensorEntry>)[.. whole.Select(t =>
        {
            var part = Sharding.Part(t.Name, t.Tensor, rank, degree);
            return new TensorEntry(t.Name, part.Type, part.Shape.ToArray(), () => part);
        })])]);
    }

    /// <summary>The integers of a quantised weight as the bytes of a file.</summary>
    private static Tensor Stored(Tensor weight)
    {
        var bytes = Tensor.Allocate(DType.Int8, weight.Rows, (int)(weight.Bytes / weight.Rows));
        bytes.CopyBytesFrom(OriginalCheckpoints.Bytes(weight));
        return bytes;
    }

    private float[] Logits(LanguageModel model)
    {
        var context = new Context(_workers);
        int[] ids = [5, 77, 201, 204, 9];
        var hidden = model.Forward(context, context.Integers(ids), context.Integers([0, 1, 2, 3, 4]), model.Within(context, [new(0, 5, 3)]));
        return model.Logits(context, hidden).ToArray();
    }

    private static Tensor Random(DType type, int rows, int columns)
    {
        var tensor = Tensor.Allocate(type, rows, columns);
        byte[] bytes = new byte[tensor.Bytes];
        new Random(rows * columns).NextBytes(bytes);
        tensor.CopyBytesFrom(bytes);
        return tensor;
    }
}
