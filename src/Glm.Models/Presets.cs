namespace Glm.Models;

/// <summary>Named shapes, from one that trains in an hour on two cores to GLM-130B itself.</summary>
public static class Presets
{
    /// <summary>The shapes by name.</summary>
    public static IReadOnlyDictionary<string, Glm130BConfig> All { get; } = new Dictionary<string, Glm130BConfig>
    {
        ["glm-3m"] = Trained(layers: 6, hidden: 128, inner: 352, heads: 2, vocabulary: 16384),
        ["glm-7m"] = Trained(layers: 4, hidden: 256, inner: 688, heads: 4, vocabulary: 16384),
        ["glm-11m"] = Trained(layers: 8, hidden: 256, inner: 688, heads: 4, vocabulary: 16384),
        ["glm-28m"] = Trained(layers: 12, hidden: 384, inner: 1024, heads: 6, vocabulary: 16384),
        ["glm-110m"] = Trained(layers: 12, hidden: 768, inner: 2048, heads: 12, vocabulary: 32768),
        ["glm-1b"] = Trained(layers: 24, hidden: 1792, inner: 4864, heads: 14, vocabulary: 65536, positions: 2048),
        ["glm-10b"] = Trained(layers: 48, hidden: 4096, inner: 10944, heads: 32, vocabulary: 150528, positions: 2048),
        ["glm-130b"] = Trained(layers: 70, hidden: 12288, inner: 32768, heads: 96, vocabulary: 150528, positions: 2048) with { RotaryMode = RotaryMode.Fp16Table },
    };

    /// <summary>The shape of a name, or null.</summary>
    public static Glm130BConfig? Find(string name) => All.GetValueOrDefault(name);

    /// <summary>A shape without weights: that of a name, or what a config.json says (any file that ends so, as a training configuration names it); null where it is neither.</summary>
    /// <exception cref="GlmException">The file is not a model's configuration.</exception>
    public static ModelConfig? Shape(string nameOrFile) =>
        Find(nameOrFile) ?? (nameOrFile.EndsWith(".json", StringComparison.OrdinalIgnoreCase) && File.Exists(nameOrFile) ? ConfigFile.Load(nameOrFile) : null);

    private static Glm130BConfig Trained(int layers, int hidden, int inner, int heads, int vocabulary, int positions = 512) => new()
    {
        NumLayers = layers,
        HiddenSize = hidden,
        InnerHiddenSize = inner,
        NumAttentionHeads = heads,
        VocabSize = vocabulary,
        MaxSequenceLength = positions,
    };
}
