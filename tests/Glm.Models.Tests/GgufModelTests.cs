using Glm.Formats;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Models.Tests;

/// <summary>ChatGLM models out of GGUF files, against the same numbers given directly.</summary>
public sealed class GgufModelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-models").FullName;
    private readonly Workers _workers = new(2);

    private string Target => Path.Combine(_folder, "a.gguf");

    public void Dispose()
    {
        _workers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(0u, DType.Float32)]
    [InlineData(1u, DType.Float16)]
    [InlineData(2u, DType.Q4_0)]
    [InlineData(8u, DType.Q8_0)]
    [InlineData(3u, DType.BFloat16)]
    [InlineData(6u, DType.Q8_0)]
    [InlineData(7u, DType.BFloat16)]
    public void Matrices_stay_as_they_are_stored_or_become_what_kernels_have_and_compute_what_they_mean(uint code, DType type)
    {
        var model = Load(new TinyGguf { MatrixType = code });
        Assert.All(model.Parameters, p => Assert.Equal(p.Tensor.Shape.Length == 2 ? type : DType.Float32, p.Tensor.Type));
        Assert.Equal((TinyGguf.Layers, TinyGguf.Positions, TinyGguf.Vocabulary), (model.NumLayers, model.MaxSequenceLength, model.VocabSize));
        var dense = new ChatGlm2(model.Config, name => model.Parameters.Single(p => p.Name == name).Tensor.To(DType.Float32));
        Close.Require("logits", Logits(dense), Logits(model), 2e-4, 2e-4);
    }

    /// <summary>Inputs of packed weights are rounded to 16 bits per block here.</summary>
    [Theory]
    [InlineData(2u)]
    [InlineData(8u)]
    public void Packed_matrices_compute_the_same(uint code)
    {
        float[] expected = Logits(Load(new TinyGguf { MatrixType = code }));
        var packed = (ChatGlm2)PackedModel.Load(Target, _workers);
        Assert.Equal(4 * TinyGguf.Layers + 1, packed.Parameters.Count(p => p.Tensor.IsPacked));
        Close.Require("logits", expected, Logits(packed), 1e-3, 1e-3);
    }

    [Fact]
    public void Every_tensor_has_its_place()
    {
        var model = Load(new TinyGguf());
        var file = GgufFile.Open(Target);
        foreach (var (name, stored) in new[]
        {
            ("transformer.embedding.word_embeddings.weight", "token_embd.weight"), ("transformer.encoder.layers.1.input_layernorm.weight", "blk.1.attn_norm.weight"),
            ("transformer.encoder.layers.1.self_attention.query_key_value.weight", "blk.1.attn_qkv.weight"),
            ("transformer.encoder.layers.1.self_attention.query_key_value.bias", "blk.1.attn_qkv.bias"),
            ("transformer.encoder.layers.1.self_attention.dense.weight", "blk.1.attn_output.weight"),
            ("transformer.encoder.layers.1.post_attention_layernorm.weight", "blk.1.ffn_norm.weight"), ("transformer.encoder.layers.1.mlp.dense_h_to_4h.weight", "blk.1.ffn_up.weight"),
            ("transformer.encoder.layers.1.mlp.dense_4h_to_h.weight", "blk.1.ffn_down.weight"), ("transformer.encoder.final_layernorm.weight", "output_norm.weight"),
            ("transformer.output_layer.weight", "output.weight"),
        })
            Assert.Equal(file[stored].ToArray(), model.Parameters.Single(p => p.Name == name).Tensor.ToArray());
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(2u)]
    public void Separate_queries_keys_and_values_are_joined(uint code)
    {
        var joined = Load(new TinyGguf { MatrixType = code, Separate = true }).Parameters.Single(p => p.Name.EndsWith("layers.1.self_attention.query_key_value.weight", StringComparison.Ordinal)).Tensor;
        var file = GgufFile.Open(Target);
        Assert.Equal([.. new[] { "q", "k", "v" }.SelectMany(part => file[$"blk.1.attn_{part}.weight"].ToArray())], joined.ToArray());
        Assert.Equal(file["blk.1.attn_q.weight"].Type, joined.Type);
    }

    /// <summary>Files of mixed precision keep values in a finer type than queries and keys.</summary>
    [Fact]
    public void Separate_matrices_of_other_types_are_joined_by_their_values()
    {
        var joined = Load(new TinyGguf { MatrixType = 2, ValueType = 6, Separate = true }).Parameters.Single(p => p.Name.EndsWith("layers.0.self_attention.query_key_value.weight", StringComparison.Ordinal)).Tensor;
        var file = GgufFile.Open(Target);
        Assert.Equal([.. new[] { "q", "k", "v" }.SelectMany(part => file[$"blk.0.attn_{part}.weight"].To(DType.Float32).To(DType.BFloat16).ToArray())], joined.ToArray());
    }

    [Fact]
    public void Without_an_output_matrix_the_embedding_is_used()
    {
        var model = Load(new TinyGguf { Tied = true });
        Assert.Equal(model.Parameters[0].Tensor.ToArray(), model.Parameters[^1].Tensor.ToArray());
    }

    [Fact]
    public void Rotary_keys_become_the_ratio_and_what_it_stretches()
    {
        Assert.Equal((500000.0, 1.0), Rotary("chatglm.rope.freq_base", 500000f));
        Assert.Equal((10000.0, 1.0), Rotary("chatglm.rope.freq_base", null));
        Assert.Contains("rope.scaling.factor", Refused(new TinyGguf { Changed = ("chatglm.rope.scaling.type", "linear") }));
        Assert.Contains("none or linear", Refused(new TinyGguf { Changed = ("chatglm.rope.scaling.type", "yarn") }));
    }

    [Theory]
    [InlineData("general.architecture", "llama", "expected chatglm, found llama")]
    [InlineData("general.architecture", null, "expected the metadata key general.architecture")]
    [InlineData("chatglm.block_count", null, "chatglm.block_count")]
    [InlineData("chatglm.block_count", 3u, "blk.2.")]
    [InlineData("chatglm.attention.head_count", 3u, "chatglm.attention.head_count")]
    [InlineData("chatglm.attention.head_count_kv", 3u, "multi_query_group_num")]
    [InlineData("chatglm.feed_forward_length", 64u, "blk.0.ffn_up.weight: expected floating-point numbers [128, 64]")]
    [InlineData("chatglm.rope.dimension_count", 16u, "expected half the head size, 8, found 16")]
    [InlineData("chatglm.context_length", 0u, "chatglm.context_length")]
    public void Wrong_metadata_are_named(string key, object? value, string expected) => Assert.Contains(expected, Refused(new TinyGguf { Changed = (key, value) }));

    [Theory]
    [InlineData("token_embd.weight")]
    [InlineData("blk.1.attn_norm.weight")]
    [InlineData("blk.1.ffn_down.weight")]
    [InlineData("output_norm.weight")]
    public void A_missing_tensor_is_named(string name) => Assert.Contains(name, Refused(new TinyGguf { Missing = name }));

    private (double, double) Rotary(string key, object? value)
    {
        var config = Load(new TinyGguf { Changed = (key, value) }).Config;
        return (config.RotaryBase, config.PositionScale);
    }

    private ChatGlm2 Load(TinyGguf file)
    {
        File.WriteAllBytes(Target, file.ToArray());
        return GgufModel.Load(Target);
    }

    private string Refused(TinyGguf file) => Assert.Throws<GlmException>(() => Load(file)).Message;

    private float[] Logits(LanguageModel model)
    {
        var context = new Context(_workers) { InputBits = 16 };
        int[] ids = [.. Enumerable.Range(0, 20).Select(i => 300 + i * 7919 % 200)];
        var hidden = model.Forward(context, context.Integers(ids), context.Integers([.. Enumerable.Range(0, ids.Length)]), model.Within(context, [new(0, ids.Length, 0)]));
        return model.Logits(context, hidden).ToArray();
    }
}
