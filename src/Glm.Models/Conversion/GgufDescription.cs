using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>What a GGUF file says of a model of the architecture "chatglm" (ChatGLM spec 10.3), read back by <see cref="GgufModel.ReadConfig"/>.</summary>
internal static class GgufDescription
{
    private const uint QuantizationVersion = 2;

    /// <summary>The metadata of a model whose tensors are known.</summary>
    /// <exception cref="GlmException">The architecture of the file has no word for a field.</exception>
    public static IEnumerable<KeyValuePair<string, object>> Of(ChatGlm2Config config, string source, IReadOnlyList<TensorEntry> entries, IReadOnlyList<KeyValuePair<string, object>>? vocabulary)
    {
        if (config.KvChannels * config.NumAttentionHeads != config.HiddenSize)
            throw new GlmException($"{source}: kv_channels: expected {config.HiddenSize / config.NumAttentionHeads}, the width by the number of heads, as GGUF has it, found {config.KvChannels}");
        yield return new("general.architecture", GgufModel.Architecture);
        yield return new("general.file_type", FileType(entries));
        yield return new("general.quantization_version", QuantizationVersion);
        foreach (var (name, value) in new (string, object)[]
        {
            ("context_length", (uint)config.SeqLength), ("embedding_length", (uint)config.HiddenSize), ("feed_forward_length", (uint)config.FfnHiddenSize), ("block_count", (uint)config.NumLayers),
            ("attention.head_count", (uint)config.NumAttentionHeads), ("attention.head_count_kv", (uint)config.KeyValueHeads), ("attention.layer_norm_rms_epsilon", config.LayernormEpsilon),
            ("rope.dimension_count", (uint)config.RotarySize), ("rope.freq_base", (float)config.RotaryBase), ("vocab_size", (uint)config.PaddedVocabSize),
        })
            yield return new($"{GgufModel.Architecture}.{name}", value);
        if (config.PositionScale != 1)
        {
            yield return new($"{GgufModel.Architecture}.rope.scaling.type", "linear");
            yield return new($"{GgufModel.Architecture}.rope.scaling.factor", (float)config.PositionScale);
        }
        foreach (var pair in vocabulary ?? [new("tokenizer.ggml.model", "no_vocab")]) yield return pair;
    }

    /// <summary>The number of the type that most bytes have (ChatGLM spec 10.1).</summary>
    private static uint FileType(IReadOnlyList<TensorEntry> entries) => entries.GroupBy(entry => entry.Type).MaxBy(group => group.Sum(entry => entry.Bytes))!.Key switch
    {
        DType.Float32 => 0,
        DType.Float16 => 1,
        DType.Q4_0 => 2,
        DType.Q8_0 => 7,
        DType.BFloat16 => 32,
        var other => throw new GlmException($"general.file_type: expected a type that GGUF has, found {other}"),
    };
}
