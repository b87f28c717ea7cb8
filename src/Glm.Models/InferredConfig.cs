using Glm.Formats;

namespace Glm.Models;

/// <summary>
/// The shape of an original checkpoint without <c>config.json</c>: sizes from its tensors; GLM-130B is known by them. Otherwise the number of heads follows
/// from the rotary frequencies that converted files hold, and positions and rotary rounding are taken to be the original's.
/// </summary>
internal static class InferredConfig
{
    private const string Embedding = "transformer.word_embeddings.weight", Layer = "transformer.layers.";

    /// <exception cref="GlmException">The tensors do not tell the shape.</exception>
    public static Glm130BConfig Read(TensorStore store)
    {
        var original = Presets.All[Glm130BConfig.Type];
        var (vocabulary, hidden) = Sizes(store, Embedding);
        int layers = 0;
        while (store.FindInfo($"{Layer}{layers}.input_layernorm.weight") is not null) layers++;
        var (inner, _) = Sizes(store, $"{Layer}0.mlp.dense_h_to_4h.weight");
        var sizes = original with { NumLayers = layers, HiddenSize = hidden, InnerHiddenSize = inner / 2, VocabSize = vocabulary };
        if (sizes == original) return original;
        if (store.FindInfo($"{Layer}0.attention.rotary_emb.inv_freq")?.Shape is not [> 0 and var half] || hidden % (2L * half) != 0)
            throw new GlmException($"{store.Path}: expected {ModelDirectory.ConfigFile} beside the checkpoint, since its tensors do not tell the number of heads, found none");
        return (sizes with { NumAttentionHeads = hidden / (2 * half) }).Validated(store.Path);
    }

    private static (int Rows, int Columns) Sizes(TensorStore store, string name) => store.FindInfo(name) switch
    {
        { Shape: [var rows, var columns] } => (rows, columns),
        { Shape: var shape } => throw new GlmException($"{store.FileOf(name)}: {name}: expected a matrix, found [{string.Join(", ", shape)}]"),
        null => throw new GlmException($"{store.Path}: expected a tensor named {name}, found none among {store.Names.Count}"),
    };
}
