using Glm.Tensors;

namespace Glm.Models.Tests;

public sealed class ChatGlm2ConfigTests : IDisposable
{
    private const string Small = """
        "num_layers": 1, "hidden_size": 8, "ffn_hidden_size": 6, "num_attention_heads": 2, "kv_channels": 8, "padded_vocab_size": 5
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("glm-models").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Missing_fields_have_the_originals_defaults()
    {
        var config = Load(Small);
        Assert.Equal((2048, 2, false, 1.0, 1e-5f), (config.SeqLength, config.KeyValueHeads, config.AddQkvBias, config.RotaryBase / 10000, config.LayernormEpsilon));
        Assert.Equal(1, Load(Small + """, "multi_query_attention": true""").KeyValueHeads);
        Assert.Equal(config, Load(config.ToJson()[1..^1]));
    }

    /// <summary>ChatGLM3 multiplies the base, ChatGLM2 divides positions (ChatGLM spec 3.4, 4).</summary>
    [Theory]
    [InlineData("", 500000, 1)]
    [InlineData(""", "_name_or_path": "THUDM/chatglm3-6b-32k" """, 500000, 1)]
    [InlineData(""", "_name_or_path": "THUDM/chatglm2-6b-32k" """, 10000, 50)]
    [InlineData(""", "rope_ratio_mode": "positions" """, 10000, 50)]
    [InlineData(""", "_name_or_path": "THUDM/chatglm2-6b-32k", "rope_ratio_mode": "base" """, 500000, 1)]
    public void Rope_ratio_stretches_the_base_or_the_positions(string fields, double rotaryBase, double positionScale)
    {
        var config = Load(Small + """, "rope_ratio": 50 """ + fields);
        Assert.Equal((rotaryBase, positionScale), (config.RotaryBase, config.PositionScale));
    }

    [Theory]
    [InlineData("rmsnorm", "false")]
    [InlineData("post_layer_norm", "false")]
    [InlineData("add_bias_linear", "true")]
    [InlineData("apply_residual_connection_post_layernorm", "true")]
    [InlineData("original_rope", "false")]
    [InlineData("tie_word_embeddings", "true")]
    [InlineData("rope_ratio", "0")]
    [InlineData("rope_ratio_mode", "\"both\"")]
    [InlineData("model_type", "\"glm\"")]
    [InlineData("seq_length", "0")]
    [InlineData("seq_length", "2147483647")]
    [InlineData("multi_query_group_num", "3")]
    public void What_the_architecture_is_not_written_for_is_refused(string field, string value) =>
        Assert.Contains(field, Assert.Throws<GlmException>(() => Load($"{Small}, \"multi_query_attention\": true, \"{field}\": {value}")).Message);

    [Fact]
    public void Angles_follow_the_closed_formula_at_far_positions()
    {
        foreach (var (rotaryBase, scale) in new[] { (10000.0, 1.0), (500000, 1), (10000, 16) })
        {
            var tables = new RotaryTables(32768, 64, RotaryMode.Exact, rotaryBase, scale);
            var (cos, sin) = (tables.Cos.Slice(32000, 1).ToArray(), tables.Sin.Slice(32000, 1).ToArray());
            for (int j = 0; j < 32; j++)
            {
                // The angle itself is rounded to float32, as in the original.
                double angle = 32000 / scale * Math.Pow(rotaryBase, -2.0 * j / 64), rounding = 2e-7 * angle + 1e-6;
                Assert.Equal(Math.Cos(angle), cos[j], rounding);
                Assert.Equal(Math.Sin(angle), sin[j], rounding);
            }
        }
    }

    [Fact]
    public void A_tensor_of_another_shape_is_refused() => Assert.Contains("word_embeddings.weight: expected the shape [5, 8]",
        Assert.Throws<GlmException>(() => new ChatGlm2(Load(Small), _ => Tensor.Zeros(DType.Float32, 1))).Message);

    private ChatGlm2Config Load(string fields)
    {
        string path = Path.Combine(_folder, "config.json");
        File.WriteAllText(path, "{" + fields + "}");
        return ChatGlm2Config.Load(path);
    }
}
