using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// Models in GGUF files of the architecture "chatglm" (ChatGLM spec 10.3). Matrices stay as they are stored, as views of the mapped file; those of block types
/// that kernels do not have become bfloat16 in memory, 16 bits for each weight (Q5_0 becomes Q8_0, which holds the same numbers). Norms and biases are converted to float32. Where queries, keys and values are stored as separate matrices, they are joined in memory.
/// </summary>
public static class GgufModel
{
    internal const string Architecture = "chatglm";
    private const string EmbeddingName = "token_embd.weight";
    internal const string OutputName = "output.weight";
    internal const int StandardRotaryBase = 10000;

    /// <summary>What matrices of block types without kernels are decoded to.</summary>
    private const DType Decoded = DType.BFloat16;

    private static readonly string[] QkvParts = ["attn_q", "attn_k", "attn_v"];

    private static readonly Dictionary<string, string> LayerNames = new()
    {
        ["input_layernorm.weight"] = "attn_norm.weight",
        ["self_attention.query_key_value.weight"] = "attn_qkv.weight",
        ["self_attention.query_key_value.bias"] = "attn_qkv.bias",
        ["self_attention.dense.weight"] = "attn_output.weight",
        ["post_attention_layernorm.weight"] = "ffn_norm.weight",
        ["mlp.dense_h_to_4h.weight"] = "ffn_up.weight",
        ["mlp.dense_4h_to_h.weight"] = "ffn_down.weight",
    };

    /// <summary>Loads a model with its matrices as they are stored.</summary>
    /// <exception cref="GlmException">The file is damaged, holds another architecture, lacks a key or a tensor, or has a tensor of an unsupported type.</exception>
    public static ChatGlm2 Load(string path)
    {
        var (config, parameters) = Read(path);
        return new ChatGlm2(config, name => parameters[name]);
    }

    /// <summary>The shape of the model in a file, and number of tensors and bytes of each type that its parameters are stored in, from the header alone.</summary>
    /// <exception cref="GlmException">The file is damaged, holds another architecture, lacks a key or a tensor, or has a tensor of an unsupported type.</exception>
    public static (ChatGlm2Config Config, IReadOnlyDictionary<DType, (int Tensors, long Bytes)> Inventory) Describe(string path)
    {
        var file = GgufFile.Open(path);
        var config = ReadConfig(file);
        return (config, Stored(file, config).Inventory());
    }

    private static (ChatGlm2Config Config, Dictionary<string, Tensor> Parameters) Read(string path)
    {
        var file = GgufFile.Open(path);
        var config = ReadConfig(file);
        return (config, Stored(file, config).Read());
    }

    /// <summary>Queries, keys and values may be matrices of their own, and the output matrix may be the embedding.</summary>
    internal static StoredParameters Stored(GgufFile file, ChatGlm2Config config)
    {
        var names = Names(config);
        return new StoredParameters(config, file, name => names[name] switch
        {
            OutputName => [[OutputName], [EmbeddingName]],
            var stored when stored.Contains("attn_qkv", StringComparison.Ordinal) => [[stored], [.. QkvParts.Select(part => stored.Replace("attn_qkv", part, StringComparison.Ordinal))]],
            var stored => [[stored]],
        }, name => file.Read(name, Decoded), Decoded);
    }

    /// <summary>The shape of the model in a file.</summary>
    /// <exception cref="GlmException">The file holds another architecture, lacks a key, or describes an impossible model.</exception>
    public static ChatGlm2Config ReadConfig(GgufFile file)
    {
        var metadata = file.Metadata;
        string architecture = metadata.GetString("general.architecture");
        if (architecture != Architecture) throw new GlmException($"{file.Path}: general.architecture: expected {Architecture}, found {architecture}");
        string Key(string name) => $"{Architecture}.{name}";
        int hidden = metadata.GetInteger(Key("embedding_length"), 1), heads = metadata.GetInteger(Key("attention.head_count"), 1);
        if (hidden % heads != 0) throw new GlmException($"{file.Path}: {Key("attention.head_count")}: expected a divisor of {Key("embedding_length")} {hidden}, found {heads}");
        int[] embedding = file.FindInfo(EmbeddingName)?.Shape ?? throw new GlmException($"{file.Path}: expected a tensor named {EmbeddingName}, found none among {file.Names.Count}");
        var (ratio, mode) = RopeRatio(file);
        var config = new ChatGlm2Config
        {
            NumLayers = metadata.GetInteger(Key("block_count"), 1),
            HiddenSize = hidden,
            FfnHiddenSize = metadata.GetInteger(Key("feed_forward_length"), 1),
            KvChannels = hidden / heads,
            NumAttentionHeads = heads,
            MultiQueryAttention = true,
            MultiQueryGroupNum = metadata.GetInteger(Key("attention.head_count_kv"), 1),
            PaddedVocabSize = embedding.Length == 2 ? embedding[0] : throw new GlmException($"{file.Path}: {EmbeddingName}: expected a matrix, found [{string.Join(", ", embedding)}]"),
            SeqLength = metadata.GetInteger(Key("context_length"), 1),
            LayernormEpsilon = (float)metadata.GetNumber(Key("attention.layer_norm_rms_epsilon")),
            AddQkvBias = file.Names.Contains("blk.0.attn_qkv.bias") || file.Names.Contains("blk.0.attn_q.bias"),
            RopeRatio = ratio,
            RopeRatioMode = mode,
        }.Validated(file.Path);
        long rotary = metadata.FindInteger(Key("rope.dimension_count")) ?? config.RotarySize;
        if (rotary != config.RotarySize) throw new GlmException($"{file.Path}: {Key("rope.dimension_count")}: expected half the head size, {config.RotarySize}, found {rotary}");
        return config;
    }

    /// <summary>The base of the frequencies, or what positions are divided by; a file that stretches both has no name in the original's configuration.</summary>
    private static (double Ratio, RopeRatioMode Mode) RopeRatio(GgufFile file)
    {
        string baseKey = $"{Architecture}.rope.freq_base", scalingKey = $"{Architecture}.rope.scaling.type";
        double ratio = (file.Metadata.FindNumber(baseKey) ?? StandardRotaryBase) / StandardRotaryBase;
        string scaling = file.Metadata.FindString(scalingKey) ?? "none";
        if (scaling == "none") return (ratio, RopeRatioMode.Base);
        if (scaling != "linear") throw new GlmException($"{file.Path}: {scalingKey}: expected none or linear, found {scaling}");
        if (ratio != 1) throw new GlmException($"{file.Path}: {baseKey}: expected {StandardRotaryBase} beside linear scaling, found {ratio * StandardRotaryBase}");
        return (file.Metadata.GetNumber($"{Architecture}.rope.scaling.factor"), RopeRatioMode.Positions);
    }

    /// <summary>The names in the file by the names of the architecture.</summary>
    internal static Dictionary<string, string> Names(ChatGlm2Config config)
    {
        var names = new Dictionary<string, string>
        {
            [ChatGlm2.EmbeddingName] = EmbeddingName,
            [ChatGlm2.FinalNormName] = "output_norm.weight",
            [ChatGlm2.OutputName] = OutputName,
        };
        for (int i = 0; i < config.NumLayers; i++)
            foreach (var (name, stored) in LayerNames) names[ChatGlm2.LayerPrefix(i) + name] = $"blk.{i}.{stored}";
        return names;
    }
}
