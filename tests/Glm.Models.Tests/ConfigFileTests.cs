namespace Glm.Models.Tests;

/// <summary>Which architecture a <c>config.json</c> tells, and what is said about one that cannot be.</summary>
public sealed class ConfigFileTests : IDisposable
{
    private const string ChatGlm6B = """ "model_type": "chatglm", "position_encoding_2d": true, "num_layers": 28, "hidden_size": 4096, "inner_hidden_size": 16384, "num_attention_heads": 32, "vocab_size": 130528 """;
    private const string ChatGlm2 = """ "model_type": "chatglm", "num_layers": 28, "hidden_size": 4096, "ffn_hidden_size": 13696, "kv_channels": 128, "num_attention_heads": 32, "multi_query_attention": true, "multi_query_group_num": 2, "padded_vocab_size": 65024, "add_qkv_bias": true """;
    private const string Glm10B = """ "model_type": "glm", "num_layers": 48, "hidden_size": 4096, "num_attention_heads": 64, "vocab_size": 50304, "max_sequence_length": 1024, "block_position_encoding": true """;
    private const string Opt350M = """ "model_type": "opt", "num_hidden_layers": 24, "hidden_size": 1024, "ffn_dim": 4096, "num_attention_heads": 16, "word_embed_proj_dim": 512, "do_layer_norm_before": false """;
    private const string Bloom560M = """ "model_type": "bloom", "n_layer": 24, "n_embed": 1024, "num_attention_heads": 16, "vocab_size": 250880, "n_inner": null """;
    private const string Glm4 = """ "model_type": "glm", "num_hidden_layers": 40, "hidden_size": 4096, "intermediate_size": 13696, "num_attention_heads": 32, "num_key_value_heads": 2, "head_dim": 128, "vocab_size": 151552, "rope_theta": 5000000.0 """;

    private readonly string _folder = Directory.CreateTempSubdirectory("glm-models").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Published sizes; that of ChatGLM2-6B in float16 is the index's 12,487,168,064 bytes (ChatGLM spec 3.5).</summary>
    [Theory]
    [InlineData(ChatGlm6B, "chatglm-6b", 6_707_929_088)]
    [InlineData(ChatGlm2, "chatglm2", 12_487_168_064 / 2 - 32)]
    [InlineData(Glm10B, "glm", 9_880_682_496)]
    [InlineData(Opt350M, "opt", 331_196_416)]
    [InlineData(Bloom560M, "bloom", 559_214_592)]
    [InlineData(Glm4, "chatglm2", 9_399_951_360)]
    public void Released_models_have_their_size(string fields, string architecture, long parameters)
    {
        var config = Load(fields);
        Assert.Equal((architecture, parameters), (config.Architecture, config.ParameterCount));
        File.WriteAllText(Path.Combine(_folder, "again.json"), config.ToJson());
        Assert.Equal(config, ConfigFile.Load(Path.Combine(_folder, "again.json")));
    }

    [Theory]
    [InlineData(""" "model_type": "llama" """, "model_type: expected glm-130b, chatglm, glm, opt or bloom, found llama")]
    [InlineData(""" "model_type": "opt" """, "num_hidden_layers")]
    [InlineData(""" "model_type": "bloom", "vocab_size": 9 """, "n_layer: expected 1 to 10000, found 0")]
    [InlineData(Bloom560M + """, "n_head": 7""", "n_head: expected a divisor of hidden_size 1024, found 7")]
    [InlineData(Bloom560M + """, "n_inner": 2147483647""", "n_inner")]
    [InlineData(Opt350M + """, "activation_function": "gelu" """, "activation_function: expected relu, found gelu")]
    [InlineData(Opt350M + """, "max_position_embeddings": 2147483647""", "max_position_embeddings")]
    [InlineData(Glm10B + """, "relative_encoding": true""", "relative_encoding")]
    [InlineData(ChatGlm6B + """, "layernorm_epsilon": 0""", "layernorm_epsilon")]
    [InlineData(ChatGlm6B + """, "max_sequence_length": 2147483647""", "max_sequence_length")]
    [InlineData(Glm4 + """, "partial_rotary_factor": 1.0""", "partial_rotary_factor: expected 0.5, found 1")]
    public void What_cannot_be_is_refused(string fields, string reason) => Assert.Contains(reason, Assert.Throws<GlmException>(() => Load(fields)).Message);

    [Fact]
    public void Slopes_follow_the_formula_for_any_number_of_heads()
    {
        Assert.Equal([.. Enumerable.Range(1, 16).Select(k => MathF.Pow(2, -k / 2f))], Bloom.SlopesOf(16));
        Assert.Equal([1 / 4f, 1 / 16f, 1 / 64f, 1 / 256f, 1 / 2f, 1 / 8f], Bloom.SlopesOf(6));
        Assert.Equal(112, Bloom.SlopesOf(112).Distinct().Count());
    }

    private ModelConfig Load(string fields)
    {
        string path = Path.Combine(_folder, "config.json");
        File.WriteAllText(path, "{" + fields + "}");
        return ConfigFile.Load(path);
    }
}
